//! What a check found, and all findings together: as lines, as JSON, as an exit code.

use std::fmt::{self, Write};

use serde::{Deserialize, Serialize};

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was examined: `machine`, `AWS`, a place, `secrets`, a source.
    pub about: String,
    /// The check.
    pub check: String,
    /// How it stands.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// What was tried.
    pub tried: String,
    /// What came.
    pub came: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", content = "exit_code", rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Runs will do, but somebody should know.
    Warn,
    /// Runs will fail.
    Fail(Fault),
    /// There was nothing to try, or no use in trying.
    Skipped,
}

/// Why runs will fail, the kinds in the order in which people see to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "u8", from = "u8")]
pub enum Fault {
    /// Credentials are missing, wrong or do not reach far enough.
    Credentials,
    /// What the environment or a file says is wrong.
    Configuration,
    /// What should be read is not there.
    NoInput,
    /// What came is not as it should be.
    Data,
    /// A file or folder cannot be made.
    Output,
    /// Reading or writing failed for good.
    ReadWrite,
    /// Nobody answers, or the answer is no.
    Unreachable,
    /// A mistake of Solder.
    Internal,
    /// It can succeed later.
    Passing,
}

impl Fault {
    /// The exit code of the programs, after sysexits.
    pub fn exit_code(self) -> u8 {
        match self {
            Fault::Credentials => 77,
            Fault::Configuration => 78,
            Fault::NoInput => 66,
            Fault::Data => 65,
            Fault::Output => 73,
            Fault::ReadWrite => 74,
            Fault::Unreachable => 69,
            Fault::Internal => 70,
            Fault::Passing => 75,
        }
    }
}

impl From<Fault> for u8 {
    fn from(fault: Fault) -> u8 {
        fault.exit_code()
    }
}

impl From<u8> for Fault {
    /// The fault that a run which ended with this code would have met.
    fn from(exit_code: u8) -> Fault {
        match exit_code {
            77 => Fault::Credentials,
            64 | 78 => Fault::Configuration,
            66 => Fault::NoInput,
            65 => Fault::Data,
            73 => Fault::Output,
            74 => Fault::ReadWrite,
            69 => Fault::Unreachable,
            75 => Fault::Passing,
            _ => Fault::Internal,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verdict::Ok => "ok",
            Verdict::Warn => "warn",
            Verdict::Fail(_) => "fail",
            Verdict::Skipped => "skipped",
        })
    }
}

impl Finding {
    /// A finding without advice.
    pub fn new(
        (about, check): (&str, &str),
        verdict: Verdict,
        tried: impl Into<String>,
        came: impl Into<String>,
    ) -> Finding {
        let (about, check) = (about.to_owned(), check.to_owned());
        Finding { about, check, verdict, tried: tried.into(), came: came.into(), advice: None }
    }

    /// With what to do about it.
    #[must_use]
    pub fn with_advice(self, advice: impl Into<String>) -> Finding {
        Finding { advice: Some(advice.into()), ..self }
    }

    /// Whether runs will fail over it.
    pub fn has_failed(&self) -> bool {
        matches!(self.verdict, Verdict::Fail(_))
    }

    /// The finding as people read it, what it is about left to a heading: one line, and one for the advice.
    pub fn lines(&self) -> String {
        let Finding { check, verdict, tried, came, advice, .. } = self;
        let mut text = format!("  {verdict:<7}  {check:<13}  {tried}: {came}\n");
        if let Some(advice) = advice {
            let _ = writeln!(text, "{:>11}to do: {advice}", "");
        }
        text
    }
}

/// All findings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Examination {
    /// 0 where nothing fails, else that of the fault that people see to first.
    pub exit_code: u8,
    /// Checks, those included that were skipped.
    pub num_checks: usize,
    /// Checks that failed.
    pub num_failed: usize,
    /// Checks that somebody should know about.
    pub num_warnings: usize,
    /// Checks that were skipped.
    pub num_skipped: usize,
    /// What each found, in order.
    pub findings: Vec<Finding>,
}

impl Examination {
    /// Of these findings.
    pub fn of(findings: Vec<Finding>) -> Examination {
        let number = |is: fn(&Verdict) -> bool| {
            findings.iter().filter(|finding| is(&finding.verdict)).count()
        };
        let faults = findings.iter().filter_map(|finding| match finding.verdict {
            Verdict::Fail(fault) => Some(fault),
            _ => None,
        });
        Examination {
            exit_code: faults.min().map_or(0, Fault::exit_code),
            num_checks: findings.len(),
            num_failed: number(|verdict| matches!(verdict, Verdict::Fail(_))),
            num_warnings: number(|verdict| matches!(verdict, Verdict::Warn)),
            num_skipped: number(|verdict| matches!(verdict, Verdict::Skipped)),
            findings,
        }
    }

    /// As people read it: a heading for each thing that was examined, a line for each check, and the numbers.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut about = None;
        for finding in &self.findings {
            if about != Some(&finding.about) {
                let gap = if about.is_some() { "\n" } else { "" };
                let _ = writeln!(text, "{gap}{}", finding.about);
                about = Some(&finding.about);
            }
            text.push_str(&finding.lines());
        }
        let plural = |number: usize, one: &str, many: &str| match number {
            0 => None,
            1 => Some(format!("1 {one}")),
            _ => Some(format!("{number} {many}")),
        };
        let parts = [
            plural(self.num_failed, "failed", "failed").or(Some("none failed".to_owned())),
            plural(self.num_warnings, "warning", "warnings"),
            plural(self.num_skipped, "skipped", "skipped"),
        ];
        let is_well = self.findings.iter().all(|finding| finding.verdict == Verdict::Ok);
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        let checks = plural(self.num_checks, "check", "checks");
        let checks = checks.unwrap_or_else(|| "nothing to check".to_owned());
        let all = if is_well { "all well".to_owned() } else { parts.join(", ") };
        let _ = writeln!(text, "\n{checks}: {all}");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn finding(verdict: Verdict) -> Finding {
        Finding::new(("machine", "cores"), verdict, "what was tried", "what came")
    }

    /// D2: the exit code is that of the fault which people see to first; waiting alone is asked for only where
    /// nothing else is wrong.
    #[rstest]
    #[case::nothing(&[], 0)]
    #[case::well(&[Verdict::Ok, Verdict::Warn, Verdict::Skipped], 0)]
    #[case::credentials(&[Verdict::Fail(Fault::Unreachable), Verdict::Fail(Fault::Credentials)], 77)]
    #[case::configuration(&[Verdict::Fail(Fault::Configuration), Verdict::Fail(Fault::Passing)], 78)]
    #[case::network(&[Verdict::Fail(Fault::Passing), Verdict::Fail(Fault::Unreachable)], 69)]
    #[case::later(&[Verdict::Fail(Fault::Passing), Verdict::Ok], 75)]
    fn d2_the_exit_code_is_that_of_the_worst(#[case] verdicts: &[Verdict], #[case] expected: u8) {
        let findings = verdicts.iter().copied().map(finding).collect();
        assert_eq!(Examination::of(findings).exit_code, expected);
    }

    #[test]
    fn d2_a_fault_is_its_exit_code() {
        for code in [65, 66, 69, 70, 73, 74, 75, 77, 78] {
            assert_eq!(Fault::from(code).exit_code(), code);
        }
        assert_eq!(Fault::from(64), Fault::Configuration, "what is typed is configuration, too");
    }

    /// D1: what one program found, another reads.
    #[test]
    fn d1_findings_are_json_and_back() {
        for verdict in [Verdict::Ok, Verdict::Skipped, Verdict::Fail(Fault::Credentials)] {
            let finding = finding(verdict).with_advice("what to do");
            let json = serde_json::to_string(&finding).unwrap();
            assert_eq!(serde_json::from_str::<Finding>(&json).unwrap(), finding, "{json}");
        }
        let json = serde_json::to_value(finding(Verdict::Fail(Fault::Credentials))).unwrap();
        assert_eq!((&json["outcome"], &json["exit_code"]), (&"fail".into(), &77.into()));
    }

    #[test]
    fn d1_lines_say_what_was_tried_what_came_and_what_to_do() {
        let findings = vec![
            finding(Verdict::Ok),
            finding(Verdict::Fail(Fault::Output)).with_advice("do this"),
            Finding::new(("raw", "list"), Verdict::Skipped, "listing it", "not asked"),
        ];
        let expected = "\
machine
  ok       cores          what was tried: what came
  fail     cores          what was tried: what came
           to do: do this

raw
  skipped  list           listing it: not asked

3 checks: 1 failed, 1 skipped
";
        assert_eq!(Examination::of(findings).text(), expected);
        assert!(
            Examination::of(vec![finding(Verdict::Ok)]).text().ends_with("1 check: all well\n")
        );
    }
}
