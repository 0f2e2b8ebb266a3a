//! How an operation ended, and waiting for that.

use std::sync::Arc;
use std::time::SystemTime;

use serde_json::Value;
use tokio::sync::watch;

use crate::operation::Schema;

/// How an operation ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// When.
    pub(crate) at: SystemTime,
    /// The exit code of the program.
    pub(crate) exit_code: u8,
    /// What went wrong: the message, its causes and what helps, a line each.
    pub(crate) error: Option<String>,
    /// The report of the command; null where there is none.
    pub(crate) report: Value,
    /// The columns of the tables that it wrote, as far as it told them.
    pub(crate) schemas: Vec<Schema>,
}

/// The exit code of a program that SIGINT or SIGTERM ended.
const STOPPED: [u8; 2] = [130, 143];

impl Ended {
    /// Whether it did what it was asked to do.
    pub(crate) fn is_done(&self) -> bool {
        self.exit_code == 0
    }

    /// Whether a signal ended it.
    pub(crate) fn is_stopped(&self) -> bool {
        STOPPED.contains(&self.exit_code)
    }

    /// What went wrong; of a job that has no error of its own, those of its steps.
    pub(crate) fn message(&self) -> String {
        if let Some(error) = &self.error {
            return error.trim_end().to_owned();
        }
        let steps = self.report["steps"].as_array().into_iter().flatten();
        let failed = steps.filter(|step| step["outcome"] == "failed").map(|step| {
            let name = step["step"].as_str().unwrap_or_default();
            match step["report"]["error"].as_str().or(step["error"].as_str()) {
                Some(error) => format!("{name}: {error}"),
                None => format!("{name}: exit code {}", step["exit_code"]),
            }
        });
        let failed: Vec<_> = failed.collect();
        if failed.is_empty() {
            return format!("it ended with exit code {}", self.exit_code);
        }
        failed.join("\n")
    }
}

/// The end of an operation, that observers wait for.
#[derive(Clone)]
pub(crate) struct End(watch::Receiver<Option<Arc<Ended>>>);

impl End {
    pub(crate) fn new(receiver: watch::Receiver<Option<Arc<Ended>>>) -> End {
        End(receiver)
    }

    /// Waits for the end; `None` when it never comes, since nobody is there to tell it.
    pub(crate) async fn wait(&mut self) -> Option<Arc<Ended>> {
        let ended = self.0.wait_for(Option::is_some).await.ok()?;
        ended.clone()
    }

    /// Whether it has come.
    pub(crate) fn is_there(&self) -> bool {
        self.0.borrow().is_some()
    }
}
