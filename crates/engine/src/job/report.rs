//! What a job will do, and what it did: for people and for programs.

use std::fmt::Write;

use serde::Serialize;
use serde_json::{Value as Json, json};
use solder_relationalize::readable::{count, thousands};

use crate::cli::PlanFormat;
use crate::output::{aligned, tally};

use super::steps::Step;

/// The report of `engine run`.
#[derive(Debug, Serialize)]
pub(crate) struct JobReport {
    /// The job file.
    pub(crate) job: String,
    /// The run's name.
    pub(crate) run_id: String,
    /// 0 when all steps went well.
    pub(crate) exit_code: u8,
    /// When it began.
    pub(crate) started_at: String,
    /// Wall time in milliseconds.
    pub(crate) duration_ms: u64,
    /// The steps, in the order of the plan.
    pub(crate) steps: Vec<StepReport>,
    /// The command that does what is left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) resume: Option<String>,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// As it should.
    Done,
    /// With an exit code that says why.
    Failed,
    /// It was not begun: a step that it waits for failed, or the run was stopped.
    NotBegun,
}

/// What became of a step.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StepReport {
    /// Its name.
    pub(crate) step: String,
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// Its command, as one would type it.
    pub(crate) command: String,
    /// The steps that it waited for.
    pub(crate) after: Vec<String>,
    /// The exit code of its command.
    pub(crate) exit_code: Option<u8>,
    /// Wall time in milliseconds, from its start.
    pub(crate) duration_ms: u64,
    /// Milliseconds from the start of the job to its own.
    pub(crate) started_ms: u64,
    /// The report of its command.
    pub(crate) report: Json,
    /// What went wrong, where the command did not report it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

impl StepReport {
    pub(crate) fn has_failed(&self) -> bool {
        self.outcome == Outcome::Failed
    }

    /// The step in one line.
    pub(crate) fn line(&self) -> String {
        let seconds = self.duration_ms as f64 / 1000.0;
        match self.outcome {
            Outcome::Done => format!("{}: done in {seconds:.1} s", self.step),
            Outcome::Failed => match self.exit_code {
                Some(code) => format!("{}: failed with exit code {code}", self.step),
                None => format!("{}: failed", self.step),
            },
            Outcome::NotBegun => format!("{}: not begun", self.step),
        }
    }

    /// Why it failed, and what can be done.
    pub(crate) fn failure_lines(&self) -> Vec<String> {
        if !self.has_failed() {
            return Vec::new();
        }
        let said = |key: &str| self.report[key].as_str().map(str::to_owned);
        let error = said("error").or_else(|| self.error.clone());
        let mut lines: Vec<String> =
            error.map(|text| format!("error: {text}")).into_iter().collect();
        let causes = self.report["causes"].as_array().into_iter().flatten();
        lines.extend(causes.filter_map(Json::as_str).map(|cause| format!("cause: {cause}")));
        // What was committed before the catalog said no has a report of its own.
        let catalog = &self.report["catalog"];
        let causes = catalog["causes"].as_array().into_iter().flatten();
        let causes = std::iter::once(&catalog["error"]).chain(causes);
        lines.extend(causes.filter_map(Json::as_str).map(|cause| format!("cause: {cause}")));
        let findings = self.report["findings"].as_array().into_iter().flatten();
        for finding in findings {
            let text = |key: &str| finding[key].as_str().unwrap_or_default();
            lines.push(format!("{}: {}: {}", text("table"), text("check"), text("text")));
            if let Some(rows) = finding["rows"].as_str() {
                lines.push(format!("  look at them: {rows}"));
            }
        }
        lines.extend(said("help").map(|help| format!("help: {help}")));
        lines.push(format!("command: {}", self.command));
        lines
    }

    /// What it came to, in a few words.
    fn came_to(&self) -> String {
        let mut text = self.came_to_by_itself();
        let num_registered = tally::registered(&self.report);
        if num_registered > 0 {
            let _ = write!(text, ", {} registered", count(num_registered, "table"));
        }
        text
    }

    fn came_to_by_itself(&self) -> String {
        let report = &self.report;
        let number = |key: &str| report[key].as_u64().unwrap_or(0);
        let kind = self.step.split('.').next().unwrap_or_default();
        match (kind, self.outcome) {
            (_, Outcome::NotBegun) => String::new(),
            ("ingest", _) if report.is_object() => count(tally::landed(report), "record"),
            (_, Outcome::Failed) => String::new(),
            ("ingest", _) => "from recorded answers".to_owned(),
            ("relationalize", _) if report["already_committed"] == true => "done before".to_owned(),
            ("relationalize", _) => {
                let mut text = count(number("records_read"), "record");
                if number("records_quarantined") > 0 {
                    let _ =
                        write!(text, ", {} set aside", thousands(number("records_quarantined")));
                }
                text
            }
            ("merge", _) => {
                let [inserted, updated, deleted] = tally::merged(report).map(thousands);
                format!("{inserted} inserted, {updated} updated, {deleted} deleted")
            }
            ("check", _) => {
                let findings = report["findings"].as_array().map_or(0, Vec::len);
                let mut text = count(number("num_checks"), "check");
                if findings > 0 {
                    let _ = write!(text, ", {} with a warning", thousands(findings as u64));
                }
                text
            }
            _ => count(number("num_rows"), "row"),
        }
    }
}

/// A command as one would type it.
pub(super) fn command_line(step: &Step) -> String {
    let words = std::iter::once(step.program.name().to_owned());
    let words = words.chain(step.arguments.iter().map(|argument| word(argument)));
    words.collect::<Vec<_>>().join(" ")
}

/// A word of a command as one would type it.
pub(super) fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_=./:,@%+".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

/// The steps of a plan, for `--plan`.
pub(crate) fn plan_text(steps: &[Step], format: PlanFormat) -> String {
    let after =
        |step: &Step| step.after.iter().map(|at| steps[*at].name.clone()).collect::<Vec<_>>();
    match format {
        PlanFormat::Text => {
            let mut text = String::new();
            for step in steps {
                let after = after(step);
                let _ = match after.is_empty() {
                    true => writeln!(text, "{}", step.name),
                    false => writeln!(text, "{}, after {}", step.name, after.join(", ")),
                };
                let _ = writeln!(text, "    {}", command_line(step).replace('\n', "\n    "));
            }
            text
        }
        PlanFormat::Mermaid => {
            let id = |name: &str| name.replace(['.', '-'], "_");
            let mut text = "flowchart LR\n".to_owned();
            for step in steps {
                let _ = writeln!(text, "    {}[\"{}\"]", id(&step.name), step.name);
            }
            for step in steps {
                for before in after(step) {
                    let _ = writeln!(text, "    {} --> {}", id(&before), id(&step.name));
                }
            }
            text
        }
        PlanFormat::Json => {
            let steps: Vec<Json> = steps
                .iter()
                .map(|step| {
                    let command: Vec<&str> = std::iter::once(step.program.name())
                        .chain(step.arguments.iter().map(String::as_str))
                        .collect();
                    json!({ "step": step.name, "after": after(step), "command": command })
                })
                .collect();
            format!("{:#}\n", json!({ "steps": steps }))
        }
    }
}

/// The table of what a job did.
pub(crate) fn summary(report: &JobReport) -> String {
    let mut rows = vec![["step", "outcome", "time"].map(str::to_owned).to_vec()];
    let mut came_to = vec![String::new()];
    for step in &report.steps {
        let time = match step.outcome {
            Outcome::NotBegun => "-".to_owned(),
            _ => format!("{:.1} s", step.duration_ms as f64 / 1000.0),
        };
        let outcome = match step.outcome {
            Outcome::Done => "done",
            Outcome::Failed => "failed",
            Outcome::NotBegun => "not begun",
        };
        rows.push(vec![step.step.clone(), outcome.to_owned(), time]);
        came_to.push(step.came_to());
    }
    let seconds = report.duration_ms as f64 / 1000.0;
    let mut text = String::new();
    for (line, came_to) in aligned(&rows).lines().zip(&came_to) {
        let _ = writeln!(text, "{}", format!("{line}  {came_to}").trim_end());
    }
    let _ = writeln!(text, "\n{} in {seconds:.1} s; run {}", report.job, report.run_id);
    if let Some(resume) = &report.resume {
        let _ = writeln!(text, "to go on with what is left: {resume}");
    }
    text
}
