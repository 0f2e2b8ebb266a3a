//! The clock, which is handed in: tests need not wait.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::Timestamp;

/// What tells the time, and waits.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The time of day.
    fn now(&self) -> Timestamp;
    /// A moment that only grows.
    fn instant(&self) -> Instant;
    /// Waits.
    async fn sleep(&self, duration: Duration);
}

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn instant(&self) -> Instant {
        Instant::now()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
