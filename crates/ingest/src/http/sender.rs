//! One request until there is an answer to work with: attempts, waits, redirects, new credentials.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use url::Url;

use super::error::{ReadError, SendError, excerpt};
use super::guard::without_query;
use super::{
    Body, Clock, Guard, Limiter, Request, Transport, TransportError, Verdict, retry_after,
};
use crate::auth::{AuthSettings, Authenticator, Generation};
use crate::page::{JsonPath, find};
use crate::secrets::Redactor;
use crate::source::plan::{Connection, Retry, Rule};

/// Redirects that one request may lead through.
const MAX_REDIRECTS: usize = 10;
/// What is read of an answer that is no page: rules look into it, and people read its beginning.
const MAX_ERROR_BODY_BYTES: usize = 64 << 10;
/// What people are shown of an answer that says no.
const EXCERPT_CHARS: usize = 300;

/// The head of an answer that was taken.
#[derive(Debug, Clone)]
pub(crate) struct AnswerHead {
    /// Where it came from in the end.
    pub(crate) url: Url,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
}

/// What came of a request.
#[derive(Debug)]
#[must_use]
pub(crate) enum Delivery {
    /// The reader has read a good answer.
    Answer(AnswerHead),
    /// The answer counts as one without records.
    Ignored,
    /// This partition has nothing, says an answer of this status.
    Skipped(StatusCode),
}

/// Who reads the body of a good answer.
#[async_trait]
pub(crate) trait Reader: Send {
    /// Reads a body from its beginning; what an earlier attempt gave is forgotten.
    async fn read(&mut self, head: &AnswerHead, body: &mut dyn Body) -> Result<(), ReadError>;

    /// The raw JSON at a path of the body just read, for rules. Only paths of the stream's rules are asked.
    fn value(&self, path: &JsonPath) -> Option<Vec<u8>>;
}

/// What was sent for a stream.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) num_requests: AtomicU64,
    pub(crate) num_retries: AtomicU64,
    pub(crate) num_body_bytes: AtomicU64,
    /// Pages that came whole.
    pub(crate) num_pages: AtomicU64,
}

/// Sends requests over one connection.
pub(crate) struct Sender {
    pub(super) transport: Arc<dyn Transport>,
    pub(super) limiter: Arc<Limiter>,
    pub(super) guard: Guard,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) retry: Retry,
    pub(super) attempt_timeout: Duration,
    redactor: Redactor,
    /// Set once: authenticators send requests themselves.
    auth: OnceLock<Arc<dyn Authenticator>>,
    /// Whether 403 may mean that credentials are stale, as AWS says it.
    renews_when_forbidden: bool,
}

/// What one request and its answer came to.
enum Exchange {
    Delivery(Delivery),
    /// The answer is elsewhere.
    Redirect(Request),
}

/// One way an attempt can end without an answer.
enum Failure {
    /// Try again: after this long, or a growing wait.
    Again {
        wait: Option<Duration>,
        is_unsent: bool,
        last: String,
        source: Option<BoxError>,
    },
    /// The host closed until its reset.
    Closed {
        wait: Option<Duration>,
        last: String,
    },
    /// These credentials were refused.
    Unauthorized(Generation, SendError),
    Final(SendError),
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        Failure::Final(error)
    }
}

impl Sender {
    pub(crate) fn new(
        transport: Arc<dyn Transport>,
        limiter: Arc<Limiter>,
        guard: Guard,
        clock: Arc<dyn Clock>,
        redactor: Redactor,
        connection: &Connection,
    ) -> Self {
        Self {
            transport,
            limiter,
            guard,
            clock,
            retry: connection.retry.clone(),
            attempt_timeout: connection.attempt_timeout,
            redactor,
            auth: OnceLock::new(),
            renews_when_forbidden: matches!(connection.auth, AuthSettings::AwsSigv4(_)),
        }
    }

    /// From now on, requests to the connection's own origin carry credentials.
    pub(crate) fn authenticate_with(&self, auth: Arc<dyn Authenticator>) {
        let _ = self.auth.set(auth);
    }

    pub(crate) fn guard(&self) -> &Guard {
        &self.guard
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Sends a request until there is an answer that can be worked with.
    ///
    /// # Errors
    ///
    /// The answer says no for good; all attempts failed; the body is not what it should be.
    pub(crate) async fn deliver(
        &self,
        request: &Request,
        is_retryable: bool,
        rules: &[Rule],
        reader: &mut dyn Reader,
        totals: &Totals,
    ) -> Result<Delivery, SendError> {
        let begun = self.clock.instant();
        let mut renewed = false;
        let mut num_attempts = 0;
        loop {
            num_attempts += 1;
            let failure = match self.attempt(request, rules, reader, totals).await {
                Ok(delivery) => return Ok(delivery),
                Err(failure) => failure,
            };
            let (method, url) = (request.method.clone(), without_query(&request.url));
            let (wait, is_unsent, last, source) = match failure {
                Failure::Final(error) => return Err(error),
                Failure::Unauthorized(generation, error) => match self.auth.get() {
                    Some(auth) if !renewed && auth.renew(generation).await? => {
                        renewed = true;
                        totals.num_retries.fetch_add(1, Ordering::Relaxed);
                        continue;
                    }
                    _ => return Err(error),
                },
                Failure::Again { wait, is_unsent, last, source } => (wait, is_unsent, last, source),
                Failure::Closed { wait, last } => (wait, true, last, None),
            };
            if !is_retryable && !is_unsent {
                return Err(SendError::NotRepeatable { method, url, last, source });
            }
            if let Some(wait) = wait
                && wait > self.retry.max_wait
            {
                return Err(SendError::LongWait {
                    method,
                    url,
                    wait_seconds: wait.as_secs(),
                    max_seconds: self.retry.max_wait.as_secs(),
                });
            }
            let wait = wait.unwrap_or_else(|| self.backoff(num_attempts));
            let elapsed = self.clock.instant().saturating_duration_since(begun);
            if num_attempts >= self.retry.max_attempts || elapsed + wait > self.retry.max_elapsed {
                let seconds = elapsed.as_secs();
                return Err(SendError::Exhausted {
                    method,
                    url,
                    num_attempts,
                    seconds,
                    last,
                    source,
                });
            }
            totals.num_retries.fetch_add(1, Ordering::Relaxed);
            self.clock.sleep(wait).await;
        }
    }

    /// A random part of a wait that doubles with every attempt (full jitter).
    pub(super) fn backoff(&self, num_attempts: u32) -> Duration {
        let doubled = self.retry.backoff.saturating_mul(1 << (num_attempts - 1).min(20));
        doubled.min(self.retry.max_backoff).mul_f64(fastrand::f64())
    }

    async fn attempt(
        &self,
        request: &Request,
        rules: &[Rule],
        reader: &mut dyn Reader,
        totals: &Totals,
    ) -> Result<Delivery, Failure> {
        let mut request = request.clone();
        for _ in 0..=MAX_REDIRECTS {
            // The permit is held until the body has been read: it is what is under way.
            let _permit = self.limiter.enter().await;
            let mut sent = request.clone();
            let mut generation = Generation::default();
            sent.headers.entry(header::ACCEPT_ENCODING).or_insert(HeaderValue::from_static("gzip"));
            if self.guard.is_home(&sent.url)
                && let Some(auth) = self.auth.get()
            {
                generation = auth.apply(&mut sent).await.map_err(SendError::Auth)?;
            }
            totals.num_requests.fetch_add(1, Ordering::Relaxed);
            // Only now: whoever waited in line, or for a token, was not slow.
            let exchange = self.exchange(&request, &sent, generation, rules, reader, totals);
            match tokio::time::timeout(self.attempt_timeout, exchange).await {
                Ok(Ok(Exchange::Delivery(delivery))) => return Ok(delivery),
                Ok(Ok(Exchange::Redirect(target))) => request = target,
                Ok(Err(failure)) => return Err(failure),
                Err(_) => {
                    return Err(transport_failure(TransportError::Timeout {
                        host: request.url.host_str().unwrap_or_default().to_owned(),
                        what: "timeouts.attempt",
                        seconds: self.attempt_timeout.as_secs(),
                    }));
                }
            }
        }
        Err(Failure::Final(SendError::Redirect {
            method: request.method.clone(),
            url: without_query(&request.url),
            reason: "too many redirects",
        }))
    }

    /// Sends `request`, as `sent` with its credentials, and takes what comes.
    async fn exchange(
        &self,
        request: &Request,
        sent: &Request,
        generation: Generation,
        rules: &[Rule],
        reader: &mut dyn Reader,
        totals: &Totals,
    ) -> Result<Exchange, Failure> {
        let mut response = self.transport.send(sent).await.map_err(transport_failure)?;
        let head = AnswerHead {
            url: request.url.clone(),
            status: response.status,
            headers: response.headers,
        };
        self.limiter.heed(&head.headers).await;
        if let Some(target) = self.redirect(request, &head)? {
            return Ok(Exchange::Redirect(target));
        }
        let mut body = Counted { inner: response.body.as_mut(), totals };
        let judged = self.judge(request, &head, generation, &mut body, rules, reader).await;
        judged.map(Exchange::Delivery)
    }

    /// The request that a redirect asks for.
    fn redirect(&self, request: &Request, head: &AnswerHead) -> Result<Option<Request>, SendError> {
        if !matches!(head.status.as_u16(), 301 | 302 | 303 | 307 | 308) {
            return Ok(None);
        }
        let failed = |reason| SendError::Redirect {
            method: request.method.clone(),
            url: without_query(&request.url),
            reason,
        };
        let location = head.headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
        let location = location.ok_or_else(|| failed("a redirect without `Location`"))?;
        let url = request.url.join(location).map_err(|_| failed("a redirect to no URL"))?;
        self.guard.check(&url, "a redirect")?;
        let mut target = Request { url, ..request.clone() };
        let becomes_get = head.status == StatusCode::SEE_OTHER
            || (matches!(head.status.as_u16(), 301 | 302) && request.method == Method::POST);
        if becomes_get {
            target.method = Method::GET;
            target.body = None;
            target.headers.remove(header::CONTENT_TYPE);
        }
        if !self.guard.is_home(&target.url) {
            strip(&mut target);
        }
        Ok(Some(target))
    }

    /// The beginning of a body that is text, in one line.
    fn excerpt_of(&self, body: &[u8]) -> String {
        let Ok(text) = std::str::from_utf8(body) else { return String::new() };
        // Before it is cut: half a secret would not be found.
        let text = self.redactor.clean(text);
        let words: Vec<&str> = text.split_whitespace().collect();
        words.join(" ").chars().filter(|c| !c.is_control()).take(EXCERPT_CHARS).collect()
    }

    async fn judge(
        &self,
        request: &Request,
        head: &AnswerHead,
        generation: Generation,
        body: &mut Counted<'_>,
        rules: &[Rule],
        reader: &mut dyn Reader,
    ) -> Result<Delivery, Failure> {
        let mut verdict = Verdict::on(rules, head.status, &head.headers, None);
        let mut text = Bytes::new();
        if verdict == Verdict::Accept {
            reader.read(head, body).await.map_err(|error| body_failure(request, error))?;
            let value = |path: &JsonPath| reader.value(path);
            verdict = Verdict::on(rules, head.status, &head.headers, Some(&value));
        } else {
            // An answer that says no is short; what breaks while it is read changes nothing.
            text = collect(body, MAX_ERROR_BODY_BYTES).await.unwrap_or_default();
            let value = |path: &JsonPath| find(&text, path).map(<[u8]>::to_vec);
            verdict = Verdict::on(rules, head.status, &head.headers, Some(&value));
            if verdict == Verdict::Accept {
                let mut body = Resumed { begin: Some(text.clone()), rest: body };
                reader.read(head, &mut body).await.map_err(|error| body_failure(request, error))?;
            }
        }
        let (method, url, status) =
            (request.method.clone(), without_query(&request.url), head.status);
        let excerpt_of = || self.excerpt_of(&text);
        let last = || format!("status {status}{}", excerpt(&excerpt_of()));
        match verdict {
            Verdict::Accept => Ok(Delivery::Answer(head.clone())),
            Verdict::Ignore => Ok(Delivery::Ignored),
            Verdict::Skip => Ok(Delivery::Skipped(status)),
            Verdict::Retry { wait } => Err(Failure::Again {
                wait: wait.or_else(|| retry_after(&head.headers, self.limiter.now())),
                // The server says that it did nothing.
                is_unsent: matches!(status.as_u16(), 425 | 429 | 503),
                last: last(),
                source: None,
            }),
            Verdict::WaitReset => {
                let wait = self
                    .limiter
                    .until_reset(&head.headers)
                    .or_else(|| retry_after(&head.headers, self.limiter.now()));
                if let Some(wait) = wait.filter(|wait| *wait <= self.retry.max_wait) {
                    self.limiter.close_for(wait).await;
                }
                Err(Failure::Closed { wait, last: last() })
            }
            Verdict::Unauthorized => {
                let excerpt_text = excerpt_of();
                let refused = SendError::Refused { method, url, status, excerpt_text };
                Err(Failure::Unauthorized(generation, refused))
            }
            Verdict::Fail { message: Some(message) } => {
                Err(SendError::Rule { method, url, status, message }.into())
            }
            Verdict::Fail { message: None } => {
                let excerpt_text = excerpt_of();
                let refused = SendError::Refused { method, url, status, excerpt_text };
                if status == StatusCode::FORBIDDEN && self.renews_when_forbidden {
                    return Err(Failure::Unauthorized(generation, refused));
                }
                Err(refused.into())
            }
        }
    }
}

/// Takes away what says who sends, and what only the connection's origin should see.
fn strip(request: &mut Request) {
    request.body = None;
    let kept: HeaderMap = request
        .headers
        .iter()
        .filter(|(name, _)| [header::ACCEPT, header::ACCEPT_ENCODING].contains(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    request.headers = kept;
}

fn transport_failure(error: TransportError) -> Failure {
    match error.is_transient() {
        false => Failure::Final(SendError::Transport(error)),
        true => Failure::Again {
            wait: None,
            is_unsent: error.is_unsent(),
            last: error.to_string(),
            source: Some(solder_landing::causes(&error).join(": "))
                .filter(|causes| !causes.is_empty())
                .map(Into::into),
        },
    }
}

fn body_failure(request: &Request, error: ReadError) -> Failure {
    match error {
        ReadError::Transport(error) => transport_failure(error),
        // A body that ends in the middle was cut off on its way.
        ReadError::Fault(fault) if fault.is_cut_off() => {
            Failure::Again { wait: None, is_unsent: false, last: fault.to_string(), source: None }
        }
        source => Failure::Final(SendError::Body {
            method: request.method.clone(),
            url: without_query(&request.url),
            source: Box::new(source),
        }),
    }
}

/// The beginning of a body: all of it, or the chunks up to the one that passes `max_bytes`.
pub(super) async fn collect(
    body: &mut dyn Body,
    max_bytes: usize,
) -> Result<Bytes, TransportError> {
    let mut bytes = BytesMut::new();
    while bytes.len() < max_bytes
        && let Some(chunk) = body.chunk().await?
    {
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

/// A body whose beginning was collected.
struct Resumed<'a> {
    begin: Option<Bytes>,
    rest: &'a mut dyn Body,
}

#[async_trait]
impl Body for Resumed<'_> {
    async fn chunk(&mut self) -> Result<Option<Bytes>, TransportError> {
        match self.begin.take() {
            Some(begin) => Ok(Some(begin)),
            None => self.rest.chunk().await,
        }
    }
}

/// A body whose bytes are counted.
struct Counted<'a> {
    inner: &'a mut dyn Body,
    totals: &'a Totals,
}

#[async_trait]
impl Body for Counted<'_> {
    async fn chunk(&mut self) -> Result<Option<Bytes>, TransportError> {
        let chunk = self.inner.chunk().await?;
        let num_bytes = chunk.as_ref().map_or(0, Bytes::len);
        self.totals.num_body_bytes.fetch_add(num_bytes as u64, Ordering::Relaxed);
        Ok(chunk)
    }
}
