//! Task tokens of AWS Step Functions: a state that waits for a token is told that the run lives, and how it ended.
//!
//! ```text
//!   SOLDER_TASK_TOKEN ──▶ Token ──▶ SendTaskHeartbeat, at once and then as often as asked for
//!                           │            └── nobody waits any more: the run stops as on SIGTERM
//!   report, outcome ────────┴──▶ SendTaskSuccess · SendTaskFailure
//! ```
//!
//! A token is a right to answer, and stands in no log.

mod answer;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::aws::{Client, Error, Service};
use crate::ended::End;
use crate::environment::Environment;
use crate::operation::{Host, Subject, token_patience};

const TOKEN: &str = "SOLDER_TASK_TOKEN";
const HEARTBEAT: &str = "SOLDER_HEARTBEAT_SECONDS";
const HEARTBEAT_DEFAULT: Duration = Duration::from_secs(60);

/// What no step of a job gets: it would answer for the job.
pub(crate) const VARIABLES: [&str; 1] = [TOKEN];

/// The codes of refusals that say that nobody waits for this token.
const GONE: [&str; 3] = ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"];

/// A token, and how it is answered.
pub(crate) struct Token {
    token: String,
    interval: Duration,
    subject: Arc<Subject>,
    client: Client,
    /// Nobody waits for it any more.
    is_gone: AtomicBool,
}

impl Token {
    /// Whether the environment holds a token.
    pub(crate) fn is_wanted(environment: Environment) -> bool {
        environment.get(TOKEN).is_some()
    }

    /// The token in the environment.
    pub(crate) fn of(
        environment: Environment,
        subject: &Arc<Subject>,
        host: &dyn Host,
    ) -> Option<Arc<Token>> {
        let token = environment.get(TOKEN)?;
        let said = environment.get(HEARTBEAT);
        let interval = said.as_deref().map_or(Some(HEARTBEAT_DEFAULT), seconds);
        if interval.is_none() {
            host.warn(&format!(
                "{HEARTBEAT} is no number of seconds above 0: heartbeats come every {} s",
                HEARTBEAT_DEFAULT.as_secs()
            ));
        }
        Some(Arc::new(Token {
            token,
            interval: interval.unwrap_or(HEARTBEAT_DEFAULT),
            subject: subject.clone(),
            client: Client::default(),
            is_gone: AtomicBool::new(false),
        }))
    }

    /// Sends heartbeats until the end, and then the outcome.
    pub(crate) async fn watch(self: Arc<Token>, mut end: End, host: Arc<dyn Host>) {
        let beating = tokio::spawn(self.clone().beat(host.clone()));
        let ended = end.wait().await;
        beating.abort();
        let Some(ended) = ended else { return };
        if self.is_gone.load(Ordering::Relaxed) {
            return;
        }
        let (operation, fields) = match ended.is_done() {
            true => {
                let manifest = self.subject.manifest.as_deref();
                ("SendTaskSuccess", json!({ "output": answer::output(&ended.report, manifest) }))
            }
            false => (
                "SendTaskFailure",
                json!({ "error": answer::error(ended.exit_code), "cause": answer::cause(&ended.message()) }),
            ),
        };
        let patience = token_patience(&ended);
        let problem = match timeout(patience, self.call(operation, fields)).await {
            Ok(Ok(_)) => return,
            Ok(Err(error)) => told(&error),
            Err(_) => format!("no answer within {patience:?}"),
        };
        host.warn(&format!(
            "task token: {operation} failed, and the state waits until it times out: {problem}"
        ));
    }

    /// Says now and then that the run lives.
    async fn beat(self: Arc<Token>, host: Arc<dyn Host>) {
        let mut is_warned = false;
        loop {
            let sent = timeout(self.interval, self.call("SendTaskHeartbeat", json!({}))).await;
            let problem = match sent {
                Ok(Ok(_)) => None,
                Ok(Err(error)) => {
                    if let Some(code) = error.code().filter(|code| GONE.contains(code)) {
                        self.is_gone.store(true, Ordering::Relaxed);
                        host.warn(&format!(
                            "task token: nobody waits for this run any more ({code}): it stops"
                        ));
                        host.stop();
                        return;
                    }
                    Some(told(&error))
                }
                Err(_) => Some(format!("no answer within {:?}", self.interval)),
            };
            if let (Some(problem), false) = (&problem, is_warned) {
                host.warn(&format!("task token: a heartbeat failed: {problem}"));
            }
            is_warned = problem.is_some();
            sleep(self.interval).await;
        }
    }

    async fn call(&self, operation: &str, mut fields: Value) -> Result<Value, Error> {
        fields["taskToken"] = self.token.as_str().into();
        self.client.call(&Service::STEP_FUNCTIONS, operation, &fields).await
    }
}

/// A time in seconds, as a part of one if need be.
fn seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok().filter(|time| !time.is_zero())
}

/// An error and its causes.
fn told(error: &Error) -> String {
    let causes = solder_landing::causes(error);
    std::iter::once(error.to_string()).chain(causes).collect::<Vec<_>>().join(": ")
}
