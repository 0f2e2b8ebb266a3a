//! What is wrong with a source, before a run finds out: its secrets, its API (D7). The machine, AWS and the place
//! are examined by `solder-operate`, as `engine doctor` does it.

use std::path::Path;
use std::time::Duration;

use solder_landing::causes;
use solder_operate::doctor::{
    Fault, Finding, PATIENCE, Purpose, Questions, Verdict, examine, permission_named_in,
};

use crate::auth::AuthSettings;
use crate::error::{Error, secret_code};
use crate::probe;
use crate::reach::Reach;
use crate::secrets::{Redactor, ReferenceError, SecretError, SecretRef, Vault};
use crate::source::plan::Source;

/// A child's page comes behind that of its parent, and either behind a token: longer than one check.
const API_PATIENCE: Duration = Duration::from_secs(30);

/// What is to be examined.
#[derive(Debug)]
pub struct Consultation<'a> {
    /// A source, and the positions of the streams that matter.
    pub source: Option<(&'a Source, Vec<usize>)>,
    /// Where the paths of secrets in files begin: the folder of the source file.
    pub folder: &'a Path,
    /// More secrets, by reference.
    pub secrets: Vec<String>,
    /// Where runs land.
    pub to: Option<&'a str>,
}

/// Examines the machine, AWS where something needs it, the place, the secrets and one page of each stream.
///
/// Values of secrets are in no finding.
pub async fn doctor(consultation: &Consultation<'_>) -> Vec<Finding> {
    let Consultation { source, folder, secrets, to } = consultation;
    let mut findings = Vec::new();
    let mut references: Vec<SecretRef> = Vec::new();
    if let Some((source, streams)) = source {
        references.extend(source.secrets(streams));
    }
    let mut misspelt = Vec::new();
    for (number, text) in (1..).zip(secrets) {
        match text.parse() {
            Ok(reference) => references.push(reference),
            Err(error) => {
                let error: ReferenceError = error;
                misspelt.push(misspelt_reference(number, text, &error));
            }
        }
    }
    let is_signed = |source: &Source| matches!(source.connection.auth, AuthSettings::AwsSigv4(_));
    let questions = Questions {
        places: to.iter().map(|to| ((*to).to_owned(), Purpose::Land)).collect(),
        needs_aws: references.iter().any(SecretRef::is_in_aws)
            || source.as_ref().is_some_and(|(source, _)| is_signed(source)),
    };
    examine(&questions, &mut |finding| findings.push(finding)).await;
    findings.extend(misspelt);
    let vault = Vault::new(Redactor::new()).with_folder(*folder);
    let num_before = findings.len();
    for reference in &references {
        findings.push(secret(&vault, reference).await);
    }
    let lacks_secret = findings.iter().skip(num_before).any(Finding::has_failed);
    if let Some((source, streams)) = source {
        let reach = match lacks_secret {
            true => Err(not_asked(source)),
            false => {
                Reach::live(&source.connection, folder).map_err(|error| unusable(source, &error))
            }
        };
        match reach {
            Ok(reach) => {
                for position in streams {
                    findings.push(page(source, &reach, *position).await);
                }
            }
            Err(finding) => findings.push(finding),
        }
    }
    findings
}

fn not_asked(source: &Source) -> Finding {
    let about = format!("source {}", source.name);
    let came = "a secret cannot be read";
    Finding::new((&about, "streams"), Verdict::Skipped, "one page of each", came)
}

/// The connection cannot be set up.
fn unusable(source: &Source, error: &Error) -> Finding {
    let about = format!("source {}", source.name);
    let verdict = Verdict::Fail(Fault::from(error.exit_code()));
    Finding::new((&about, "connection"), verdict, "what the file says of it", spoken(error))
        .with_advice("correct `connection` in the source")
}

/// An error and its causes, in one line.
fn spoken(error: &Error) -> String {
    std::iter::once(error.to_string()).chain(causes(error)).collect::<Vec<_>>().join(": ")
}

const SECRETS: &str = "secrets";

/// What is no reference may be a secret that somebody wrote there: it is not shown.
fn misspelt_reference(number: usize, text: &str, error: &dyn std::error::Error) -> Finding {
    let came = error.to_string().replace(text, "…");
    let verdict = Verdict::Fail(Fault::Configuration);
    let tried = format!("`--secrets`, number {number}");
    Finding::new((SECRETS, "reference"), verdict, tried, came)
        .with_advice("write it as a source does, without `${secret:` and `}`")
}

/// Reads a secret; the value is not shown.
async fn secret(vault: &Vault, reference: &SecretRef) -> Finding {
    let check = reference.source().kind();
    let tried = format!("`{reference}`");
    match tokio::time::timeout(PATIENCE, vault.get(reference)).await {
        Ok(Ok(_)) => Finding::new((SECRETS, check), Verdict::Ok, tried, "it can be read"),
        Ok(Err(error)) => unreadable(check, tried, reference, &error),
        Err(_) => {
            let came = format!("no answer within {} s", PATIENCE.as_secs());
            let verdict = Verdict::Fail(Fault::Unreachable);
            Finding::new((SECRETS, check), verdict, tried, came).with_advice(
                "open the way to that service of AWS: a VPC endpoint, NAT, a proxy (`HTTPS_PROXY`)",
            )
        }
    }
}

fn unreadable(check: &str, tried: String, reference: &SecretRef, error: &SecretError) -> Finding {
    let exit_code = secret_code(error);
    // The innermost says what is wrong; the others say what was being done.
    let came = causes(error).pop().unwrap_or_else(|| {
        let text = error.to_string();
        text.split_once("`: ").map_or(text.clone(), |(_, why)| why.to_owned())
    });
    let advice = match (exit_code, permission_named_in(&came)) {
        (_, Some((action, resource))) => {
            let on = resource.map(|resource| format!(" on `{resource}`")).unwrap_or_default();
            format!("let the role's policy allow `{action}`{on}")
        }
        (77, None) => match reference.source().action() {
            Some(action) => format!(
                "give credentials of a role that may `{action}`; with a key of its own also `kms:Decrypt` on it"
            ),
            None => "let this user read the file".to_owned(),
        },
        (75 | 69, None) => "try again; see to the way to that service of AWS".to_owned(),
        (_, None) => "set it, or correct the reference".to_owned(),
    };
    Finding::new((SECRETS, check), Verdict::Fail(Fault::from(exit_code)), tried, came)
        .with_advice(advice)
}

/// One page of a stream.
async fn page(source: &Source, reach: &Reach, position: usize) -> Finding {
    let name = source.streams[position].name.stream();
    let about = format!("source {}", source.name);
    let what = (about.as_str(), name);
    let tried = "one page";
    let clean = |text: String| reach.redactor().clean(&text).into_owned();
    let asked = tokio::time::timeout(API_PATIENCE, probe::check(source, reach, position)).await;
    match asked {
        Err(_) => {
            let came = format!("not there within {} s", API_PATIENCE.as_secs());
            Finding::new(what, Verdict::Fail(Fault::Unreachable), tried, came)
                .with_advice("see to the API, and to the way there (DNS, proxy, NAT)")
        }
        Ok(Err(error)) => {
            let came = spoken(&error);
            let fault = Fault::from(error.exit_code());
            let advice = match (error.hint(), fault) {
                (_, Fault::Passing) => "see to the API, and to the way there (DNS, proxy, NAT)",
                (Some(hint), _) => hint,
                (None, Fault::Configuration) => "correct the source, or the secret that it names",
                (None, _) => "hold the source against the API's documentation",
            };
            Finding::new(what, Verdict::Fail(fault), tried, clean(came)).with_advice(advice)
        }
        Ok(Ok(checked)) => {
            if let Some(why) = checked.not_asked {
                return Finding::new(what, Verdict::Skipped, tried, clean(why));
            }
            let tried = clean(format!("{tried} of {}", checked.url));
            let more = if checked.has_more { ", more follow" } else { "" };
            let came = format!("{} records{more}", checked.num_records);
            match checked.warnings.is_empty() {
                true => Finding::new(what, Verdict::Ok, tried, came),
                false => {
                    let came = clean(format!("{came}; {}", checked.warnings.join("; ")));
                    Finding::new(what, Verdict::Warn, tried, came)
                        .with_advice("see `primary_key` and `incremental.cursor` of the stream")
                }
            }
        }
    }
}
