//! The request plan: a source that was checked, and cannot be wrong any more (I1).
//!
//! Another front end could make it too: nothing here knows of YAML.

use std::time::Duration;

use http::{HeaderName, Method};
use jiff::SignedDuration;
use solder_landing::raw::{Mode, StreamName};
use url::Url;

use super::document::{Action, CursorFormat, Order, PagePlace, ResetFormat, StopOn};
use super::template::Template;
use crate::auth::AuthSettings;
use crate::page::{Format, JsonPath};
use crate::secrets::SecretRef;

/// A source, ready to be read.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its name in `raw/`.
    pub name: String,
    /// How it is reached.
    pub connection: Connection,
    /// Its streams, in the order of the file.
    pub streams: Vec<Stream>,
    /// What people should look at, with its place in the file: no error, and yet hardly meant.
    pub warnings: Vec<String>,
}

impl Source {
    /// The secrets that some of its streams and their requests need, each once, in the order of the file.
    pub(crate) fn secrets(&self, streams: &[usize]) -> Vec<SecretRef> {
        let mut found = self.connection.auth.references();
        for stream in streams.iter().filter_map(|position| self.streams.get(*position)) {
            let jobs = stream.job.iter().flat_map(|job| [&job.create, &job.poll]);
            for request in std::iter::once(&stream.request).chain(jobs) {
                found.extend(request.secrets().cloned());
            }
        }
        let mut once: Vec<SecretRef> = Vec::new();
        for reference in found {
            if !once.contains(&reference) {
                once.push(reference);
            }
        }
        once
    }
}

/// How an API is reached.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Where all paths begin.
    pub base_url: Url,
    /// How requests prove who sends them.
    pub auth: AuthSettings,
    /// The time between two requests; `None` without a limit.
    pub interval: Option<Duration>,
    /// Requests that may follow each other at once.
    pub burst: u32,
    /// The header that says how many requests are left.
    pub remaining_header: Option<HeaderName>,
    /// The header that says when there are more again.
    pub reset_header: Option<HeaderName>,
    /// What stands in it.
    pub reset_format: ResetFormat,
    /// Requests under way at one time.
    pub max_concurrency: usize,
    /// Whether addresses of private networks are allowed.
    pub allow_private_networks: bool,
    /// Further hosts that URLs may lead to, in lower case.
    pub allowed_hosts: Vec<String>,
    /// To connect.
    pub connect_timeout: Duration,
    /// Between two pieces of an answer.
    pub idle_timeout: Duration,
    /// For one attempt.
    pub attempt_timeout: Duration,
    /// For the whole run.
    pub run_timeout: Option<Duration>,
    /// When and how often failed requests are tried again.
    pub retry: Retry,
    /// The most bytes of one answer, decompressed.
    pub max_body_bytes: u64,
}

/// When and how often failed requests are tried again.
#[derive(Debug, Clone)]
pub struct Retry {
    /// The most attempts.
    pub max_attempts: u32,
    /// The most time for all attempts.
    pub max_elapsed: Duration,
    /// The first wait's upper bound.
    pub backoff: Duration,
    /// The longest wait of ours.
    pub max_backoff: Duration,
    /// The longest wait that a server may ask for.
    pub max_wait: Duration,
}

impl Retry {
    /// For people who wait for an answer: a few attempts, within seconds.
    #[must_use]
    pub fn brief(&self) -> Self {
        Self {
            max_attempts: self.max_attempts.min(3),
            max_elapsed: self.max_elapsed.min(Duration::from_secs(10)),
            max_backoff: self.max_backoff.min(Duration::from_secs(2)),
            ..self.clone()
        }
    }
}

/// A stream, ready to be read.
#[derive(Debug, Clone)]
pub struct Stream {
    /// Its name in `raw/`.
    pub name: StreamName,
    /// The request of a page, without what pagination adds.
    pub request: RequestPlan,
    /// Where the records are.
    pub records: JsonPath,
    /// Whether an answer may lack that path.
    pub records_optional: bool,
    /// What answers are made of.
    pub format: Format,
    /// The declared key.
    pub primary_key: Vec<JsonPath>,
    /// The values of each partition's name.
    pub partitions: Vec<(String, Vec<String>)>,
    /// The stream whose records are the partitions.
    pub parent: Option<Parent>,
    /// How one page leads to the next.
    pub paginate: Paginate,
    /// How only what is new is read.
    pub incremental: Option<Incremental>,
    /// What a run's records do to those before.
    pub mode: Mode,
    /// And those of a run that reads all anew: they replace them, unless the stream says that it appends.
    pub full_mode: Mode,
    /// Fields that are added to records.
    pub add: Vec<(String, Template)>,
    /// Rules on answers, those of the connection behind the stream's.
    pub rules: Vec<Rule>,
    /// The job that makes the result.
    pub job: Option<Job>,
    /// Fewer records are an error.
    pub expect_min_records: u64,
}

/// A request with placeholders.
#[derive(Debug, Clone)]
pub struct RequestPlan {
    /// The method.
    pub method: Method,
    /// The path below the base URL.
    pub path: Template,
    /// Query parameters.
    pub params: Vec<(String, Template)>,
    /// Headers.
    pub headers: Vec<(HeaderName, Template)>,
    /// The body.
    pub body: Option<Body>,
    /// Whether it may be sent again.
    pub is_retryable: bool,
}

impl RequestPlan {
    /// The references to secrets in it.
    fn secrets(&self) -> impl Iterator<Item = &SecretRef> {
        let mut templates: Vec<&Template> = vec![&self.path];
        templates.extend(self.params.iter().map(|(_, template)| template));
        templates.extend(self.headers.iter().map(|(_, template)| template));
        match &self.body {
            None => {}
            Some(Body::Form(pairs)) => templates.extend(pairs.iter().map(|(_, template)| template)),
            Some(Body::Json(node)) => node.add_templates(&mut templates),
        }
        templates.into_iter().flat_map(Template::secrets)
    }
}

/// A body with placeholders.
#[derive(Debug, Clone)]
pub enum Body {
    /// JSON.
    Json(Node),
    /// A form.
    Form(Vec<(String, Template)>),
}

/// A JSON value with placeholders in its texts.
#[derive(Debug, Clone)]
pub enum Node {
    /// A text. One that is nothing but a placeholder without a value is left out.
    Text(Template),
    /// A list.
    List(Vec<Node>),
    /// An object.
    Map(Vec<(String, Node)>),
    /// Anything else.
    Value(serde_json::Value),
}

impl Node {
    fn add_templates<'s>(&'s self, templates: &mut Vec<&'s Template>) {
        match self {
            Node::Text(template) => templates.push(template),
            Node::List(items) => items.iter().for_each(|item| item.add_templates(templates)),
            Node::Map(members) => {
                members.iter().for_each(|(_, member)| member.add_templates(templates));
            }
            Node::Value(_) => {}
        }
    }
}

/// The stream whose records are another's partitions.
#[derive(Debug, Clone)]
pub struct Parent {
    /// Its place among the source's streams; before its children's.
    pub stream: usize,
    /// The fields of its records that requests use.
    pub fields: Vec<JsonPath>,
}

/// How one page leads to the next.
#[derive(Debug, Clone)]
pub struct Paginate {
    /// The way.
    pub style: Style,
    /// Where the answer says whether there are more.
    pub has_more: Option<JsonPath>,
    /// More pages are an error.
    pub max_pages: u64,
}

/// The ways of pagination (I4).
#[derive(Debug, Clone)]
pub enum Style {
    /// One answer is all.
    None,
    /// Pages have numbers.
    Page {
        /// The parameter for the number.
        param: String,
        /// The first number.
        start: u64,
        /// The size of a page and its parameter.
        size: Option<(u64, Option<String>)>,
        /// Where the answer says how many pages there are.
        total_pages: Option<JsonPath>,
        /// Which page is the last.
        stop_on: StopOn,
        /// Where parameters go.
        place: PagePlace,
    },
    /// Pages begin at a record's number.
    Offset {
        /// The parameter for the number.
        param: String,
        /// The first record's number.
        start: u64,
        /// The size of a page.
        size: u64,
        /// Its parameter.
        size_param: String,
        /// Where the answer says how many records there are.
        total: Option<JsonPath>,
        /// Which page is the last.
        stop_on: StopOn,
        /// Records that a page repeats of the one before.
        overlap: u64,
        /// Where parameters go.
        place: PagePlace,
    },
    /// An answer has a token for the next page.
    Cursor {
        /// Where it is.
        from: TokenFrom,
        /// Its parameter.
        param: String,
        /// Where the parameter goes.
        place: PagePlace,
    },
    /// The `Link` header has the next URL.
    LinkHeader {
        /// The relation.
        rel: String,
    },
    /// The body has the next URL.
    NextUrl {
        /// Where it is.
        from: JsonPath,
    },
}

/// Where a page token is.
#[derive(Debug, Clone)]
pub enum TokenFrom {
    /// In the body.
    Body(JsonPath),
    /// In a header.
    Header(HeaderName),
    /// In the last record.
    LastRecord(JsonPath),
}

/// How only what is new is read.
#[derive(Debug, Clone)]
pub struct Incremental {
    /// The field that grows.
    pub cursor: JsonPath,
    /// How it is written.
    pub format: CursorFormat,
    /// Where the first run begins.
    pub initial: Option<crate::cursor::Cursor>,
    /// How far back each run reads again.
    pub lookback: SignedDuration,
    /// How far before now a run ends; `None` where nothing holds it back.
    pub lag: Option<SignedDuration>,
    /// The length of a window.
    pub window: Option<SignedDuration>,
    /// The order of records.
    pub order: Order,
    /// Whether requests say where to begin; else older records are left out here.
    pub is_bounded_by_server: bool,
}

/// A rule on answers (I7).
#[derive(Debug, Clone)]
pub struct Rule {
    /// Statuses, as inclusive ranges; empty for any.
    pub statuses: Vec<(u16, u16)>,
    /// Headers and their values; `None` for any.
    pub headers: Vec<(HeaderName, Option<String>)>,
    /// Paths of the body and their values; `None` for any but null.
    pub body: Vec<(JsonPath, Option<String>)>,
    /// What to do.
    pub action: Action,
    /// How long to wait.
    pub wait: Option<Duration>,
    /// What to say.
    pub message: Option<String>,
}

/// A job that makes the result (I11).
#[derive(Debug, Clone)]
pub struct Job {
    /// The request that creates it.
    pub create: RequestPlan,
    /// Where its answer has the id.
    pub id: JsonPath,
    /// The request that asks how it is.
    pub poll: RequestPlan,
    /// How often.
    pub every: Duration,
    /// Where the answer has the status.
    pub status: JsonPath,
    /// The statuses of a job that is done.
    pub done: Vec<String>,
    /// The statuses of a job that failed.
    pub failed: Vec<String>,
    /// How long it may take.
    pub timeout: Duration,
    /// Where the answer has the result's URL.
    pub result_url: Option<JsonPath>,
}
