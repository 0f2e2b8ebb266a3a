//! Token and login requests: with the connection's limits, attempts and waits, and without its credentials.

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use http::StatusCode;
use jiff::Timestamp;

use super::sender::collect;
use super::{Answer, CallError, Calls, Clock, Request, Sender, TransportError, retry_after};

/// The most of a token's or login's answer.
const MAX_CALL_BODY_BYTES: usize = 1 << 20;

/// What authenticators send their calls by. The sender owns them, so they must not own the sender.
pub(crate) struct CallsOf {
    sender: Weak<Sender>,
    clock: Arc<dyn Clock>,
}

impl CallsOf {
    pub(crate) fn new(sender: &Arc<Sender>) -> Self {
        Self { sender: Arc::downgrade(sender), clock: sender.clock.clone() }
    }
}

#[async_trait]
impl Calls for CallsOf {
    async fn call(&self, request: Request) -> Result<Answer, CallError> {
        match self.sender.upgrade() {
            Some(sender) => sender.call(request).await,
            None => Err("the run is over".into()),
        }
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl Sender {
    /// Token and login requests: without credentials of the connection, whatever the answer.
    async fn call(&self, request: Request) -> Result<Answer, CallError> {
        let begun = self.clock.instant();
        let mut num_attempts = 0;
        loop {
            num_attempts += 1;
            if self.guard.is_home(&request.url) {
                self.limiter.pace().await;
            }
            let attempt =
                tokio::time::timeout(self.attempt_timeout, self.call_once(&request)).await;
            let is_last = num_attempts >= self.retry.max_attempts
                || self.clock.instant().saturating_duration_since(begun) > self.retry.max_elapsed;
            let wait = match attempt {
                Ok(Ok(answer)) if !is_busy(answer.status) || is_last => return Ok(answer),
                Ok(Ok(answer)) => retry_after(&answer.headers, self.clock.now())
                    .filter(|wait| *wait <= self.retry.max_wait),
                // A login whose answer was lost may have taken effect, and a token may have been changed.
                Ok(Err(error)) if !error.is_unsent() || is_last => return Err(error.into()),
                Ok(Err(_)) => None,
                Err(_) => return Err("it took longer than `timeouts.attempt`".into()),
            };
            self.clock.sleep(wait.unwrap_or_else(|| self.backoff(num_attempts))).await;
        }
    }

    /// One call, without a place of its own among those under way: whoever waits for the token has one.
    async fn call_once(&self, request: &Request) -> Result<Answer, TransportError> {
        let mut response = self.transport.send_call(request).await?;
        let body = collect(response.body.as_mut(), MAX_CALL_BODY_BYTES).await?;
        Ok(Answer { status: response.status, headers: response.headers, body })
    }
}

fn is_busy(status: StatusCode) -> bool {
    matches!(status.as_u16(), 425 | 429 | 503)
}
