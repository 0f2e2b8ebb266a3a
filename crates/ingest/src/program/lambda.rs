//! The program as a function of AWS Lambda (`provided.al2023`): invocations in, reports out (L1 to L4).
//!
//! ```text
//!   runtime API ──▶ event.rs ──▶ perform ──▶ report, with `more`     whoever called calls again
//!          └──▶ deadline ──▶ Limits ─┘  └──▶ error of type Solder.Exit75, Solder.Exit65, …
//! ```
//!
//! A process serves many invocations. Each has a console, secrets, tokens and a limiter of its own: nothing of one
//! run is known to the next.

use std::env;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::{Error, StopSignal};
use lambda_runtime::{Diagnostic, LambdaEvent, Runtime, service_fn};
use serde_json::Value;
use tokio::sync::watch;

use super::console::{Console, words};
use super::{Limits, observe, perform};
use super::{event, signals};

/// Where invocations come from. AWS Lambda sets it.
const RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API";
/// What else of Lambda the crate `lambda_runtime` cannot do without.
const NEEDED: [&str; 3] =
    ["AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE"];
/// Where the function's package is unpacked: paths of sources begin there.
const PACKAGE: &str = "LAMBDA_TASK_ROOT";
/// The most that is kept of an invocation's time to commit and to answer.
const TIME_TO_COMMIT: Duration = Duration::from_secs(20);
/// The most that is kept before that, for what is under way to come to a place where it can be cut.
const TIME_TO_COME_TO_AN_END: Duration = Duration::from_secs(60);
/// Of a short invocation, each is at most its fifth.
const SHARE: u32 = 5;
/// An answer that is on its way when the process is asked to end gets so long.
const TIME_TO_ANSWER: Duration = Duration::from_millis(500);

/// Whether the program runs as a function: Lambda is there, and there is no command.
pub(crate) fn is_host() -> bool {
    env::var_os(RUNTIME_API).is_some() && env::args_os().len() <= 1
}

/// Serves invocations, one after the other, until the process is asked to end.
///
/// # Errors
///
/// The runtime API cannot be used. That a run fails is an answer.
pub(crate) async fn serve(console: &Arc<Console>) -> Result<(), Error> {
    for name in NEEDED {
        if env::var(name).is_ok_and(|value| !value.is_empty()) {
            continue;
        }
        let missing = format!("`{RUNTIME_API}` is set, and `{name}` is not: AWS Lambda sets both");
        return Err(Error::Option(missing));
    }
    if let Some(package) = env::var_os(PACKAGE) {
        env::set_current_dir(&package).map_err(|error| {
            Error::Option(format!("`{PACKAGE}` is no folder that can be used: {error}"))
        })?;
    }
    let stop = signals::listen(console).map_err(Error::Output)?;
    let (busy, idle) = watch::channel(false);
    let serving = Runtime::new(service_fn(|invocation: LambdaEvent<Value>| {
        let (busy, stop) = (busy.clone(), stop.clone());
        async move {
            let _ = busy.send(true);
            let answer = invoked(invocation, stop).await;
            let _ = busy.send(false);
            answer
        }
    }))
    .run();
    tokio::pin!(serving);
    tokio::select! {
        ended = &mut serving => return ended.map_err(Error::Runtime),
        () = asked_to_end(stop.clone(), idle) => {}
    }
    let _ = tokio::time::timeout(TIME_TO_ANSWER, serving).await;
    Ok(())
}

/// Waits for a signal, and for the end of the invocation under way, which hears of it as well.
async fn asked_to_end(mut stop: StopSignal, mut idle: watch::Receiver<bool>) {
    let _ = stop.wait_for(|signal| *signal != 0).await;
    let _ = idle.wait_for(|busy| !busy).await;
}

/// A run that failed, as the caller of the function is told.
struct Failure {
    code: u8,
    text: String,
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<Failure> for Diagnostic {
    fn from(failure: Failure) -> Self {
        Diagnostic {
            // By this name, a state machine tells what can be tried again from what cannot.
            error_type: format!("Solder.Exit{}", failure.code),
            error_message: failure.text,
        }
    }
}

/// One invocation: the report, or the error.
async fn invoked(invocation: LambdaEvent<Value>, stop: StopSignal) -> Result<Value, Failure> {
    let LambdaEvent { payload, context } = invocation;
    let console = Arc::new(Console::of_request(&context.request_id));
    let left = context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
    let ran = async {
        let mut options = event::options(&payload)?;
        observe(&mut options, &console);
        let limits = limits(left, options.stop_after);
        let ran = perform(&options, limits, &console, stop).await?;
        ran.write_manifest(&console).await?;
        ran.outcome?;
        console.done();
        let text = ran.redactor.clean(&ran.json.to_string()).into_owned();
        Ok::<Value, Error>(serde_json::from_str(&text).unwrap_or(Value::String(text)))
    };
    let answer = ran.await;
    if let Err(error) = &answer {
        console.failed(error);
    }
    let code = answer.as_ref().map_or_else(Error::exit_code, |_| 0);
    console.end(code, answer.as_ref().err());
    answer.map_err(|error| Failure { code, text: console.clean(words(&error).trim_end()) })
}

/// How long a run goes on in an invocation that has so much time left, and may be asked for less.
fn limits(left: Duration, asked: Option<Duration>) -> Limits {
    let share = left / SHARE;
    let give_up_after = left - TIME_TO_COMMIT.min(share);
    let stop_after = give_up_after - TIME_TO_COME_TO_AN_END.min(share);
    let stop_after = asked.map_or(stop_after, |asked| asked.min(stop_after));
    Limits { stop_after: Some(stop_after), give_up_after: Some(give_up_after) }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// L2: of 15 minutes, 20 s are for the commit, and a minute before for the page or window under way.
    #[rstest]
    #[case(900, None, 820, 880)]
    #[case(900, Some(60), 60, 880)]
    #[case(900, Some(3600), 820, 880)]
    #[case(10, None, 6, 8)]
    #[case(0, None, 0, 0)]
    fn l2_limits(
        #[case] left: u64,
        #[case] asked: Option<u64>,
        #[case] stop_after: u64,
        #[case] give_up_after: u64,
    ) {
        let limits = limits(Duration::from_secs(left), asked.map(Duration::from_secs));
        assert_eq!(limits.stop_after, Some(Duration::from_secs(stop_after)));
        assert_eq!(limits.give_up_after, Some(Duration::from_secs(give_up_after)));
    }
}
