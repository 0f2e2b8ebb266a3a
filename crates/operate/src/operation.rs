//! One run of a command, and who is told of it.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use tokio::sync::watch;

use crate::catalog::Column;
use crate::ended::{End, Ended};
use crate::environment::{Environment, JOB_NAME, StepEnvironment};
use crate::lineage::Lineage;
use crate::token::{self, Token};
use crate::traces::Trace;

/// What observers are given after the end of a run; then the program ends without them.
///
/// The answer to a task token has 12 s, since a state machine waits for it; after a signal, all have 1.5 s together.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// What the answer to a task token is given.
const TOKEN_PATIENCE: Duration = Duration::from_secs(12);

/// What all are given after a signal: a step of a job and the job itself end within 20 s, one after the other.
const STOPPED_PATIENCE: Duration = Duration::from_millis(1500);

/// On top of that: observers end by themselves, but for a thread that gets no time.
const GRACE: Duration = Duration::from_millis(500);

/// Between two looks whether a signal has come while observers are waited for.
const LOOK: Duration = Duration::from_millis(50);

/// What runs.
#[derive(Clone, Debug, Default)]
pub struct Subject {
    /// `ingest` or `engine`.
    pub program: &'static str,
    /// The command.
    pub command: &'static str,
    /// Which of the jobs of this command it is, for instance the name of a source; runs of one job have the same.
    pub name: String,
    /// The run's id, where the command has one.
    pub run_id: Option<String>,
    /// Places that it reads, as given.
    pub inputs: Vec<String>,
    /// Places that it writes, as given.
    pub outputs: Vec<String>,
    /// Where the report is written to, beside stdout.
    pub manifest: Option<String>,
}

impl Subject {
    /// Program and command, as one types them.
    pub(crate) fn title(&self) -> String {
        format!("{} {}", self.program, self.command)
    }

    /// The name of the job: as whoever started it says, else what is done, and with what: `ingest.shop`,
    /// `merge.lake`.
    pub(crate) fn job(&self, environment: Environment) -> String {
        let what = if self.program == "ingest" { self.program } else { self.command };
        environment.get(JOB_NAME).unwrap_or_else(|| match self.name.as_str() {
            "" => what.to_owned(),
            name => format!("{what}.{name}"),
        })
    }
}

/// What a table holds that a command wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    /// The table's name.
    pub table: String,
    /// Its columns, in order.
    pub columns: Vec<Column>,
}

/// The program, as observers know it.
pub trait Host: Send + Sync {
    /// Something of an observer went wrong; the run goes on.
    fn warn(&self, text: &str);

    /// Nobody waits for the run any more: it is to stop as on SIGTERM.
    fn stop(&self);
}

/// What observers are given after such an end.
pub(crate) fn patience(ended: &Ended) -> Duration {
    if ended.is_stopped() { STOPPED_PATIENCE } else { PATIENCE }
}

/// What the answer to a task token is given after such an end.
pub(crate) fn token_patience(ended: &Ended) -> Duration {
    if ended.is_stopped() { STOPPED_PATIENCE } else { TOKEN_PATIENCE }
}

/// An observer at work.
pub(crate) type Watching = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One run of a command, from its begin to its end.
pub struct Operation(Option<Observed>);

/// An operation that somebody observes.
struct Observed {
    host: Arc<dyn Host>,
    job: String,
    trace: Option<Arc<Trace>>,
    lineage: Option<Arc<Lineage>>,
    has_token: bool,
    end: watch::Sender<Option<Arc<Ended>>>,
    /// Closed when all observers are done.
    done: Mutex<Receiver<()>>,
    report: Mutex<Value>,
    schemas: Mutex<Vec<Schema>>,
    /// The exit code that observers were told.
    told: Mutex<Option<u8>>,
    /// A signal has come.
    is_stopping: AtomicBool,
}

impl Operation {
    /// An operation begins. What it is, is asked only where an observer is.
    pub fn begin(subject: impl FnOnce() -> Subject, host: Arc<dyn Host>) -> Operation {
        Operation::begin_in(Environment::process(), subject, host)
    }

    fn begin_in(
        environment: Environment,
        subject: impl FnOnce() -> Subject,
        host: Arc<dyn Host>,
    ) -> Operation {
        let is_wanted = Trace::is_wanted(environment)
            || Lineage::is_wanted(environment)
            || Token::is_wanted(environment);
        if !is_wanted {
            return Operation(None);
        }
        let subject = Arc::new(subject());
        let trace = Trace::begin(environment, &subject, host.as_ref()).map(Arc::new);
        let lineage = Lineage::begin(environment, &subject, host.as_ref()).map(Arc::new);
        let token = Token::of(environment, &subject, host.as_ref());
        let job = subject.job(environment);
        Operation(Some(Observed::begin(host, job, trace, lineage, token)))
    }

    /// A command line that is not understood begins nothing; but who waits for its answer is told.
    pub fn refuse(program: &'static str, exit_code: u8, error: String, host: Arc<dyn Host>) {
        let subject = Arc::new(Subject { program, ..Subject::default() });
        let token = Token::of(Environment::process(), &subject, host.as_ref());
        if token.is_some() {
            let observed = Observed::begin(host, String::new(), None, None, token);
            Operation(Some(observed)).end(exit_code, Some(error));
        }
    }

    /// What the command did, for the end; it holds no secrets.
    pub fn report(&self, report: &Value) {
        if let Some(observed) = &self.0 {
            *lock(&observed.report) = report.clone();
        }
    }

    /// What the tables hold that the command wrote, for the end; asked only where somebody is told.
    pub fn schemas(&self, schemas: impl FnOnce() -> Vec<Schema>) {
        if let Some(observed) = self.0.as_ref().filter(|observed| observed.lineage.is_some()) {
            *lock(&observed.schemas) = schemas();
        }
    }

    /// The operation has ended: all observers are told, once, and waited for as long as they may take. Gives the
    /// exit code that they were told, which is another one when another thread was faster.
    pub fn end(&self, exit_code: u8, error: Option<String>) -> u8 {
        let Some(observed) = &self.0 else { return exit_code };
        let mut told = lock(&observed.told);
        if let Some(told) = *told {
            return told;
        }
        *told = Some(exit_code);
        let report = lock(&observed.report).take();
        let schemas = std::mem::take(&mut *lock(&observed.schemas));
        let ended = Ended { at: SystemTime::now(), exit_code, error, report, schemas };
        let is_stopped = ended.is_stopped();
        observed.end.send_replace(Some(Arc::new(ended)));
        observed.wait(is_stopped);
        exit_code
    }

    /// A signal has come: observers have less time from now on.
    pub fn stopping(&self) {
        if let Some(observed) = &self.0 {
            observed.is_stopping.store(true, Ordering::Relaxed);
        }
    }

    /// What a step of this job gets, so that it is known as a part of it.
    pub fn step(&self, step: &str) -> StepEnvironment {
        let mut environment = StepEnvironment::default();
        environment.remove.extend(token::VARIABLES);
        let Some(observed) = &self.0 else { return environment };
        environment.set.push((JOB_NAME, format!("{}.{step}", observed.job)));
        if let Some(trace) = &observed.trace {
            environment.set.push(trace.step(step));
        }
        if let Some(lineage) = &observed.lineage {
            environment.set.push(lineage.step());
        }
        environment
    }
}

impl Observed {
    /// Starts the observers, in a thread of theirs.
    fn begin(
        host: Arc<dyn Host>,
        job: String,
        trace: Option<Arc<Trace>>,
        lineage: Option<Arc<Lineage>>,
        token: Option<Arc<Token>>,
    ) -> Observed {
        let (end, receiver) = watch::channel(None);
        let receiver = End::new(receiver);
        let has_token = token.is_some();
        let mut watching: Vec<Watching> = Vec::new();
        if let Some(trace) = &trace {
            watching.push(Box::pin(trace.clone().watch(receiver.clone(), host.clone())));
        }
        if let Some(lineage) = &lineage {
            watching.push(Box::pin(lineage.clone().watch(receiver.clone(), host.clone())));
        }
        if let Some(token) = token {
            watching.push(Box::pin(token.watch(receiver, host.clone())));
        }
        let (working, done) = channel::<()>();
        let observing = thread::Builder::new().name("observers".to_owned()).spawn({
            let host = host.clone();
            move || {
                if let Err(error) = observe(watching) {
                    host.warn(&format!("nobody observes this run: {error}"));
                }
                drop(working);
            }
        });
        if let Err(error) = observing {
            host.warn(&format!("nobody observes this run: the system gives no thread: {error}"));
        }
        Observed {
            host,
            job,
            trace,
            lineage,
            has_token,
            end,
            done: Mutex::new(done),
            report: Mutex::new(Value::Null),
            schemas: Mutex::default(),
            told: Mutex::new(None),
            is_stopping: AtomicBool::new(false),
        }
    }

    /// Waits until all observers are done, or have had their time.
    fn wait(&self, is_stopped: bool) {
        let began = Instant::now();
        let done = lock(&self.done);
        loop {
            let patience = match is_stopped || self.is_stopping.load(Ordering::Relaxed) {
                true => STOPPED_PATIENCE,
                false if self.has_token => TOKEN_PATIENCE,
                false => PATIENCE,
            };
            match done.recv_timeout(LOOK) {
                Err(RecvTimeoutError::Timeout) if began.elapsed() < patience + GRACE => {}
                Err(RecvTimeoutError::Timeout) => {
                    self.host
                        .warn("observers have had their time, and the program ends without them");
                    return;
                }
                _ => return,
            }
        }
    }
}

/// Runs all observers to their end, each by itself.
fn observe(watching: Vec<Watching>) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let tasks: Vec<_> = watching.into_iter().map(tokio::spawn).collect();
        for task in tasks {
            // One that fails keeps none of the others.
            let _ = task.await;
        }
    });
    Ok(())
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Silent;

    impl Host for Silent {
        fn warn(&self, text: &str) {
            panic!("{text}");
        }

        fn stop(&self) {
            panic!("nobody stops this");
        }
    }

    #[test]
    fn o1_nobody_observes_unless_asked() {
        let environment = Environment::of(|name| match name {
            "OTEL_SDK_DISABLED" | "OPENLINEAGE_DISABLED" => Some("true".to_owned()),
            "OPENLINEAGE_URL" | "OTEL_EXPORTER_OTLP_ENDPOINT" => Some("http://nowhere".to_owned()),
            "SOLDER_TASK_TOKEN" => Some(String::new()),
            _ => None,
        });
        let subject = || -> Subject { panic!("what it is, is not even asked") };
        let operation = Operation::begin_in(environment, subject, Arc::new(Silent));
        assert!(operation.0.is_none());
        operation.schemas(|| panic!("nobody is told what tables hold"));
        assert_eq!(operation.end(65, None), 65);
    }

    #[test]
    fn o4_jobs_have_names() {
        let job = |program, command, name: &str| {
            let subject = Subject { program, command, name: name.to_owned(), ..Subject::default() };
            (
                subject.job(Environment::of(|_| None)),
                subject.job(Environment::of(|_| Some("a.b".to_owned()))),
            )
        };
        assert_eq!(job("ingest", "run", "shop"), ("ingest.shop".to_owned(), "a.b".to_owned()));
        assert_eq!(job("engine", "merge", "lake").0, "merge.lake");
        assert_eq!(job("engine", "vacuum", "").0, "vacuum");
    }
}
