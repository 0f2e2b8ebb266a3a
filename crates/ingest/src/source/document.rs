//! A source file as it is written: serde's types, which the JSON Schema and the reference are made from.
//!
//! Nothing is checked here beyond names and kinds; `compile/` makes the request plan of
//! it. The comments of the fields are what editors show and docs/sources.md prints.

use super::ordered::Ordered;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// One API: how to reach it, and the streams that are read from it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// The version of this format: 1.
    pub version: u32,
    /// The name of the source in `raw/`; the name of the file without it.
    #[serde(default)]
    pub name: Option<String>,
    /// What people should know about it.
    #[serde(default)]
    pub description: Option<String>,
    /// Parameters that `--param NAME=VALUE` sets, and their defaults; `{param.NAME}` uses them. Without a
    /// default (`null`) one must be given.
    #[serde(default)]
    pub parameters: Ordered<Option<Scalar>>,
    /// How the API is reached.
    pub connection: Connection,
    /// What is read, by name: the root table of the records has the name too.
    pub streams: Ordered<Stream>,
}

/// How an API is reached: what all streams share.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    /// Where all paths begin, for instance `https://api.example.com/v2`.
    pub base_url: String,
    /// How requests prove who sends them.
    #[serde(default)]
    pub auth: Auth,
    /// Headers of every request.
    #[serde(default)]
    pub headers: Ordered<String>,
    /// Query parameters of every request.
    #[serde(default)]
    pub params: Ordered<Param>,
    /// How many requests the API takes.
    #[serde(default)]
    pub rate_limit: RateLimit,
    /// Requests under way at one time, over all streams and partitions (default 4).
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub max_concurrency: Option<usize>,
    /// Allow addresses of private networks, of this machine and link-local ones (default false).
    #[serde(default)]
    pub allow_private_networks: bool,
    /// Other hosts that redirects and next URLs may lead to. They never get the credentials.
    #[serde(default)]
    pub allowed_hosts: Vec<String>,
    /// How long things may take.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// How often and how long failed requests are tried again.
    #[serde(default)]
    pub retry: Retry,
    /// Rules on answers, tried after those of the stream.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// The most bytes of one answer, decompressed (default `4GiB`).
    #[serde(default)]
    pub max_body: Option<String>,
}

/// How requests prove who sends them. Secrets stand in as `${secret:aws-sm://name#json.key}`,
/// `${secret:ssm://name}`, `${secret:env:NAME}` or `${secret:file:path}`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Auth {
    /// No credentials.
    None {},
    /// A key in a header, a query parameter or a cookie.
    ApiKey {
        /// Where the key goes (default `header`).
        #[serde(default, rename = "in")]
        place: TokenPlace,
        /// The name of the header, parameter or cookie.
        name: String,
        /// The key.
        value: String,
    },
    /// `Authorization: Bearer …`.
    Bearer {
        /// The token.
        token: String,
    },
    /// `Authorization: Basic …`.
    Basic {
        /// The user.
        username: String,
        /// The password; many APIs want none.
        #[serde(default)]
        password: String,
    },
    /// OAuth 2, client credentials: a token is fetched, and fetched anew before it expires.
    Oauth2ClientCredentials {
        /// Where tokens are fetched.
        token_url: String,
        /// The client's id.
        client_id: String,
        /// The client's secret.
        client_secret: String,
        /// The scopes asked for.
        #[serde(default)]
        scopes: Vec<String>,
        /// Further parameters of the token request, for instance `audience`.
        #[serde(default)]
        params: Ordered<String>,
        /// Where the client's id and secret go (default `body`).
        #[serde(default)]
        client_auth: ClientAuth,
    },
    /// OAuth 2, refresh token. An API that gives a new refresh token with each access token has it stored
    /// where the old one was, before the access token is used.
    Oauth2RefreshToken {
        /// Where tokens are fetched.
        token_url: String,
        /// The client's id.
        client_id: String,
        /// The client's secret; public clients have none.
        #[serde(default)]
        client_secret: Option<String>,
        /// The refresh token: a reference that can be written to, if the API changes it.
        refresh_token: String,
        /// The scopes asked for.
        #[serde(default)]
        scopes: Vec<String>,
        /// Further parameters of the token request.
        #[serde(default)]
        params: Ordered<String>,
        /// Where the client's id and secret go (default `body`).
        #[serde(default)]
        client_auth: ClientAuth,
    },
    /// A login request whose answer has the token for all others.
    Session {
        /// The login request.
        login: Login,
        /// The token in the answer: a JSON path, or `header.NAME`.
        token: String,
        /// Where the token goes (default `header`).
        #[serde(default, rename = "in")]
        place: TokenPlace,
        /// The name of the header, parameter or cookie (default `Authorization`).
        #[serde(default)]
        name: Option<String>,
        /// What stands before the token, for instance `Token `.
        #[serde(default)]
        prefix: String,
        /// How long a session lasts, for instance `PT1H`; without it, until the API says 401.
        #[serde(default)]
        ttl: Option<String>,
    },
    /// AWS Signature Version 4, with the credentials that AWS programs find by default.
    AwsSigv4 {
        /// The service's name for signing, for instance `execute-api`.
        service: String,
        /// The region; the one of the environment without it.
        #[serde(default)]
        region: Option<String>,
    },
}

/// Where a key or token goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenPlace {
    /// In a header.
    #[default]
    Header,
    /// In a query parameter.
    Query,
    /// In a cookie.
    Cookie,
}

/// How an OAuth client proves who it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// `client_id` and `client_secret` in the form.
    #[default]
    Body,
    /// `Authorization: Basic …`.
    Basic,
}

/// A login request.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The method (default POST).
    #[serde(default)]
    pub method: Option<Method>,
    /// The path below the base URL, or a whole URL of the same origin.
    pub path: String,
    /// Headers.
    #[serde(default)]
    pub headers: Ordered<String>,
    /// A JSON body.
    #[serde(default)]
    pub body: Option<Value>,
    /// A form, instead of a JSON body.
    #[serde(default)]
    pub form: Option<Ordered<String>>,
}

/// A method of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// GET.
    Get,
    /// POST.
    Post,
    /// PUT.
    Put,
}

/// How many requests an API takes, per host and credential; all streams and token calls share it.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Requests per time, for instance `10/s`, `300/m`, `5000/h`.
    #[serde(default)]
    pub per_host: Option<String>,
    /// How many requests may follow each other at once after a pause (default 1).
    #[serde(default)]
    pub burst: Option<u32>,
    /// The header that says how many requests are left.
    #[serde(default)]
    pub remaining_header: Option<String>,
    /// The header that says when there are more again.
    #[serde(default)]
    pub reset_header: Option<String>,
    /// What stands in it (default `unix_s`).
    #[serde(default)]
    pub reset_format: ResetFormat,
}

/// What a reset header holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResetFormat {
    /// Seconds since 1970.
    #[default]
    UnixS,
    /// Milliseconds since 1970.
    UnixMs,
    /// Seconds from now.
    DeltaS,
}

/// How long things may take; durations as `30s`, `5m` or `PT5M`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Timeouts {
    /// To connect (default `10s`).
    #[serde(default)]
    pub connect: Option<String>,
    /// Between two pieces of an answer (default `60s`).
    #[serde(default)]
    pub idle: Option<String>,
    /// For one attempt of a request, its answer included (default `30m`).
    #[serde(default)]
    pub attempt: Option<String>,
    /// For the whole run (default: none).
    #[serde(default)]
    pub run: Option<String>,
}

/// How often and how long failed requests are tried again: with exponentially growing waits, of which a
/// random part is taken (full jitter), or as long as the server says.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// The most attempts of one request (default 6).
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub max_attempts: Option<u32>,
    /// The most time for one request with all its attempts (default `30m`).
    #[serde(default)]
    pub max_elapsed: Option<String>,
    /// The first wait's upper bound (default `1s`); it doubles with every attempt.
    #[serde(default)]
    pub backoff: Option<String>,
    /// The longest of these waits (default `60s`).
    #[serde(default)]
    pub max_backoff: Option<String>,
    /// The longest wait that a server may ask for (default `15m`); beyond it the run fails, to be tried
    /// again.
    #[serde(default)]
    pub max_wait: Option<String>,
}

/// A stream: one kind of records.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    /// The path below the base URL, with placeholders such as `{partition.repo}` or `{parent.id}`.
    pub path: String,
    /// What people should know about it.
    #[serde(default)]
    pub description: Option<String>,
    /// The method (default GET).
    #[serde(default)]
    pub method: Option<Method>,
    /// Query parameters. One whose placeholder has no value is left out; a list is given repeatedly.
    #[serde(default)]
    pub params: Ordered<Param>,
    /// Headers.
    #[serde(default)]
    pub headers: Ordered<String>,
    /// A JSON body, with placeholders in its texts.
    #[serde(default)]
    pub body: Option<Value>,
    /// A form, instead of a JSON body.
    #[serde(default)]
    pub form: Option<Ordered<String>>,
    /// Whether the request only asks, so that it may be sent again: GET always may, POST and PUT only
    /// when this is true.
    #[serde(default)]
    pub safe_to_retry: Option<bool>,
    /// Where the records stand in an answer (default `$`: the elements of a list, or the one object).
    #[serde(default)]
    pub records: Option<String>,
    /// Take an answer without the records' path as one without records (default: an error).
    #[serde(default)]
    pub records_optional: bool,
    /// What answers are made of (default `json`). Gzip is recognised by its first bytes.
    #[serde(default)]
    pub format: Format,
    /// How CSV is written.
    #[serde(default)]
    pub csv: Csv,
    /// The fields that identify a record: names, or JSON paths.
    #[serde(default)]
    pub primary_key: Vec<String>,
    /// Read once for each of these values, or for each combination of several.
    #[serde(default)]
    pub partitions: Ordered<Vec<Scalar>>,
    /// Read once for each record of another stream.
    #[serde(default)]
    pub parent: Option<Parent>,
    /// How one page leads to the next.
    #[serde(default)]
    pub paginate: Paginate,
    /// Read only what is new since the last run.
    #[serde(default)]
    pub incremental: Option<Incremental>,
    /// What a run's records do to those before (default: `append` with `incremental`, else `replace`).
    #[serde(default)]
    pub mode: Option<WriteMode>,
    /// Fields to add to each record, from placeholders, for instance `_repo: "{partition.repo}"`.
    #[serde(default)]
    pub add: Ordered<String>,
    /// Rules on answers; the first that fits is taken.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// Ask for a result, wait until it is made, fetch it: `path` and the rest then fetch the result.
    #[serde(default)]
    pub job: Option<Job>,
    /// Fewer records than this in a run are an error.
    #[serde(default)]
    pub expect_min_records: Option<u64>,
}

/// A parent: one request, or walk of pages, for each of its records.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parent {
    /// The stream whose records give `{parent.FIELD}`.
    pub stream: String,
}

/// What answers are made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// JSON.
    #[default]
    Json,
    /// One JSON value a line.
    Ndjson,
    /// CSV; the records are objects of strings.
    Csv,
    /// XML; `records` names elements as it names keys.
    Xml,
}

/// How CSV is written.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Csv {
    /// Between the fields (default `,`).
    #[serde(default)]
    pub delimiter: Option<char>,
    /// The names of the fields, where the first line does not have them.
    #[serde(default)]
    pub columns: Option<Vec<String>>,
}

/// What a run's records do to those before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WriteMode {
    /// They come to them.
    Append,
    /// They replace them.
    Replace,
}

/// How one page leads to the next. A token, URL or page that was seen before is an error.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Paginate {
    /// One answer is all.
    None {},
    /// Pages have numbers.
    Page {
        /// The parameter for the number (default `page`).
        #[serde(default)]
        param: Option<String>,
        /// The first number (default 1).
        #[serde(default)]
        start: Option<u64>,
        /// The size of a page.
        #[serde(default)]
        size: Option<u64>,
        /// The parameter for the size.
        #[serde(default)]
        size_param: Option<String>,
        /// Where the answer says how many pages there are.
        #[serde(default)]
        total_pages: Option<String>,
        /// Where the answer says whether there are more.
        #[serde(default)]
        has_more: Option<String>,
        /// Which page is the last: one without records, or one with fewer than `size` (default `empty`).
        #[serde(default)]
        stop_on: StopOn,
        /// Where the parameters go (default `query`).
        #[serde(default, rename = "in")]
        place: PagePlace,
        /// More pages than this are an error (default 100000).
        #[serde(default)]
        max_pages: Option<u64>,
    },
    /// Pages begin at a record's number.
    Offset {
        /// The parameter for the number (default `offset`).
        #[serde(default)]
        param: Option<String>,
        /// The number of the first record (default 0).
        #[serde(default)]
        start: Option<u64>,
        /// The size of a page.
        size: u64,
        /// The parameter for the size (default `limit`).
        #[serde(default)]
        size_param: Option<String>,
        /// Where the answer says how many records there are.
        #[serde(default)]
        total: Option<String>,
        /// Where the answer says whether there are more.
        #[serde(default)]
        has_more: Option<String>,
        /// Which page is the last: one without records, or one with fewer than `size` (default `empty`).
        #[serde(default)]
        stop_on: StopOn,
        /// Records that a page repeats of the one before, so that none is missed when some are deleted
        /// meanwhile (default 0).
        #[serde(default)]
        overlap: Option<u64>,
        /// Where the parameters go (default `query`).
        #[serde(default, rename = "in")]
        place: PagePlace,
        /// More pages than this are an error (default 100000).
        #[serde(default)]
        max_pages: Option<u64>,
    },
    /// An answer has a token for the next page.
    Cursor {
        /// Where the token is: a JSON path of the answer, `header.NAME`, or `last_record.FIELD`.
        from: String,
        /// The parameter for it; a JSON path such as `variables.after` in a body.
        param: String,
        /// Where the parameter goes (default `query`).
        #[serde(default, rename = "in")]
        place: PagePlace,
        /// Where the answer says whether there are more.
        #[serde(default)]
        has_more: Option<String>,
        /// More pages than this are an error (default 100000).
        #[serde(default)]
        max_pages: Option<u64>,
    },
    /// The `Link` header has the next URL (RFC 8288).
    LinkHeader {
        /// The relation to follow (default `next`).
        #[serde(default)]
        rel: Option<String>,
        /// More pages than this are an error (default 100000).
        #[serde(default)]
        max_pages: Option<u64>,
    },
    /// The body has the next URL.
    NextUrl {
        /// Where it is.
        from: String,
        /// Where the answer says whether there are more.
        #[serde(default)]
        has_more: Option<String>,
        /// More pages than this are an error (default 100000).
        #[serde(default)]
        max_pages: Option<u64>,
    },
}

/// Which page is the last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StopOn {
    /// One without records.
    #[default]
    Empty,
    /// One with fewer records than the size of a page. Wrong where an API gives less than it is asked for.
    Short,
}

/// Where a page's parameters go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PagePlace {
    /// In the query.
    #[default]
    Query,
    /// In a header.
    Header,
    /// In the JSON body or form.
    Body,
}

/// Read only what is new since the last run.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Incremental {
    /// The field that grows with every change: a name or JSON path.
    pub cursor: String,
    /// How it is written (default `rfc3339`), and also `{cursor.start}` and the windows in requests.
    #[serde(default)]
    pub format: CursorFormat,
    /// Where the first run begins, in that format or as RFC 3339.
    #[serde(default)]
    pub initial: Option<Scalar>,
    /// How far back each run reads again, for records that came late, for instance `PT5M`.
    #[serde(default)]
    pub lookback: Option<String>,
    /// How far before now a run ends, for APIs that show records late (default `PT1M` with windows).
    #[serde(default)]
    pub lag: Option<String>,
    /// The length of one window, for instance `P30D`; `{window.start}` and `{window.end}` say where it is.
    #[serde(default)]
    pub window: Option<String>,
    /// The order in which the API gives records. In ascending order every page counts at once; else a
    /// window counts when it is whole (default `none`).
    #[serde(default)]
    pub order: Order,
}

/// How a cursor is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CursorFormat {
    /// A time with its zone, `2024-05-01T12:00:00Z`.
    #[default]
    Rfc3339,
    /// A day, `2024-05-01`.
    Date,
    /// Seconds since 1970.
    UnixS,
    /// Milliseconds since 1970.
    UnixMs,
    /// A number that grows, for instance an id.
    Integer,
    /// A text that grows, compared byte by byte.
    Text,
}

/// The order in which an API gives records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// The oldest first.
    Asc,
    /// The newest first.
    Desc,
    /// None that can be relied on.
    #[default]
    None,
}

/// A rule: what to do with an answer.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Which answers; all that is said must hold.
    pub when: When,
    /// What to do.
    #[serde(rename = "do")]
    pub action: Action,
    /// How long to wait before a retry, instead of a growing wait.
    #[serde(default)]
    pub wait: Option<String>,
    /// What to say when it fails.
    #[serde(default)]
    pub message: Option<String>,
}

/// Which answers a rule is for.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// A status, a class such as `5xx`, or a list of them.
    #[serde(default)]
    pub status: Option<OneOrMany>,
    /// Headers and their values; `*` is any.
    #[serde(default)]
    pub header: Ordered<Scalar>,
    /// JSON paths of the body and their values; `*` is any but null.
    #[serde(default)]
    pub body: Ordered<Scalar>,
}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Try again, after a growing wait or as long as `Retry-After` says.
    Retry,
    /// Wait until the reset header's time, then try again.
    WaitReset,
    /// This partition or parent has nothing: go on with the next.
    SkipPartition,
    /// Take the answer as a page without records.
    Ignore,
    /// Take it as a good answer.
    Accept,
    /// The run fails.
    Fail,
}

/// A job of the API: create it, poll until it is done, then fetch the result.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// The request that creates it. It is sent once and never again unless `safe_to_retry` is true.
    pub create: JobRequest,
    /// Where that answer has the job's id, for `{job.id}` (default `$.id`).
    #[serde(default)]
    pub id: Option<String>,
    /// The request that asks how it is.
    pub poll: Poll,
    /// Where the last answer of the poll has the URL of the result; without it, `path` leads there.
    #[serde(default)]
    pub result_url: Option<String>,
}

/// A request of a job.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JobRequest {
    /// The method (default POST).
    #[serde(default)]
    pub method: Option<Method>,
    /// The path below the base URL.
    pub path: String,
    /// Query parameters.
    #[serde(default)]
    pub params: Ordered<Param>,
    /// A JSON body.
    #[serde(default)]
    pub body: Option<Value>,
    /// Whether it may be sent again when its answer is lost (default false).
    #[serde(default)]
    pub safe_to_retry: bool,
}

/// How a job is asked how it is.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Poll {
    /// The path below the base URL, with `{job.id}`.
    pub path: String,
    /// How often (default `5s`).
    #[serde(default)]
    pub every: Option<String>,
    /// Where the answer has the job's status.
    pub status: String,
    /// The statuses of a job that is done.
    pub done: Vec<String>,
    /// The statuses of a job that failed.
    #[serde(default)]
    pub failed: Vec<String>,
    /// How long a job may take (default `1h`).
    #[serde(default)]
    pub timeout: Option<String>,
}

/// A text, number or boolean.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Scalar {
    /// A boolean.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A number.
    Float(f64),
    /// A text.
    Text(String),
}

/// A parameter's value: one, or several of the same name.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Param {
    /// One value.
    One(Scalar),
    /// The parameter is given once for each.
    Many(Vec<Scalar>),
}

/// One, or a list.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(Scalar),
    /// Several.
    Many(Vec<Scalar>),
}

impl Default for Auth {
    fn default() -> Self {
        Auth::None {}
    }
}

impl Default for Paginate {
    fn default() -> Self {
        Paginate::None {}
    }
}

impl std::fmt::Display for Scalar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Scalar::Bool(value) => value.fmt(f),
            Scalar::Integer(value) => value.fmt(f),
            Scalar::Float(value) => value.fmt(f),
            Scalar::Text(value) => value.fmt(f),
        }
    }
}
