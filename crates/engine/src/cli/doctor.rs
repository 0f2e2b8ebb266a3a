//! `engine doctor`.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use clap::Args;
use serde_json::Value;
use solder_lake::Error;
use solder_operate::doctor::{Examination, Fault, Finding, Purpose, Questions, Verdict, examine};
use solder_relationalize::Io;

use super::reporting::ReportFormat;
use crate::job::{Job, Program, folder, places, program};

/// Find out what is wrong before a run does: credentials, region, places, secrets, clock, this machine
///
/// Tries what runs do. In each place an object of its own is written, read, created once more and removed.
/// No check waits longer than ten seconds, one of an API thirty.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Doctor {
    /// Places that runs write to, such as `curated/` or `s3://bucket/lake`
    #[arg(value_name = "PLACE")]
    places: Vec<String>,

    /// A place that runs only read; can be given again
    #[arg(long, value_name = "PLACE")]
    reads: Vec<String>,

    /// A job file: its places, and its sources by `ingest doctor`
    #[arg(long, value_name = "FILE")]
    job: Option<PathBuf>,

    /// A parameter of the job file; can be given again
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = super::param, requires = "job")]
    params: Vec<(String, String)>,

    /// A secret, as sources name it: env:NAME, file:PATH, aws-sm://NAME, ssm://NAME; can be given again
    #[arg(long, value_name = "REF")]
    secrets: Vec<String>,

    /// What goes to stdout: text or json
    #[arg(
        long,
        value_enum,
        value_name = "FORMAT",
        hide_possible_values = true,
        default_value = "text"
    )]
    report: ReportFormat,
}

const EXAMPLES: &str = "\
Examples:
  engine doctor
      this machine, and the credentials of its environment
  engine doctor s3://bucket/curated s3://bucket/lake --reads s3://bucket/raw
      what the role of an engine's job needs; run it as that job
  engine doctor --job solder.yaml --report json
      all places, sources and secrets of a job
  engine doctor --secrets aws-sm://solder/shop#token
      whether a secret can be read; it is not shown

Exit codes: 0 when nothing fails, warnings or not. Else that of the worst failure:
77 credentials or rights, 78 configuration, 66 nothing to read, 65 data, 73 and 74 writing,
69 nobody answers, 75 all of it can succeed later.";

impl Doctor {
    /// What goes to stdout, and the exit code.
    ///
    /// # Errors
    ///
    /// The job file is wrong, or the system gives no threads.
    pub(crate) fn run(&self) -> Result<(String, u8), Error> {
        let job = self.job.as_ref().map(|path| Job::read(path, &self.params)).transpose()?;
        let mut questions = Questions::default();
        let given = self.places.iter().map(|place| (place.clone(), Purpose::Keep));
        questions.places.extend(given);
        let read = self.reads.iter().filter_map(|place| folder(place));
        questions.places.extend(read.map(|place| (place, Purpose::Read)));
        if let Some(job) = &job {
            questions.places.extend(places(job));
        }
        questions.needs_aws = questions.places.is_empty() && self.secrets.is_empty() && has_aws();
        let mut findings = Vec::new();
        let io = Io::start().map_err(super::no_threads)?;
        io.wait(examine(&questions, &mut |finding| findings.push(finding)));
        // A folder whose disk does not answer keeps its thread; who waited for it has waited long enough.
        std::mem::forget(io);
        for arguments in self.by_ingest(job.as_ref()) {
            ask_ingest(&arguments).into_iter().for_each(|finding| add(&mut findings, finding));
        }
        let examination = Examination::of(findings);
        let text = match self.report {
            ReportFormat::Text => examination.text(),
            ReportFormat::Json => super::json(&examination)?,
        };
        Ok((text, examination.exit_code))
    }

    /// The command lines that `ingest` is asked with: it reads secrets and APIs, and this program does not.
    fn by_ingest(&self, job: Option<&Job>) -> Vec<Vec<String>> {
        let mut lines = Vec::new();
        for section in job.iter().flat_map(|job| job.document.sources.values()) {
            let mut arguments = vec!["doctor".to_owned()];
            // Recorded answers need no API and no secrets.
            if section.recorded.is_none() {
                arguments.push(section.source.clone());
                arguments.extend(section.streams.iter().map(|stream| format!("--stream={stream}")));
                let params = section.parameters.iter();
                arguments.extend(params.map(|(name, value)| format!("--param={name}={value}")));
            }
            arguments.push(format!("--to={}", section.to));
            lines.push(arguments);
        }
        if !self.secrets.is_empty() {
            let mut arguments = vec!["doctor".to_owned()];
            arguments.extend(self.secrets.iter().map(|secret| format!("--secrets={secret}")));
            lines.push(arguments);
        }
        lines
    }
}

/// Adds a finding of `ingest` beside those about the same. What was tried here already is not told twice.
fn add(findings: &mut Vec<Finding>, finding: Finding) {
    let is_same = |known: &Finding| {
        (&known.about, &known.check) == (&finding.about, &finding.check)
            && (known.tried == finding.tried || known.verdict == Verdict::Skipped)
    };
    let same = findings.iter().position(is_same);
    let beside = findings.iter().rposition(|known| known.about == finding.about);
    match same {
        Some(at) if findings[at].verdict == Verdict::Skipped => findings[at] = finding,
        Some(_) => {}
        None => findings.insert(beside.map_or(findings.len(), |at| at + 1), finding),
    }
}

/// Whether this machine is set up for AWS: laptops without it have nothing to be asked.
fn has_aws() -> bool {
    let variables = [
        "AWS_ACCESS_KEY_ID",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ];
    variables.iter().any(|name| std::env::var_os(name).is_some()) || solder_landing::asks_profile()
}

/// What `ingest` finds.
fn ask_ingest(arguments: &[String]) -> Vec<Finding> {
    let ingest = program(Program::Ingest);
    let tried = format!("`ingest {}`", arguments.join(" "));
    let failed = |fault, came: String, advice: &str| {
        let finding = Finding::new(("ingest", "doctor"), Verdict::Fail(fault), &tried, came);
        vec![finding.with_advice(advice)]
    };
    let output = Command::new(&ingest)
        .args(arguments)
        .args(["--report=json", "--log=json"])
        .stdin(Stdio::null())
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) => {
            let came = format!("`{}` cannot be started: {error}", ingest.display());
            let advice = "put `ingest` of the same version beside `engine`, or into the path";
            return failed(Fault::Configuration, came, advice);
        }
    };
    let report = serde_json::from_slice::<Value>(&output.stdout).unwrap_or_default();
    match serde_json::from_value(report["findings"].clone()) {
        Ok(findings) => findings,
        Err(_) => {
            let code = output.status.code().and_then(|code| u8::try_from(code).ok());
            let came = said(&output.stderr).unwrap_or_else(|| output.status.to_string());
            failed(Fault::from(code.unwrap_or_default()), came, "correct what it says")
        }
    }
}

/// The last error of a log.
fn said(log: &[u8]) -> Option<String> {
    let lines = String::from_utf8_lossy(log);
    let errors = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let text = |said: Value| {
        let text = said["message"].as_str().or(said["error"].as_str());
        text.map(str::to_owned)
    };
    errors.filter(|said| said["level"] == "error").filter_map(text).next_back()
}
