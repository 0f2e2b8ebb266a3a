//! Document → plan: everything that a run relies on is checked here (I1).

use std::collections::HashSet;
use std::time::Duration;

use http::HeaderName;
use jiff::SignedDuration;
use solder_landing::raw::{Mode, StreamName};
use url::Url;

use super::document::{self as doc, Document, Scalar};
use super::ordered::Ordered;
use super::plan::{
    Body, Connection, Incremental, Job, Node, Paginate, Parent, RequestPlan, Retry, Rule, Source,
    Stream, Style, TokenFrom,
};
use super::template::{Params, Placeholder, Template};
use crate::cursor::duration;
use crate::page::{Format, JsonPath};

/// What is wrong with a source, and where: a path of names such as `streams`, `issues`, `paginate`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) path: Vec<String>,
    pub(crate) message: String,
}

pub(crate) type Checked<T> = Result<T, Fault>;

/// Puts a name before a fault's path, on its way up.
pub(crate) trait Within<T> {
    fn within(self, name: &str) -> Checked<T>;
}

impl<T> Within<T> for Checked<T> {
    fn within(self, name: &str) -> Checked<T> {
        self.map_err(|mut fault| {
            fault.path.insert(0, name.to_owned());
            fault
        })
    }
}

pub(crate) fn fault(message: impl ToString) -> Fault {
    Fault { path: Vec::new(), message: message.to_string() }
}

/// Makes the plan of a document.
///
/// `file_name` names the source when it has no name of its own; `given` are the values of `--param`.
pub(crate) fn compile(
    document: &Document,
    file_name: &str,
    given: &[(String, String)],
) -> Checked<Source> {
    if document.version != 1 {
        return Err(fault(format!("this program reads version 1, not {}", document.version)))
            .within("version");
    }
    let params = parameters(&document.parameters, given).within("parameters")?;
    let name = document.name.as_deref().unwrap_or(file_name).to_owned();
    let connection = connection(&document.connection, &params).within("connection")?;
    if document.streams.is_empty() {
        return Err(fault("a source has at least one stream")).within("streams");
    }
    let names: Vec<&str> = document.streams.iter().map(|(name, _)| name).collect();
    let mut streams = Vec::new();
    for (stream_name, stream) in document.streams.iter() {
        let context = Context { connection: &document.connection, params: &params, names: &names };
        let plan = StreamName::new(&name, stream_name)
            .map_err(fault)
            .and_then(|name| context.stream(name, stream))
            .within(stream_name)
            .within("streams")?;
        streams.push(plan);
    }
    check_parents(&streams)?;
    Ok(Source { name, connection, streams })
}

fn parameters(declared: &Ordered<Option<Scalar>>, given: &[(String, String)]) -> Checked<Params> {
    for (name, _) in given {
        if declared.get(name).is_none() {
            let known: Vec<&str> = declared.iter().map(|(name, _)| name).collect();
            return Err(fault(match known.as_slice() {
                [] => format!("`--param {name}`: the source declares no parameters"),
                _ => format!("`--param {name}`: the source declares only `{}`", known.join("`, `")),
            }));
        }
    }
    Ok(declared
        .iter()
        .map(|(name, default)| {
            let given = given.iter().rev().find(|(candidate, _)| candidate == name);
            let value = given
                .map(|(_, value)| value.clone())
                .or_else(|| default.as_ref().map(ToString::to_string));
            (name.to_owned(), value)
        })
        .collect())
}

fn connection(connection: &doc::Connection, params: &Params) -> Checked<Connection> {
    let base_url = base_url(&connection.base_url, params).within("base_url")?;
    let timeouts = &connection.timeouts;
    let retry = &connection.retry;
    let limit = &connection.rate_limit;
    let time = |text: &Option<String>, default: u64, name: &str| match text {
        None => Ok(Duration::from_secs(default)),
        Some(text) => unsigned(text).within(name),
    };
    Ok(Connection {
        auth: super::auth::settings(&connection.auth, &base_url, params).within("auth")?,
        base_url,
        interval: limit
            .per_host
            .as_deref()
            .map(interval)
            .transpose()
            .within("per_host")
            .within("rate_limit")?,
        burst: limit.burst.unwrap_or(1).max(1),
        remaining_header: header(&limit.remaining_header, "remaining_header")
            .within("rate_limit")?,
        reset_header: header(&limit.reset_header, "reset_header").within("rate_limit")?,
        reset_format: limit.reset_format,
        max_concurrency: connection.max_concurrency.unwrap_or(4).max(1),
        allow_private_networks: connection.allow_private_networks,
        allowed_hosts: connection.allowed_hosts.iter().map(|h| h.to_ascii_lowercase()).collect(),
        connect_timeout: time(&timeouts.connect, 10, "connect").within("timeouts")?,
        idle_timeout: time(&timeouts.idle, 60, "idle").within("timeouts")?,
        attempt_timeout: time(&timeouts.attempt, 30 * 60, "attempt").within("timeouts")?,
        run_timeout: timeouts
            .run
            .as_deref()
            .map(unsigned)
            .transpose()
            .within("run")
            .within("timeouts")?,
        retry: Retry {
            max_attempts: retry.max_attempts.unwrap_or(6).max(1),
            max_elapsed: time(&retry.max_elapsed, 30 * 60, "max_elapsed").within("retry")?,
            backoff: time(&retry.backoff, 1, "backoff").within("retry")?,
            max_backoff: time(&retry.max_backoff, 60, "max_backoff").within("retry")?,
            max_wait: time(&retry.max_wait, 15 * 60, "max_wait").within("retry")?,
        },
        max_body_bytes: match &connection.max_body {
            None => 4 << 30,
            Some(text) => size_bytes(text).within("max_body")?,
        },
    })
}

fn base_url(text: &str, params: &Params) -> Checked<Url> {
    let template = Template::parse(text, params).map_err(fault)?;
    let text = match template.parts.as_slice() {
        [super::template::Part::Literal(text)] => text,
        _ => return Err(fault("only `{param.NAME}` can stand in a base URL")),
    };
    let mut url =
        Url::parse(text).map_err(|error| fault(format!("`{text}` is no URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(fault(format!("`{text}` begins with neither https:// nor http://")));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(fault("credentials belong in `auth`, not in the URL"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(fault("query parameters belong in `params`, not in the base URL"));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

/// What the streams of a source are checked against.
struct Context<'a> {
    connection: &'a doc::Connection,
    params: &'a Params,
    names: &'a [&'a str],
}

impl Context<'_> {
    fn stream(&self, name: StreamName, stream: &doc::Stream) -> Checked<Stream> {
        let paginate = paginate(&stream.paginate).within("paginate")?;
        let mut request = self.page_request(stream)?;
        let mut used: Vec<Placeholder> = request.placeholders().cloned().collect();
        let add = self.templates(&stream.add, "add", Template::without_secrets)?;
        used.extend(add.iter().flat_map(|(_, template)| template.placeholders().cloned()));
        let job = stream.job.as_ref().map(|job| self.job(job)).transpose().within("job")?;
        if let Some(job) = &job {
            used.extend(job.create.placeholders().cloned());
            used.extend(job.poll.placeholders().cloned());
        }
        if let Some(size) = page_size(&paginate.style) {
            request.params.retain(|(name, _)| *name != size);
        }
        let incremental = stream
            .incremental
            .as_ref()
            .map(|incremental| incremental_of(incremental, &used))
            .transpose()
            .within("incremental")?;
        let partitions = self.partitions(stream, &used)?;
        check_placeholders(&used, stream)?;
        let mode = match (stream.mode, &incremental) {
            (Some(doc::WriteMode::Replace), Some(_)) => {
                return Err(fault("an incremental stream appends: it has only what is new"))
                    .within("mode");
            }
            (Some(doc::WriteMode::Append), _) | (None, Some(_)) => Mode::Append,
            (Some(doc::WriteMode::Replace) | None, None) => Mode::Replace,
        };
        let mut rules = rules(&stream.rules).within("rules")?;
        rules.extend(self::rules(&self.connection.rules).within("rules")?);
        Ok(Stream {
            records: match &stream.records {
                None => JsonPath::root(),
                Some(text) => path(text).within("records")?,
            },
            records_optional: stream.records_optional,
            format: format(stream)?,
            primary_key: stream
                .primary_key
                .iter()
                .map(|field| path(field))
                .collect::<Checked<_>>()
                .within("primary_key")?,
            parent: self.parent(stream, &used)?,
            request,
            partitions,
            paginate,
            incremental,
            mode,
            add,
            rules,
            job,
            expect_min_records: stream.expect_min_records.unwrap_or(0),
            name,
        })
    }

    fn page_request(&self, stream: &doc::Stream) -> Checked<RequestPlan> {
        let method = stream.method.unwrap_or(doc::Method::Get);
        let mut request = RequestPlan {
            method: method_of(method),
            path: self.path(&stream.path).within("path")?,
            params: self.params(&self.connection.params)?,
            headers: self.headers(&self.connection.headers)?,
            body: self.body(&stream.body, &stream.form)?,
            is_retryable: stream.safe_to_retry.unwrap_or(method == doc::Method::Get),
        };
        let own = self.params(&stream.params).within("params")?;
        request.params.retain(|(name, _)| own.iter().all(|(other, _)| other != name));
        request.params.extend(own);
        let own = self.headers(&stream.headers).within("headers")?;
        request.headers.retain(|(name, _)| own.iter().all(|(other, _)| other != name));
        request.headers.extend(own);
        Ok(request)
    }

    fn path(&self, text: &str) -> Checked<Template> {
        if text.contains("://") {
            return Err(fault("a path stands below the base URL; it is no URL of its own"));
        }
        if text.contains('?') || text.contains('#') {
            return Err(fault("query parameters belong in `params`"));
        }
        Template::parse(text, self.params).and_then(Template::without_secrets).map_err(fault)
    }

    fn template(&self, text: &str) -> Checked<Template> {
        Template::parse(text, self.params).map_err(fault)
    }

    fn templates(
        &self,
        texts: &Ordered<String>,
        what: &str,
        check: fn(Template) -> Result<Template, super::template::TemplateError>,
    ) -> Checked<Vec<(String, Template)>> {
        texts
            .iter()
            .map(|(name, text)| {
                let template = Template::parse(text, self.params).and_then(check).map_err(fault);
                Ok((name.to_owned(), template.within(name)?))
            })
            .collect::<Checked<_>>()
            .within(what)
    }

    fn params(&self, params: &Ordered<doc::Param>) -> Checked<Vec<(String, Template)>> {
        let mut pairs = Vec::new();
        for (name, value) in params.iter() {
            let values = match value {
                doc::Param::One(value) => std::slice::from_ref(value),
                doc::Param::Many(values) => values,
            };
            for value in values {
                let template = self.template(&value.to_string()).within(name)?;
                pairs.push((name.to_owned(), template));
            }
        }
        Ok(pairs)
    }

    fn headers(&self, headers: &Ordered<String>) -> Checked<Vec<(HeaderName, Template)>> {
        headers
            .iter()
            .map(|(name, text)| {
                let template = self.template(text).within(name)?;
                Ok((header_name(name).within(name)?, template))
            })
            .collect()
    }

    fn body(
        &self,
        body: &Option<serde_json::Value>,
        form: &Option<Ordered<String>>,
    ) -> Checked<Option<Body>> {
        match (body, form) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(fault("a request has a `body` or a `form`, not both")),
            (Some(value), None) => Ok(Some(Body::Json(self.node(value).within("body")?))),
            (None, Some(form)) => Ok(Some(Body::Form(self.templates(form, "form", Ok)?))),
        }
    }

    fn node(&self, value: &serde_json::Value) -> Checked<Node> {
        use serde_json::Value;
        Ok(match value {
            Value::String(text) => Node::Text(self.template(text)?),
            Value::Array(values) => {
                Node::List(values.iter().map(|value| self.node(value)).collect::<Checked<_>>()?)
            }
            Value::Object(map) => Node::Map(
                map.iter()
                    .map(|(name, value)| Ok((name.clone(), self.node(value).within(name)?)))
                    .collect::<Checked<_>>()?,
            ),
            other => Node::Value(other.clone()),
        })
    }

    fn partitions(
        &self,
        stream: &doc::Stream,
        used: &[Placeholder],
    ) -> Checked<Vec<(String, Vec<String>)>> {
        let mut partitions = Vec::new();
        for (name, values) in stream.partitions.iter() {
            if !used.iter().any(|p| matches!(p, Placeholder::Partition(used) if used == name)) {
                return Err(fault(format!(
                    "nothing uses `{{partition.{name}}}`, so that every value would give the same records"
                )))
                .within(name)
                .within("partitions");
            }
            let values = values
                .iter()
                .map(|value| {
                    let template = self.template(&value.to_string())?;
                    match template.parts.as_slice() {
                        [super::template::Part::Literal(text)] => Ok(text.clone()),
                        _ => Err(fault("only `{param.NAME}` can stand in a partition's value")),
                    }
                })
                .collect::<Checked<Vec<_>>>()
                .within(name)
                .within("partitions")?;
            let mut seen = HashSet::new();
            if let Some(twice) = values.iter().find(|value| !seen.insert(value.as_str())) {
                return Err(fault(format!("`{twice}` stands twice, and would be read twice")))
                    .within(name)
                    .within("partitions");
            }
            partitions.push((name.to_owned(), values));
        }
        Ok(partitions)
    }

    fn parent(&self, stream: &doc::Stream, used: &[Placeholder]) -> Checked<Option<Parent>> {
        let mut fields: Vec<JsonPath> = Vec::new();
        for placeholder in used {
            if let Placeholder::Parent(path) = placeholder
                && !fields.contains(path)
            {
                fields.push(path.clone());
            }
        }
        let Some(parent) = &stream.parent else {
            return match fields.first() {
                None => Ok(None),
                Some(field) => Err(fault(format!(
                    "`{}` is used, but there is no `parent: {{ stream: … }}`",
                    Placeholder::Parent(field.clone())
                ))),
            };
        };
        if fields.is_empty() {
            return Err(fault("nothing uses `{parent.FIELD}`")).within("parent");
        }
        let position = self.names.iter().position(|name| *name == parent.stream);
        let Some(position) = position else {
            let suggestion = nearest(&parent.stream, self.names.iter().copied());
            return Err(fault(format!("there is no stream `{}`{suggestion}", parent.stream)))
                .within("stream")
                .within("parent");
        };
        Ok(Some(Parent { stream: position, fields }))
    }

    fn job(&self, job: &doc::Job) -> Checked<Job> {
        let usual_headers = self.headers(&self.connection.headers)?;
        let usual_params = self.params(&self.connection.params)?;
        let mut create_params = usual_params.clone();
        create_params.extend(self.params(&job.create.params).within("create")?);
        let create = RequestPlan {
            method: method_of(job.create.method.unwrap_or(doc::Method::Post)),
            path: self.path(&job.create.path).within("path").within("create")?,
            params: create_params,
            headers: usual_headers.clone(),
            body: self.body(&job.create.body, &None).within("create")?,
            is_retryable: job.create.safe_to_retry,
        };
        let poll = RequestPlan {
            method: http::Method::GET,
            path: self.path(&job.poll.path).within("path").within("poll")?,
            params: usual_params,
            headers: usual_headers,
            body: None,
            is_retryable: true,
        };
        let time = |text: &Option<String>, default, name: &str| match text {
            None => Ok(Duration::from_secs(default)),
            Some(text) => unsigned(text).within(name).within("poll"),
        };
        Ok(Job {
            create,
            id: path(job.id.as_deref().unwrap_or("$.id")).within("id")?,
            poll,
            every: time(&job.poll.every, 5, "every")?,
            status: path(&job.poll.status).within("status").within("poll")?,
            done: job.poll.done.clone(),
            failed: job.poll.failed.clone(),
            timeout: time(&job.poll.timeout, 3600, "timeout")?,
            result_url: job.result_url.as_deref().map(path).transpose().within("result_url")?,
        })
    }
}

/// Placeholders that need something which the stream does not have.
fn check_placeholders(used: &[Placeholder], stream: &doc::Stream) -> Checked<()> {
    let incremental = stream.incremental.as_ref();
    for placeholder in used {
        let missing = match placeholder {
            Placeholder::CursorStart if incremental.is_none() => "`incremental`",
            Placeholder::WindowStart | Placeholder::WindowEnd
                if incremental.is_none_or(|i| i.window.is_none()) =>
            {
                "`incremental: { window: … }`"
            }
            Placeholder::JobId if stream.job.is_none() => "`job`",
            Placeholder::Partition(name) if stream.partitions.get(name).is_none() => {
                let known = stream.partitions.iter().map(|(name, _)| name);
                let suggestion = nearest(name, known);
                return Err(fault(format!(
                    "`{placeholder}` is used, but `partitions` has no `{name}`{suggestion}"
                )));
            }
            _ => continue,
        };
        return Err(fault(format!("`{placeholder}` is used, but the stream has no {missing}")));
    }
    Ok(())
}

fn check_parents(streams: &[Stream]) -> Checked<()> {
    for stream in streams {
        let mut ancestor = stream;
        for _ in 0..streams.len() {
            match &ancestor.parent {
                None => break,
                Some(parent) => ancestor = &streams[parent.stream],
            }
        }
        if ancestor.parent.is_some() {
            return Err(fault("its parent is, in the end, itself"))
                .within("parent")
                .within(stream.name.stream())
                .within("streams");
        }
    }
    Ok(())
}

fn incremental_of(incremental: &doc::Incremental, used: &[Placeholder]) -> Checked<Incremental> {
    let format = incremental.format.clone();
    let span = |text: &Option<String>, name: &str| -> Checked<Option<SignedDuration>> {
        text.as_deref().map(|text| duration(text).map_err(fault)).transpose().within(name)
    };
    let window = span(&incremental.window, "window")?;
    let lookback = span(&incremental.lookback, "lookback")?;
    let lag = span(&incremental.lag, "lag")?;
    if !format.is_time() {
        for (name, is_there) in
            [("window", window.is_some()), ("lookback", lookback.is_some()), ("lag", lag.is_some())]
        {
            if is_there {
                return Err(fault("a duration needs a cursor that is a time: see `format`"))
                    .within(name);
            }
        }
    }
    let initial = incremental
        .initial
        .as_ref()
        .map(|initial| format.parse(&initial.to_string()).map_err(fault))
        .transpose()
        .within("initial")?;
    if window.is_some_and(|window| window.is_zero()) {
        return Err(fault("a window has a length")).within("window");
    }
    if window.is_some() && initial.is_none() {
        return Err(fault("windows need `initial`: where the first of them begins"));
    }
    let uses_window =
        used.iter().any(|p| matches!(p, Placeholder::WindowStart | Placeholder::WindowEnd));
    if window.is_some() && !uses_window {
        return Err(fault(
            "nothing uses `{window.start}` and `{window.end}`, so that every window would give the same records",
        ))
        .within("window");
    }
    let is_bounded_by_server = uses_window || used.contains(&Placeholder::CursorStart);
    let lag = match (lag, window) {
        (None, Some(_)) => Some(SignedDuration::from_mins(1)),
        (lag, _) => lag,
    };
    Ok(Incremental {
        cursor: path(&incremental.cursor).within("cursor")?,
        format,
        initial,
        lookback: lookback.unwrap_or(SignedDuration::ZERO),
        lag,
        window,
        order: incremental.order,
        is_bounded_by_server,
    })
}

fn paginate(paginate: &doc::Paginate) -> Checked<Paginate> {
    use doc::Paginate as P;
    let optional =
        |text: &Option<String>, name: &str| text.as_deref().map(path).transpose().within(name);
    let or = |text: &Option<String>, usual: &str| text.as_deref().unwrap_or(usual).to_owned();
    let (style, has_more, max_pages) = match paginate {
        P::None {} => (Style::None, &None, &None),
        P::Page {
            param,
            start,
            size,
            size_param,
            total_pages,
            has_more,
            stop_on,
            place,
            max_pages,
        } => {
            if *stop_on == doc::StopOn::Short && size.is_none() {
                return Err(fault("`short` needs the `size` of a page")).within("stop_on");
            }
            let size = match (size, size_param) {
                (None, Some(_)) => return Err(fault("it needs the `size`")).within("size_param"),
                (None, None) => None,
                (Some(0), _) => return Err(fault("a page has at least one record")).within("size"),
                (Some(size), param) => Some((*size, param.clone())),
            };
            let style = Style::Page {
                param: or(param, "page"),
                start: start.unwrap_or(1),
                size,
                total_pages: optional(total_pages, "total_pages")?,
                stop_on: *stop_on,
                place: *place,
            };
            (style, has_more, max_pages)
        }
        P::Offset {
            param,
            start,
            size,
            size_param,
            total,
            has_more,
            stop_on,
            overlap,
            place,
            max_pages,
        } => {
            let overlap = overlap.unwrap_or(0);
            if *size == 0 || overlap >= *size {
                return Err(fault("a page has at least one record more than its overlap"))
                    .within("size");
            }
            let style = Style::Offset {
                param: or(param, "offset"),
                start: start.unwrap_or(0),
                size: *size,
                size_param: or(size_param, "limit"),
                total: optional(total, "total")?,
                stop_on: *stop_on,
                overlap,
                place: *place,
            };
            (style, has_more, max_pages)
        }
        P::Cursor { from, param, place, has_more, max_pages } => {
            let from = token_from(from).within("from")?;
            let style = Style::Cursor { from, param: param.clone(), place: *place };
            (style, has_more, max_pages)
        }
        P::LinkHeader { rel, max_pages } => {
            (Style::LinkHeader { rel: or(rel, "next") }, &None, max_pages)
        }
        P::NextUrl { from, has_more, max_pages } => {
            (Style::NextUrl { from: path(from).within("from")? }, has_more, max_pages)
        }
    };
    let has_more = match has_more {
        None => None,
        Some(text) => Some(path(text).within("has_more")?),
    };
    Ok(Paginate { style, has_more, max_pages: max_pages.unwrap_or(100_000).max(1) })
}

pub(crate) fn token_from(text: &str) -> Checked<TokenFrom> {
    if let Some(name) = text.strip_prefix("header.") {
        return Ok(TokenFrom::Header(header_name(name)?));
    }
    match text.strip_prefix("last_record.") {
        Some(field) => Ok(TokenFrom::LastRecord(path(field)?)),
        None => Ok(TokenFrom::Body(path(text)?)),
    }
}

/// The parameter that says a page's size: pagination gives it, whatever `params` says.
fn page_size(style: &Style) -> Option<String> {
    match style {
        Style::Page { size: Some((_, Some(param))), .. } => Some(param.clone()),
        Style::Offset { size_param, .. } => Some(size_param.clone()),
        _ => None,
    }
}

fn format(stream: &doc::Stream) -> Checked<Format> {
    let has_csv = stream.csv.delimiter.is_some() || stream.csv.columns.is_some();
    if has_csv && stream.format != doc::Format::Csv {
        return Err(fault("it needs `format: csv`")).within("csv");
    }
    Ok(match stream.format {
        doc::Format::Json => Format::Json,
        doc::Format::Ndjson => Format::Ndjson,
        doc::Format::Xml => Format::Xml,
        doc::Format::Csv => Format::Csv {
            delimiter: match stream.csv.delimiter {
                None => b',',
                Some(delimiter) => u8::try_from(delimiter)
                    .map_err(|_| fault("a delimiter is one ASCII character"))
                    .within("delimiter")
                    .within("csv")?,
            },
            columns: stream.csv.columns.clone(),
        },
    })
}

fn rules(rules: &[doc::Rule]) -> Checked<Vec<Rule>> {
    rules.iter().enumerate().map(|(n, one)| rule(one).within(&n.to_string())).collect()
}

fn rule(rule: &doc::Rule) -> Checked<Rule> {
    let when = &rule.when;
    if when.status.is_none() && when.header.is_empty() && when.body.is_empty() {
        return Err(fault("a rule says which answers it is for: status, header or body"))
            .within("when");
    }
    let any_or = |value: &Scalar| match value.to_string() {
        any if any == "*" => None,
        text => Some(text),
    };
    let statuses = match &when.status {
        None => Vec::new(),
        Some(doc::OneOrMany::One(one)) => vec![status(one).within("status").within("when")?],
        Some(doc::OneOrMany::Many(many)) => {
            many.iter().map(status).collect::<Checked<_>>().within("status").within("when")?
        }
    };
    Ok(Rule {
        statuses,
        headers: when
            .header
            .iter()
            .map(|(name, value)| Ok((header_name(name)?, any_or(value))))
            .collect::<Checked<_>>()
            .within("header")
            .within("when")?,
        body: when
            .body
            .iter()
            .map(|(text, value)| Ok((path(text)?, any_or(value))))
            .collect::<Checked<_>>()
            .within("body")
            .within("when")?,
        action: rule.action,
        wait: rule.wait.as_deref().map(unsigned).transpose().within("wait")?,
        message: rule.message.clone(),
    })
}

/// A status, or a class such as `5xx`.
fn status(value: &Scalar) -> Checked<(u16, u16)> {
    let text = value.to_string();
    let wrong = || fault(format!("`{text}` is no status such as 404, and no class such as 5xx"));
    let range = match text.strip_suffix("xx") {
        Some(class) => {
            let first = class.parse::<u16>().map_err(|_| wrong())?.saturating_mul(100);
            (first, first.saturating_add(99))
        }
        None => {
            let status = text.parse().map_err(|_| wrong())?;
            (status, status)
        }
    };
    if (100..=599).contains(&range.0) { Ok(range) } else { Err(wrong()) }
}

fn method_of(method: doc::Method) -> http::Method {
    match method {
        doc::Method::Get => http::Method::GET,
        doc::Method::Post => http::Method::POST,
        doc::Method::Put => http::Method::PUT,
    }
}

fn header(name: &Option<String>, what: &str) -> Checked<Option<HeaderName>> {
    name.as_deref().map(header_name).transpose().within(what)
}

fn header_name(name: &str) -> Checked<HeaderName> {
    name.parse().map_err(|_| fault(format!("`{name}` cannot name a header")))
}

pub(crate) fn path(text: &str) -> Checked<JsonPath> {
    text.parse().map_err(fault)
}

fn unsigned(text: &str) -> Checked<Duration> {
    duration(text).map_err(fault)?.try_into().map_err(fault)
}

/// `10/s`, `300/m`, `5000/h`, `100000/d` → the time between two requests.
fn interval(text: &str) -> Checked<Duration> {
    let wrong = || fault(format!("`{text}` is no rate such as `10/s`, `300/m` or `5000/h`"));
    let (number, unit) = text.split_once('/').ok_or_else(wrong)?;
    let number: f64 = number.trim().parse().map_err(|_| wrong())?;
    let seconds = match unit.trim() {
        "s" | "sec" | "second" => 1.0,
        "m" | "min" | "minute" => 60.0,
        "h" | "hour" => 3600.0,
        "d" | "day" => 86_400.0,
        _ => return Err(wrong()),
    };
    match number > 0.0 && number.is_finite() {
        true => Duration::try_from_secs_f64(seconds / number).map_err(|_| wrong()),
        false => Err(wrong()),
    }
}

/// `512MiB`, `4GiB`, `1000000`.
fn size_bytes(text: &str) -> Checked<u64> {
    let wrong = || fault(format!("`{text}` is no size such as `512MiB` or `4GiB`"));
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
    let factor = match text[digits..].trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(factor).filter(|size| *size > 0).ok_or_else(wrong)
}

/// `, did you mean …?`, where a known name is near.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    known
        .map(|known| (strsim::jaro_winkler(known, name), known))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map_or_else(String::new, |(_, known)| format!(", did you mean `{known}`?"))
}

impl RequestPlan {
    /// The placeholders of all its parts.
    pub fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        let mut templates: Vec<&Template> = vec![&self.path];
        templates.extend(self.params.iter().map(|(_, template)| template));
        templates.extend(self.headers.iter().map(|(_, template)| template));
        match &self.body {
            None => {}
            Some(Body::Form(form)) => templates.extend(form.iter().map(|(_, template)| template)),
            Some(Body::Json(node)) => node.templates(&mut templates),
        }
        templates.into_iter().flat_map(Template::placeholders)
    }
}

impl Node {
    fn templates<'a>(&'a self, into: &mut Vec<&'a Template>) {
        match self {
            Node::Text(template) => into.push(template),
            Node::List(nodes) => nodes.iter().for_each(|node| node.templates(into)),
            Node::Map(pairs) => pairs.iter().for_each(|(_, node)| node.templates(into)),
            Node::Value(_) => {}
        }
    }
}
