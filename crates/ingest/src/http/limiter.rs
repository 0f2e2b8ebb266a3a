//! When the next request may go (I8): one limiter per host and credential, shared by everything.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName};
use jiff::Timestamp;
use tokio::sync::{Mutex, Semaphore, SemaphorePermit};

use super::clock::Clock;
use crate::source::document::ResetFormat;
use crate::source::plan::Connection;

/// The limits of a host: requests per time, requests at one time, and what the host says itself.
pub(crate) struct Limiter {
    clock: Arc<dyn Clock>,
    at_once: Semaphore,
    /// The time between two requests.
    interval: Option<Duration>,
    /// How far ahead of their time requests may go after a pause.
    slack: Duration,
    remaining_header: Option<HeaderName>,
    reset_header: Option<HeaderName>,
    reset_format: ResetFormat,
    max_wait: Duration,
    state: Mutex<State>,
}

struct State {
    /// The moment of the next request, were all evenly spaced.
    due: Instant,
    /// Nothing goes before: the host said so.
    closed_until: Option<Instant>,
}

impl Limiter {
    pub(crate) fn new(connection: &Connection, clock: Arc<dyn Clock>) -> Self {
        let interval = connection.interval;
        Self {
            at_once: Semaphore::new(connection.max_concurrency),
            interval,
            slack: interval.unwrap_or_default() * (connection.burst - 1),
            remaining_header: connection.remaining_header.clone(),
            reset_header: connection.reset_header.clone(),
            reset_format: connection.reset_format,
            max_wait: connection.retry.max_wait,
            state: Mutex::new(State { due: clock.instant(), closed_until: None }),
            clock,
        }
    }

    /// Waits until a request may go; the permit is held while it is under way. `None` only when the run is
    /// over.
    pub(crate) async fn enter(&self) -> Option<SemaphorePermit<'_>> {
        let permit = self.at_once.acquire().await.ok()?;
        self.pace().await;
        Some(permit)
    }

    /// Waits for the next slot only: for requests that others under way wait for.
    pub(crate) async fn pace(&self) {
        while let Some(wait) = self.next_slot().await {
            self.clock.sleep(wait).await;
        }
    }

    /// Takes the next slot when it is there, else says how long to wait.
    ///
    /// The slot is taken when its time has come and not before, so that of many who wait each goes in its
    /// turn, and a host that closes meanwhile is obeyed by all.
    async fn next_slot(&self) -> Option<Duration> {
        let mut state = self.state.lock().await;
        let now = self.clock.instant();
        if let Some(until) = state.closed_until {
            if until > now {
                return Some(until - now);
            }
            state.closed_until = None;
        }
        let interval = self.interval?;
        // Time that went by unused is lost, but for the burst.
        let floor = now.checked_sub(self.slack).unwrap_or(now);
        // A sleep ends a little late: that little is not lost, or the rate would fall below what is allowed.
        let lateness = now.saturating_duration_since(state.due);
        if lateness > self.slack + interval.min(LATENESS) {
            state.due = floor;
        }
        if state.due > now {
            return Some(state.due - now);
        }
        state.due += interval;
        None
    }

    /// Closes the host for this long.
    pub(crate) async fn close_for(&self, wait: Duration) {
        let mut state = self.state.lock().await;
        let until = self.clock.instant() + wait;
        state.closed_until = Some(state.closed_until.map_or(until, |before| before.max(until)));
    }

    /// Reads what an answer says of requests left, and closes the host when there are none.
    pub(crate) async fn heed(&self, headers: &HeaderMap) {
        let Some(remaining) = self.remaining_header.as_ref().and_then(|name| headers.get(name))
        else {
            return;
        };
        let remaining = remaining.to_str().ok().and_then(|text| text.trim().parse::<f64>().ok());
        if remaining.is_some_and(|remaining| remaining < 1.0)
            && let Some(wait) = self.until_reset(headers)
        {
            self.close_for(wait.min(self.max_wait)).await;
        }
    }

    /// How long until the host takes requests again, as its reset header says.
    pub(crate) fn until_reset(&self, headers: &HeaderMap) -> Option<Duration> {
        let value = headers.get(self.reset_header.as_ref()?)?.to_str().ok()?;
        let number: f64 = value.trim().parse().ok()?;
        // Clocks differ: the server's own Date is what its reset is measured by.
        let now = super::verdict::server_time(headers).unwrap_or_else(|| self.clock.now());
        let now_s = now.as_millisecond() as f64 / 1000.0;
        let seconds = match self.reset_format {
            ResetFormat::UnixS => number - now_s,
            ResetFormat::UnixMs => number / 1000.0 - now_s,
            ResetFormat::DeltaS => number,
        };
        // A second more, since such headers are cut to whole seconds.
        Duration::try_from_secs_f64(seconds.max(0.0) + 1.0).ok()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// How late a slot may be taken without moving all that follow.
const LATENESS: Duration = Duration::from_millis(100);
