//! The threads that do the work. Two queues: what frees memory (encoding) goes before what takes it
//! (shredding).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, select_biased, unbounded};

use crate::error::Error;

type Task = Box<dyn FnOnce() + Send>;

/// A fixed number of threads that run tasks.
pub struct Pool {
    urgent: Option<Sender<Task>>,
    normal: Option<Sender<Task>>,
    threads: Vec<JoinHandle<()>>,
}

/// Room for records as deep as `--max-depth` allows.
const STACK_BYTES: usize = 64 << 20;

impl Pool {
    /// Starts `num_threads` threads.
    ///
    /// # Errors
    ///
    /// The system gives no threads.
    pub fn start(num_threads: usize) -> std::io::Result<Pool> {
        let (urgent, urgent_tasks) = unbounded::<Task>();
        let (normal, normal_tasks) = unbounded::<Task>();
        let threads = (0..num_threads.max(1))
            .map(|number| {
                let (urgent, normal) = (urgent_tasks.clone(), normal_tasks.clone());
                std::thread::Builder::new()
                    .name(format!("worker-{number}"))
                    .stack_size(STACK_BYTES)
                    .spawn(move || run(&urgent, &normal))
            })
            .collect::<std::io::Result<_>>()?;
        Ok(Pool { urgent: Some(urgent), normal: Some(normal), threads })
    }

    /// How many threads there are.
    pub fn num_threads(&self) -> usize {
        self.threads.len()
    }

    /// Queues a task that takes memory.
    pub fn spawn(&self, task: impl FnOnce() + Send + 'static) {
        if let Some(queue) = &self.normal {
            let _ = queue.send(Box::new(task));
        }
    }

    /// Runs all `tasks` before any that [`Pool::spawn`] queued, and waits for their results, which
    /// come in the order of the tasks. `None` stands for a task that panicked.
    pub fn run_all<T, F>(&self, tasks: Vec<F>) -> Vec<Option<T>>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let mut results: Vec<Option<T>> = tasks.iter().map(|_| None).collect();
        let (done, finished) = unbounded();
        if let Some(queue) = &self.urgent {
            for (at, task) in tasks.into_iter().enumerate() {
                let done = done.clone();
                let _ = queue.send(Box::new(move || {
                    let _ = done.send((at, task()));
                }));
            }
        }
        drop(done);
        for (at, result) in finished {
            if let Some(slot) = results.get_mut(at) {
                *slot = Some(result);
            }
        }
        results
    }
}

/// Runs `work` on a thread with room for records as deep as `--max-depth` allows.
///
/// # Errors
///
/// The work's own, or [`Error::Panicked`].
pub fn on_deep_stack<T: Send>(work: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Error> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("run".to_owned()).stack_size(STACK_BYTES);
        match thread.spawn_scoped(scope, work) {
            Ok(running) => running.join().unwrap_or(Err(Error::Panicked)),
            Err(source) => Err(Error::Read { object: "the system's threads".to_owned(), source }),
        }
    })
}

fn run(urgent: &Receiver<Task>, normal: &Receiver<Task>) {
    loop {
        let task = select_biased! {
            recv(urgent) -> task => task,
            recv(normal) -> task => task,
        };
        let Ok(task) = task else { return };
        // A panic costs its task, whose owner sees that no result comes; the thread lives on.
        let _ = catch_unwind(AssertUnwindSafe(task));
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        (self.urgent, self.normal) = (None, None);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
