//! Work for the processor, beside the tasks that wait for stores.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::error::Error;

/// As many pieces of work at a time as there are threads for it.
#[derive(Clone, Debug)]
pub struct Workers {
    permits: Arc<Semaphore>,
    threads: usize,
}

impl Workers {
    /// Room for `threads` pieces of work at a time.
    pub fn new(threads: usize) -> Workers {
        Workers { permits: Arc::new(Semaphore::new(threads.max(1))), threads: threads.max(1) }
    }

    /// How many pieces of work go on at a time.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Does a piece of work once there is room for it.
    ///
    /// # Errors
    ///
    /// Those of the work, and that it panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let internal = |source: Box<dyn std::error::Error + Send + Sync>| Error::Internal(source);
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|error| internal(Box::new(error)))?;
        let task = tokio::task::spawn_blocking(move || {
            let outcome = work();
            drop(permit);
            outcome
        });
        task.await.map_err(|error| internal(Box::new(error)))?
    }
}
