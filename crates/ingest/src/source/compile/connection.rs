//! How an API is reached.

use std::time::Duration;

use url::Url;

use super::fault::{Checked, Within, fault};
use super::values::{header, interval, size_bytes, unsigned};
use crate::source::auth;
use crate::source::document as doc;
use crate::source::plan::{Connection, Retry};
use crate::source::template::{Params, Part, Template};

pub(super) fn connection(connection: &doc::Connection, params: &Params) -> Checked<Connection> {
    let base_url = base_url(&connection.base_url, params).within("base_url")?;
    let timeouts = &connection.timeouts;
    let retry = &connection.retry;
    let limit = &connection.rate_limit;
    let time = |text: &Option<String>, default: u64, name: &str| match text {
        None => Ok(Duration::from_secs(default)),
        Some(text) => unsigned(text).within(name),
    };
    Ok(Connection {
        auth: auth::settings(&connection.auth, &base_url, params).within("auth")?,
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
        [Part::Literal(text)] => text,
        _ => return Err(fault("only `{param.NAME}` can stand in a base URL")),
    };
    if !["https://", "http://"].iter().any(|scheme| text.starts_with(scheme)) {
        return Err(fault(format!("`{text}` begins with neither https:// nor http://")));
    }
    let mut url =
        Url::parse(text).map_err(|error| fault(format!("`{text}` is no URL: {error}")))?;
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
