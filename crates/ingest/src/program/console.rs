//! What goes to stderr: words on a terminal, JSON lines elsewhere; and what observers are told. Secrets are blanked
//! in all of it.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::Error;
use crate::Redactor;
use crate::progress::{CutShort, Progress};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};
use signal_hook::consts::SIGTERM;
use solder_landing::causes;
use solder_operate::{Host, Metrics, Operation};

use super::RUN;
use super::cli::LogFormat;

/// Least time between two lines that only say how far a run is.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(30);

/// What is written to stderr.
pub(crate) struct Console {
    is_json: bool,
    bar: ProgressBar,
    redactor: OnceLock<Redactor>,
    /// The invocation of AWS Lambda, where it is one.
    request_id: Option<String>,
    run_id: OnceLock<String>,
    metrics: Option<Metrics>,
    operation: OnceLock<Operation>,
    state: Mutex<State>,
}

struct State {
    /// A summary is still to come.
    has_summary: bool,
    /// The report, as soon as there is one.
    report: Value,
    streams: BTreeMap<String, u64>,
    num_bytes: u64,
    began: Instant,
    last: Instant,
}

impl Console {
    /// In the format asked for; without one, words on a terminal and JSON lines elsewhere. A command with a name ends
    /// its log with a summary.
    pub(crate) fn new(format: Option<LogFormat>, command: Option<&'static str>) -> Console {
        let is_terminal = std::io::stderr().is_terminal();
        let is_json = match format {
            Some(format) => format == LogFormat::Json,
            None => !is_terminal,
        };
        let bar = if is_json { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
        if let Ok(style) = ProgressStyle::with_template("{spinner}  {msg}") {
            bar.set_style(style);
        }
        let now = Instant::now();
        let state = State {
            has_summary: command.is_some(),
            report: Value::Null,
            streams: BTreeMap::new(),
            num_bytes: 0,
            began: now,
            last: now,
        };
        Console {
            is_json,
            bar,
            redactor: OnceLock::new(),
            request_id: None,
            run_id: OnceLock::new(),
            metrics: command.and_then(|command| Metrics::wanted("ingest", command)),
            operation: OnceLock::new(),
            state: Mutex::new(state),
        }
    }

    /// JSON lines for an invocation of AWS Lambda, which all name it.
    pub(crate) fn of_request(request_id: &str) -> Console {
        Console {
            request_id: Some(request_id.to_owned()),
            ..Console::new(Some(LogFormat::Json), Some(RUN))
        }
    }

    /// From now on, the secrets that this one knows are blanked.
    pub(crate) fn redact_with(&self, redactor: &Redactor) {
        let _ = self.redactor.set(redactor.clone());
    }

    pub(crate) fn run_started(&self, source: &str, run_id: &str) {
        let _ = self.run_id.set(run_id.to_owned());
        self.line(
            "info",
            "run_started",
            json!({ "source": source, "version": env!("CARGO_PKG_VERSION") }),
        );
    }

    /// From now on, observers are told as well.
    pub(crate) fn observe(&self, operation: Operation) {
        let _ = self.operation.set(operation);
    }

    /// What the run did, whether it went well or not.
    pub(crate) fn report(&self, report: &Value) {
        self.bar.finish_and_clear();
        let clean = self.clean(&report.to_string());
        let clean = serde_json::from_str(&clean).unwrap_or_default();
        if let Some(operation) = self.operation.get() {
            operation.report(&clean);
        }
        self.state().report = clean;
    }

    /// The command went as it should.
    pub(crate) fn done(&self) {
        self.bar.finish_and_clear();
        self.summary("info", 0);
    }

    /// The program fails with this error.
    pub(crate) fn failed(&self, error: &Error) {
        self.bar.finish_and_clear();
        match self.is_json {
            true => self.line("error", "error", told(error)),
            false => self.write(&format!("error: {}", words(error))),
        }
        self.summary("error", error.exit_code());
    }

    /// A signal has come, and the program begins to end.
    pub(crate) fn stopping(&self) {
        if let Some(operation) = self.operation.get() {
            operation.stopping();
        }
    }

    /// A signal ends the program, whatever it does: tells so, and gives the exit code.
    pub(crate) fn stopped(&self, signal: i32) -> i32 {
        let error = Error::Stopped { signal };
        self.failed(&error);
        i32::from(self.end(error.exit_code(), Some(&error)))
    }

    /// The command has ended, and observers are told. Gives the exit code, which is another one where a signal was
    /// faster.
    pub(crate) fn end(&self, exit_code: u8, error: Option<&Error>) -> u8 {
        let Some(operation) = self.operation.get() else { return exit_code };
        operation.end(exit_code, error.map(|error| self.clean(&words(error))))
    }

    /// The last line.
    fn summary(&self, level: &str, exit_code: u8) {
        let mut state = self.state();
        // Of a run that ends and a signal that ends it, one is first.
        if !std::mem::take(&mut state.has_summary) {
            return;
        }
        let report = std::mem::take(&mut state.report);
        let elapsed = state.began.elapsed();
        drop(state);
        let mut fields = Map::new();
        fields.insert("exit_code".to_owned(), exit_code.into());
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        fields.insert("duration_ms".to_owned(), elapsed_ms.into());
        if let Value::Object(report) = report {
            fields.extend(report);
        }
        if let Some(metrics) = &self.metrics {
            let report = Value::Object(fields.clone());
            for stream in metrics.tables(&report) {
                self.line("info", "table", Value::Object(stream));
            }
            metrics.add_to(&mut fields, exit_code, &report);
        }
        self.line(level, "summary", Value::Object(fields));
    }

    /// Words for people, or a line for machines.
    pub(crate) fn warn(&self, text: &str) {
        match self.is_json {
            true => self.line("warn", "warning", json!({ "message": text })),
            false => self.bar.suspend(|| self.write(&format!("warning: {text}\n"))),
        }
    }

    fn line(&self, level: &str, event: &str, fields: Value) {
        if !self.is_json {
            return;
        }
        let mut object = json!({
            "time": jiff::Timestamp::now().to_string(),
            "level": level,
            "event": event,
        });
        if let Some(object) = object.as_object_mut() {
            if let Some(request_id) = &self.request_id {
                object.insert("request_id".to_owned(), json!(request_id));
            }
            if let Some(run_id) = self.run_id.get() {
                object.insert("run_id".to_owned(), json!(run_id));
            }
            if let Value::Object(fields) = fields {
                object.extend(fields);
            }
        }
        self.write(&format!("{object}\n"));
    }

    fn write(&self, text: &str) {
        // There is nobody left to tell when stderr takes nothing.
        let _ = std::io::stderr().write_all(self.clean(text).as_bytes());
    }

    /// A text without secrets.
    pub(crate) fn clean(&self, text: &str) -> String {
        match self.redactor.get() {
            Some(redactor) => redactor.clean(text).into_owned(),
            None => text.to_owned(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Host for Console {
    fn warn(&self, text: &str) {
        Console::warn(self, text);
    }

    fn stop(&self) {
        // What SIGTERM does is said in one place alone.
        let _ = signal_hook::low_level::raise(SIGTERM);
    }
}

impl Progress for Console {
    fn stream_started(&self, stream: &str, num_partitions: usize) {
        if !self.is_json {
            self.bar.enable_steady_tick(Duration::from_millis(120));
        }
        let fields = json!({ "stream": stream, "num_partitions": num_partitions });
        self.line("info", "stream_started", fields);
    }

    fn landed(&self, stream: &str, num_records: u64, num_bytes: u64) {
        let mut state = self.state();
        *state.streams.entry(stream.to_owned()).or_default() += num_records;
        state.num_bytes += num_bytes;
        if !self.is_json {
            let words: Vec<String> =
                state.streams.iter().map(|(name, number)| format!("{name} {number}")).collect();
            let seconds = state.began.elapsed().as_secs_f64().max(0.001);
            let speed = state.num_bytes as f64 / 1e6 / seconds;
            self.bar.set_message(format!("{}  {speed:.1} MB/s", words.join("  ")));
            return;
        }
        if state.last.elapsed() < PROGRESS_INTERVAL {
            return;
        }
        state.last = Instant::now();
        let fields = json!({ "num_records": state.streams, "num_bytes": state.num_bytes });
        drop(state);
        self.line("info", "progress", fields);
    }

    fn committed(&self, stream: &str, sequence: u64, is_last: bool) {
        let fields = json!({ "stream": stream, "sequence": sequence, "is_last": is_last });
        self.line("info", "committed", fields);
    }

    fn cut_short(&self, stream: &str, cut: &CutShort) {
        self.warn(&format!("stream `{stream}`: {cut}"));
    }

    fn stream_stopped(&self, stream: &str) {
        self.line("info", "stream_stopped", json!({ "stream": stream, "more_is_left": true }));
    }

    fn stream_ended(&self, stream: &str, error: Option<&str>) {
        match error {
            None => self.line("info", "stream_finished", json!({ "stream": stream })),
            Some(error) => {
                self.line("error", "stream_failed", json!({ "stream": stream, "error": error }));
            }
        }
    }
}

/// An error for people: its causes and what can be done about it, a line each.
pub(crate) fn words(error: &Error) -> String {
    let mut text = format!("{error}\n");
    for cause in causes(error) {
        text.push_str(&format!("  cause: {cause}\n"));
    }
    if let Some(hint) = error.hint() {
        text.push_str(&format!("  help: {hint}\n"));
    }
    text
}

/// An error as a line of the log tells it: its text in `message`.
fn told(error: &Error) -> Value {
    let Value::Object(fields) = failure(error) else { return Value::Null };
    let renamed = fields.into_iter().map(|(name, value)| match name.as_str() {
        "error" => ("message".to_owned(), value),
        _ => (name, value),
    });
    Value::Object(renamed.collect())
}

/// An error for machines.
pub(crate) fn failure(error: &Error) -> Value {
    let code = error.exit_code();
    let mut object = json!({
        "error": error.to_string(),
        "exit_code": code,
        "retryable": code == 75,
        "causes": causes(error),
    });
    if let (Some(object), Some(hint)) = (object.as_object_mut(), error.hint()) {
        object.insert("help".to_owned(), json!(hint));
    }
    object
}
