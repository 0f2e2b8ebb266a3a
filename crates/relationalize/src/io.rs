//! The bridge to object stores: the engine's threads wait, one small runtime does the network.

use std::future::Future;

/// Runs what is asynchronous.
#[derive(Debug)]
pub struct Io {
    runtime: tokio::runtime::Runtime,
}

impl Io {
    /// Starts the runtime; its two threads sleep until something is asked of a store.
    ///
    /// # Errors
    ///
    /// The system gives no threads.
    pub fn start() -> std::io::Result<Io> {
        Io::start_with(2)
    }

    /// As [`Io::start`], with as many threads as shall compute there as well.
    ///
    /// # Errors
    ///
    /// The system gives no threads.
    pub fn start_with(threads: usize) -> std::io::Result<Io> {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(threads.max(1)).thread_name("io").enable_all();
        Ok(Io { runtime: builder.build()? })
    }

    /// Waits for `future`; callers are threads of the engine, never of the runtime.
    pub fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Runs `future` beside the caller.
    pub fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        self.runtime.spawn(future)
    }
}
