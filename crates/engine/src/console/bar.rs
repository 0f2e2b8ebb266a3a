//! Words and a progress bar, for people.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use solder_lake::Error;
use solder_relationalize::progress::{Event, Taken};
use solder_relationalize::readable::{count, size, thousands};

use crate::output::told;

/// A bar that is drawn only where stderr is a terminal.
pub(crate) struct Bar {
    bar: ProgressBar,
    entity: Mutex<Reading>,
}

/// The entity being read.
struct Reading {
    taken: Taken,
    since: Instant,
}

const KNOWN: &str = "{prefix:.bold} {bar:24} {percent:>3}%  {msg}  {eta} left";
const UNKNOWN: &str = "{prefix:.bold} {spinner}  {msg}";
const STAGE: &str = "{spinner}  {msg}";
const TICK: Duration = Duration::from_millis(120);

impl Bar {
    /// Shows nothing yet.
    pub(crate) fn new() -> Bar {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
        // Whatever is drawn first, it is not the bar that there is by default.
        let style = ProgressStyle::with_template(STAGE);
        let bar = style.map_or(bar.clone(), |style| bar.with_style(style));
        Bar { bar, entity: Mutex::new(Reading { taken: Taken::default(), since: Instant::now() }) }
    }

    pub(crate) fn begin(&self, entity: &str, total_bytes: u64) {
        if self.bar.is_hidden() {
            return;
        }
        self.bar.set_prefix(entity.to_owned());
        self.style(if total_bytes == 0 { UNKNOWN } else { KNOWN });
        self.bar.set_length(total_bytes);
        self.restart();
        self.bar.enable_steady_tick(TICK);
    }

    fn restart(&self) {
        let mut reading = self.entity.lock().unwrap_or_else(PoisonError::into_inner);
        *reading = Reading { taken: Taken::default(), since: Instant::now() };
        self.bar.reset();
        self.bar.set_message("");
    }

    fn style(&self, template: &str) {
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style.progress_chars("━━ "));
        }
    }

    pub(crate) fn add(&self, taken: Taken) {
        if self.bar.is_hidden() {
            return;
        }
        let mut reading = self.entity.lock().unwrap_or_else(PoisonError::into_inner);
        reading.taken += taken;
        let seconds = reading.since.elapsed().as_secs_f64();
        self.bar.set_position(reading.taken.stored_bytes);
        self.bar.set_message(taken_text(reading.taken, seconds));
    }

    pub(crate) fn event(&self, event: Event<'_>) {
        match event {
            Event::Again { entity, paths } => {
                self.restart();
                self.bar
                    .set_prefix(format!("{entity}, again: {} became a table", paths.join(", ")));
            }
            Event::Finishing { num_files } => self.stage("finishing", num_files),
            Event::Committing { num_files } => self.stage("committing", num_files),
            _ => {}
        }
    }

    fn stage(&self, what: &str, num_files: usize) {
        self.bar.reset();
        self.style(STAGE);
        self.bar.set_message(format!("{what} {}", count(num_files as u64, "file")));
    }

    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }

    pub(crate) fn failed(&self, error: &Error) {
        self.end();
        eprint!("error: {}", told(error));
    }

    pub(crate) fn warn(&self, text: &str) {
        self.bar.suspend(|| eprintln!("warning: {text}"));
    }

    pub(crate) fn stopped(&self, text: &str) {
        self.end();
        eprintln!("error: {text}");
    }
}

/// How much was taken, and how fast: `1,204,000 records, 1.3 GB, 410.2 MB/s`.
fn taken_text(taken: Taken, seconds: f64) -> String {
    let rate = taken.bytes as f64 / seconds.max(0.001);
    let bad = match taken.quarantined {
        0 => String::new(),
        number => format!(", {} set aside", thousands(number)),
    };
    let records = count(taken.records, "record");
    format!("{records}{bad}, {}, {}/s", size(taken.bytes), size(rate as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_in_words() {
        let taken =
            Taken { stored_bytes: 1, bytes: 1_300_000_000, records: 1_204_000, ..Taken::default() };
        assert_eq!(taken_text(taken, 2.0), "1,204,000 records, 1.3 GB, 650.0 MB/s");
        let taken = Taken { records: 1, bytes: 10, quarantined: 2, ..Taken::default() };
        assert_eq!(taken_text(taken, 1.0), "1 record, 2 set aside, 10 B, 10 B/s");
    }
}
