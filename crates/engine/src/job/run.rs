//! Runs the steps of a job as processes: each when those that it waits for have ended well, several at a time.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::console::Console;
use crate::system::send_signal;

use super::document::Job;
use super::report::{JobReport, Outcome, StepReport, command_line, word};
use super::steps::{Program, Step};

/// How a job runs.
pub(crate) struct RunSettings {
    /// Its name: steps that were done under it are not done again.
    pub(crate) run_id: String,
    /// Steps at a time.
    pub(crate) parallel: usize,
    /// The options that chose the steps, such as `--from merge`.
    pub(crate) chosen_by: Vec<String>,
}

const RETRYABLE: u8 = 75;
/// Between two looks at a process that has closed its outputs: it ends within moments.
const POLL: Duration = Duration::from_millis(2);

/// The processes that run, and the signal that ends them.
#[derive(Default)]
struct Running {
    signal: AtomicI32,
    children: Mutex<BTreeMap<usize, u32>>,
}

impl Running {
    /// Asks all steps to stop when a signal comes, and begins no more.
    fn listen(self: &Arc<Running>, console: &Arc<Console>) -> std::io::Result<()> {
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        let (running, console) = (self.clone(), console.clone());
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for signal in signals.forever() {
                running.signal.store(signal, Ordering::SeqCst);
                console.stopping();
                let children = running.children.lock().unwrap_or_else(PoisonError::into_inner);
                for pid in children.values() {
                    send_signal(*pid, signal);
                }
            }
        })?;
        Ok(())
    }

    fn signal(&self) -> Option<u8> {
        u8::try_from(self.signal.load(Ordering::SeqCst)).ok().filter(|signal| *signal > 0)
    }
}

/// Runs the steps.
///
/// # Errors
///
/// The system gives no thread. How steps fail is in the report.
pub(crate) fn run(
    job: &Job,
    steps: &[Step],
    settings: &RunSettings,
    console: &Arc<Console>,
) -> std::io::Result<JobReport> {
    let began = Instant::now();
    let started_at = jiff::Timestamp::now().to_string();
    let running = Arc::new(Running::default());
    running.listen(console)?;
    let (sender, ended) = channel();
    let mut reports: Vec<StepReport> = steps.iter().map(|step| not_begun(step, steps)).collect();
    let mut has_begun = vec![false; steps.len()];
    let mut num_running = 0;
    loop {
        for (at, step) in steps.iter().enumerate() {
            let is_ready = |before: &usize| reports[*before].outcome == Outcome::Done;
            let may_begin = !has_begun[at] && step.after.iter().all(is_ready);
            if may_begin && num_running < settings.parallel && running.signal().is_none() {
                has_begun[at] = true;
                num_running += 1;
                console.step_started(&step.name);
                reports[at].started_ms = milliseconds(began);
                let task = Task {
                    at,
                    step: step.clone(),
                    run_id: settings.run_id.clone(),
                    running: running.clone(),
                    console: console.clone(),
                };
                let sender: Sender<(usize, Ended)> = sender.clone();
                thread::Builder::new().name(step.name.clone()).spawn(move || {
                    let at = task.at;
                    // The loop below waits for as many as were begun.
                    let _ = sender.send((at, task.run()));
                })?;
            }
        }
        if num_running == 0 {
            break;
        }
        let Ok((at, ended)) = ended.recv() else { break };
        num_running -= 1;
        let report = &mut reports[at];
        report.outcome = if ended.code == Some(0) { Outcome::Done } else { Outcome::Failed };
        report.exit_code = ended.code;
        report.duration_ms = milliseconds(began).saturating_sub(report.started_ms);
        report.report = ended.report;
        report.error = ended.error;
        console.step_ended(report);
    }
    let exit_code = match running.signal() {
        Some(signal) => 128 + signal,
        None => exit_code(&reports),
    };
    let resume = (exit_code != 0).then(|| resume(job, settings));
    Ok(JobReport {
        job: job.name.clone(),
        run_id: settings.run_id.clone(),
        exit_code,
        started_at,
        duration_ms: milliseconds(began),
        steps: reports,
        resume,
    })
}

/// The command that goes on with what is left of a run.
fn resume(job: &Job, settings: &RunSettings) -> String {
    let params = job
        .params
        .iter()
        .flat_map(|(name, value)| ["--param".to_owned(), format!("{name}={value}")]);
    let named = ["--run-id".to_owned(), settings.run_id.clone()];
    let words = ["engine", "run", job.name.as_str()].map(str::to_owned).into_iter();
    let words = words.chain(params).chain(settings.chosen_by.iter().cloned()).chain(named);
    words.map(|text| word(&text)).collect::<Vec<_>>().join(" ")
}

fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

fn not_begun(step: &Step, steps: &[Step]) -> StepReport {
    StepReport {
        step: step.name.clone(),
        outcome: Outcome::NotBegun,
        command: command_line(step),
        after: step.after.iter().map(|at| steps[*at].name.clone()).collect(),
        exit_code: None,
        duration_ms: 0,
        started_ms: 0,
        report: Json::Null,
        error: None,
    }
}

/// That of the first step that failed and cannot succeed later; 75 where all of them can.
fn exit_code(reports: &[StepReport]) -> u8 {
    let failed = reports.iter().filter(|step| step.has_failed());
    let codes: Vec<u8> = failed.map(|step| step.exit_code.unwrap_or(70)).collect();
    let lasting = codes.iter().find(|code| **code != RETRYABLE);
    lasting.or(codes.first()).copied().unwrap_or(0)
}

/// A step that runs in a thread of its own.
struct Task {
    at: usize,
    step: Step,
    run_id: String,
    running: Arc<Running>,
    console: Arc<Console>,
}

/// How a step's process ended.
struct Ended {
    code: Option<u8>,
    report: Json,
    error: Option<String>,
}

impl Task {
    fn run(&self) -> Ended {
        let program = program(self.step.program);
        let child = self.spawn(&program);
        let mut child = match child {
            Ok(child) => child,
            Err(error) => {
                let error = format!("`{}` cannot be started: {error}", program.display());
                return Ended { code: Some(70), report: Json::Null, error: Some(error) };
            }
        };
        let stderr = child.stderr.take();
        let stdout = child.stdout.take();
        let mut last_error = None;
        let mut text = String::new();
        thread::scope(|scope| {
            let reading = scope.spawn(|| {
                let mut text = Vec::new();
                if let Some(mut stdout) = stdout {
                    // What could be read is the report, or is not one.
                    let _ = stdout.read_to_end(&mut text);
                }
                String::from_utf8_lossy(&text).into_owned()
            });
            for line in stderr.map(BufReader::new).into_iter().flat_map(BufRead::lines) {
                let Ok(line) = line else { break };
                self.console.step_said(&self.step.name, &line);
                last_error = error_of(&line).or(last_error.take());
            }
            text = reading.join().unwrap_or_default();
        });
        let status = self.wait(&mut child);
        let report = serde_json::from_str(&text).unwrap_or_else(|_| text.trim_end().into());
        match status {
            Ok(status) => {
                let code = status.code().and_then(|code| u8::try_from(code).ok());
                let killed = code.is_none().then(|| format!("the process was ended: {status}"));
                Ended { code, report, error: killed.or(last_error) }
            }
            Err(error) => Ended { code: None, report, error: Some(error.to_string()) },
        }
    }

    /// Waits for the end; a process that was waited for gets no signal any more, since its id may be another's.
    fn wait(&self, child: &mut Child) -> std::io::Result<ExitStatus> {
        loop {
            let mut children = self.running.children.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(status) = child.try_wait()? {
                children.remove(&self.at);
                return Ok(status);
            }
            drop(children);
            thread::sleep(POLL);
        }
    }

    /// Starts the process, in a group of its own: a signal to this program is passed on, once.
    fn spawn(&self, program: &PathBuf) -> std::io::Result<Child> {
        let mut command = Command::new(program);
        command.args(&self.step.arguments);
        if self.step.has_run_id {
            // Two steps of one job may write to one place.
            command.arg(format!("--run-id={}-{}", self.run_id, self.step.name.replace('.', "-")));
        }
        if self.step.has_report {
            command.arg("--report=json");
        }
        command
            .arg("--log=json")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let environment = self.console.step_environment(&self.step.name);
        environment.remove.iter().for_each(|name| {
            command.env_remove(name);
        });
        command.envs(environment.set);
        command.process_group(0);
        let mut children = self.running.children.lock().unwrap_or_else(PoisonError::into_inner);
        let child = command.spawn()?;
        children.insert(self.at, child.id());
        if let Some(signal) = self.running.signal() {
            send_signal(child.id(), i32::from(signal));
        }
        Ok(child)
    }
}

/// The error that a line of a log tells.
fn error_of(line: &str) -> Option<String> {
    let said: Json = serde_json::from_str(line).ok()?;
    let text = said["message"].as_str().or(said["error"].as_str())?;
    (said["level"] == "error").then(|| text.to_owned())
}

/// This program itself; `ingest` is the one beside it, or else that of the path. Where both are one file, the links
/// beside it are the programs.
pub(crate) fn program(program: Program) -> PathBuf {
    let own = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("engine"));
    match program {
        Program::Engine if own.ends_with(ONE_FILE) => own.with_file_name("engine"),
        Program::Engine => own,
        Program::Ingest => {
            let beside = own.with_file_name("ingest");
            if beside.exists() { beside } else { PathBuf::from("ingest") }
        }
    }
}

/// The file that is both programs.
const ONE_FILE: &str = "solder";

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(code: u8) -> StepReport {
        StepReport {
            step: "merge".to_owned(),
            outcome: Outcome::Failed,
            command: String::new(),
            after: Vec::new(),
            exit_code: Some(code),
            duration_ms: 0,
            started_ms: 0,
            report: Json::Null,
            error: None,
        }
    }

    #[test]
    fn j3_a_retry_is_asked_for_only_where_it_can_help_all() {
        assert_eq!(exit_code(&[]), 0);
        assert_eq!(exit_code(&[failed(75), failed(75)]), 75);
        assert_eq!(exit_code(&[failed(75), failed(65), failed(77)]), 65);
    }
}
