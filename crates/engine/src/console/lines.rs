//! One JSON object a line, for whoever collects logs.
//!
//! Every line has `time`, `level`, `event` and, once it is known, `run_id`. The last line of a run is its
//! `summary`, which holds metrics where they are asked for. Paths and places are named, values never.

use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use solder_lake::Error;
use solder_operate::Metrics;
use solder_relationalize::Settings;
use solder_relationalize::progress::{Event, Taken};
use solder_relationalize::report::Report;

use crate::job::{JobReport, StepReport};

/// Least time between two lines that only say how far the run is.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(30);

/// Writes the lines.
pub(crate) struct Lines {
    interval: Duration,
    metrics: Option<Metrics>,
    state: Mutex<State>,
}

struct State {
    out: Box<dyn Write + Send>,
    /// A summary is still to come.
    has_summary: bool,
    run_id: Option<String>,
    began: Instant,
    entity: String,
    total_bytes: u64,
    /// Of this entity.
    taken: Taken,
    /// Of the entities before.
    before: Taken,
    last_progress: Instant,
}

impl Lines {
    /// Writes to stderr.
    pub(crate) fn stderr(has_summary: bool, metrics: Option<Metrics>) -> Lines {
        Lines::new(Box::new(std::io::stderr()), PROGRESS_INTERVAL, has_summary, metrics)
    }

    fn new(
        out: Box<dyn Write + Send>,
        interval: Duration,
        has_summary: bool,
        metrics: Option<Metrics>,
    ) -> Lines {
        let now = Instant::now();
        let state = State {
            out,
            has_summary,
            run_id: None,
            began: now,
            entity: String::new(),
            total_bytes: 0,
            taken: Taken::default(),
            before: Taken::default(),
            last_progress: now,
        };
        Lines { interval, metrics, state: Mutex::new(state) }
    }

    pub(crate) fn run_started(&self, settings: &Settings) {
        self.with(|state| {
            state.run_id = Some(settings.run_id.clone());
            state.line(
                Level::Info,
                "run_started",
                json!({
                    "version": env!("CARGO_PKG_VERSION"),
                    "input": public_address(&settings.input),
                    "output": public_address(&settings.output),
                    "bookmark": settings.bookmark,
                }),
            );
        });
    }

    pub(crate) fn begin(&self, entity: &str, total_bytes: u64) {
        self.with(|state| {
            let taken = std::mem::take(&mut state.taken);
            state.before += taken;
            state.entity = entity.to_owned();
            state.total_bytes = total_bytes;
            state.last_progress = Instant::now();
            let fields = json!({ "entity": entity, "total_bytes": total_bytes });
            state.line(Level::Info, "entity_started", fields);
        });
    }

    pub(crate) fn add(&self, taken: Taken) {
        self.with(|state| {
            state.taken += taken;
            if state.last_progress.elapsed() < self.interval {
                return;
            }
            state.last_progress = Instant::now();
            let fields = json!({
                "entity": state.entity,
                "stored_bytes": state.taken.stored_bytes,
                "total_bytes": state.total_bytes,
                "bytes": state.taken.bytes,
                "records": state.taken.records,
                "quarantined": state.taken.quarantined,
            });
            state.line(Level::Info, "progress", fields);
        });
    }

    pub(crate) fn event(&self, event: Event<'_>) {
        let (level, name, fields) = match event {
            Event::Again { entity, paths } => {
                self.with(|state| state.taken = Taken::default());
                (Level::Info, "entity_restarted", json!({ "entity": entity, "maps": paths }))
            }
            Event::EntityRead { entity, records, bytes, num_tables } => (
                Level::Info,
                "entity_finished",
                json!({ "entity": entity, "records": records, "bytes": bytes, "tables": num_tables }),
            ),
            Event::Quarantined { entity, records, first } => (
                Level::Warn,
                "quarantined",
                json!({ "entity": entity, "records": records, "first": first }),
            ),
            Event::Changed(change) => (Level::Info, "shape_changed", json!(change)),
            Event::MapFound(map) => (Level::Info, "map_found", json!(map)),
            Event::Finishing { num_files } => {
                (Level::Info, "finishing", json!({ "files": num_files }))
            }
            Event::Committing { num_files } => {
                (Level::Info, "committing", json!({ "files": num_files }))
            }
            Event::Committed { sequence } => {
                (Level::Info, "committed", json!({ "sequence": sequence }))
            }
        };
        self.with(|state| state.line(level, name, fields));
    }

    pub(crate) fn run_finished(&self, report: &Report) {
        let mut fields = json!({
            "exit_code": 0,
            "sequence": report.sequence,
            "already_committed": report.already_committed,
            "records_read": report.records_read,
            "records_quarantined": report.records_quarantined,
            "bytes_read": report.bytes_read,
            "objects_read": report.objects_read,
            "objects_skipped": report.objects_skipped,
            "objects_changed": report.objects_changed.len(),
            "objects_ignored": report.objects_ignored,
            "tables": report.tables.len(),
            "changes": report.changes.len(),
            "choices": report.choices.len(),
            "counts": report.counts,
            "duration_ms": report.times.duration_ms,
        });
        if let Value::Object(fields) = &mut fields {
            let requests = report.requests.map(|requests| ("requests", json!(requests)));
            let landing = report.landing.as_ref().map(|landing| ("landing", json!(landing)));
            let known = requests.into_iter().chain(landing);
            fields.extend(known.map(|(name, value)| (name.to_owned(), value)));
        }
        self.end(Level::Info, fields, 0, || json!(report));
    }

    pub(crate) fn summary(&self, report: &impl serde::Serialize) {
        let mut fields = json!({ "exit_code": 0, "duration_ms": self.with(State::elapsed_ms) });
        if let (Value::Object(fields), Value::Object(report)) = (&mut fields, json!(report)) {
            fields.extend(report);
        }
        let report = fields.clone();
        self.end(Level::Info, fields, 0, || report);
    }

    /// The last line.
    fn end(&self, level: Level, fields: Value, exit_code: u8, report: impl FnOnce() -> Value) {
        let Value::Object(mut fields) = fields else { return };
        self.with(|state| {
            // Of a run that ends and a signal that ends it, one is first.
            if !std::mem::take(&mut state.has_summary) {
                return;
            }
            if let Some(metrics) = &self.metrics {
                let report = report();
                for table in metrics.tables(&report) {
                    state.line(Level::Info, "table", Value::Object(table));
                }
                metrics.add_to(&mut fields, exit_code, &report);
            }
            state.line(level, "summary", Value::Object(fields));
        });
    }

    pub(crate) fn step_started(&self, step: &str) {
        self.with(|state| state.line(Level::Info, "step_started", json!({ "step": step })));
    }

    /// The line of a step, with the step's name in it.
    pub(crate) fn step_said(&self, step: &str, said: Value) {
        let Value::Object(mut fields) = said else { return };
        fields.insert("step".to_owned(), step.into());
        self.with(|state| state.write(fields));
    }

    pub(crate) fn step_ended(&self, step: &StepReport) {
        let level = if step.has_failed() { Level::Error } else { Level::Info };
        let fields = json!({
            "step": step.step,
            "outcome": step.outcome,
            "exit_code": step.exit_code,
            "duration_ms": step.duration_ms,
        });
        self.with(|state| state.line(level, "step_ended", fields));
    }

    pub(crate) fn job_finished(&self, report: &JobReport) {
        let level = if report.exit_code == 0 { Level::Info } else { Level::Error };
        let outcomes = report.steps.iter().map(|step| (step.step.clone(), json!(step.outcome)));
        let fields = json!({
            "job": report.job,
            "run_id": report.run_id,
            "exit_code": report.exit_code,
            "duration_ms": report.duration_ms,
            "steps": Value::Object(outcomes.collect()),
        });
        self.end(level, fields, report.exit_code, || json!(report));
    }

    pub(crate) fn warn(&self, error: &Error) {
        self.with(|state| state.line(Level::Warn, "warning", error_fields(error)));
    }

    pub(crate) fn warn_of(&self, text: &str) {
        self.with(|state| state.line(Level::Warn, "warning", json!({ "message": text })));
    }

    pub(crate) fn failed(&self, error: &Error) {
        self.with(|state| state.line(Level::Error, "error", error_fields(error)));
        self.end_early(error.exit_code());
    }

    /// A signal has ended the program.
    pub(crate) fn stopped(&self, text: &str, exit_code: u8) {
        let fields = json!({ "message": text, "exit_code": exit_code, "retryable": false });
        self.with(|state| state.line(Level::Error, "error", fields));
        self.end_early(exit_code);
    }

    /// The summary of what was not brought to its end.
    fn end_early(&self, exit_code: u8) {
        let fields = self.with(|state| {
            let duration_ms = state.elapsed_ms();
            if state.run_id.is_none() {
                return json!({ "exit_code": exit_code, "duration_ms": duration_ms });
            }
            let mut taken = state.before;
            taken += state.taken;
            json!({
                "exit_code": exit_code,
                "records_read": taken.records,
                "records_quarantined": taken.quarantined,
                "bytes_read": taken.bytes,
                "duration_ms": duration_ms,
            })
        });
        let report = fields.clone();
        self.end(Level::Error, fields, exit_code, || report);
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The fields of an error, its text in `message`.
fn error_fields(error: &Error) -> Value {
    let failure = crate::output::failure(error).into_iter();
    let renamed = failure.map(|(name, value)| match name.as_str() {
        "error" => ("message".to_owned(), value),
        _ => (name, value),
    });
    Value::Object(renamed.collect())
}

#[derive(Clone, Copy)]
enum Level {
    Info,
    Warn,
    Error,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        }
    }
}

impl State {
    fn elapsed_ms(&mut self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn line(&mut self, level: Level, event: &str, fields: Value) {
        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
        let mut line = Map::new();
        line.insert("time".to_owned(), now.into());
        line.insert("level".to_owned(), level.name().into());
        line.insert("event".to_owned(), event.into());
        if let Some(run_id) = &self.run_id {
            line.insert("run_id".to_owned(), run_id.as_str().into());
        }
        if let Value::Object(fields) = fields {
            line.extend(fields);
        }
        self.write(line);
    }

    fn write(&mut self, line: Map<String, Value>) {
        // A log that cannot be written is no reason to stop; one write, so that lines stay whole.
        let _ = self.out.write_all(format!("{}\n", Value::Object(line)).as_bytes());
    }
}

/// An address as given, unless it is none: a refused one may hold credentials.
fn public_address(text: &str) -> Option<&str> {
    solder_landing::Place::parse(text).is_ok().then_some(text)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn events(interval: Duration, act: impl FnOnce(&Lines)) -> Vec<Value> {
        let out = Shared::default();
        act(&Lines::new(Box::new(out.clone()), interval, true, None));
        let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn progress_comes_now_and_then() {
        let act = |lines: &Lines| {
            lines.begin("orders", 10);
            for _ in 0..3 {
                lines.add(Taken { records: 2, ..Taken::default() });
            }
        };
        let lines = events(Duration::ZERO, act);
        let records: Vec<_> = lines.iter().skip(1).map(|line| line["records"].clone()).collect();
        assert_eq!(records, [2, 4, 6]);
        assert_eq!(events(Duration::from_secs(3600), act).len(), 1);
    }

    /// What was read twice counts once, and entities add up.
    #[test]
    fn a_failure_ends_with_a_summary() {
        let lines = events(Duration::from_secs(3600), |lines| {
            lines.run_started(&Settings::new("s3://key:secret@bucket/raw", "out"));
            lines.begin("a", 10);
            lines.add(Taken { records: 2, ..Taken::default() });
            lines.begin("b", 10);
            lines.add(Taken { records: 5, ..Taken::default() });
            lines.event(Event::Again { entity: "b", paths: &["m".to_owned()] });
            lines.add(Taken { records: 3, ..Taken::default() });
            let error = solder_relationalize::Error::Contended { other: "other".to_owned() };
            lines.failed(&error.into());
        });
        let [first, .., error, summary] = lines.as_slice() else { panic!("{lines:?}") };
        assert_eq!(first["input"], Value::Null, "credentials are not logged");
        assert_eq!(error["exit_code"], 75);
        assert_eq!(error["retryable"], true);
        assert_eq!((&summary["event"], &summary["records_read"]), (&json!("summary"), &json!(5)));
    }
}
