//! What is wrong, before the night finds out: what a run needs, tried one by one (D1 to D6).
//!
//! ```text
//!   environment ──▶ machine.rs   cores, memory, open files, temporary folder
//!               ──▶ aws.rs       credentials, whose they are, region   ──▶ STS
//!   PLACE       ──▶ place.rs     list · write · read · create · parts · delete
//!                     ├── refusal.rs   a no, in words: what is lacking, what to do
//!                     └── clock.rs     this machine's time against the answer's `Date`
//!                                  all ──▶ finding.rs ──▶ Examination: lines, JSON, exit code
//! ```
//!
//! Both programs examine the same way; `ingest` adds secrets and APIs. Nothing waits longer than [`PATIENCE`],
//! and nothing stays behind but what a role may not delete, which is named then.

mod aws;
mod clock;
mod finding;
mod machine;
mod place;
mod refusal;

use std::time::Duration;

pub use finding::{Examination, Fault, Finding, Verdict};
pub use place::Purpose;
pub use refusal::permission_named_in;

/// The longest that one check waits for an answer.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// What is to be examined.
#[derive(Debug, Default)]
pub struct Questions {
    /// Places as on the command line, and what they are for.
    pub places: Vec<(String, Purpose)>,
    /// Whether AWS is needed for more than places: secrets, or requests that are signed.
    pub needs_aws: bool,
}

/// Examines the machine, AWS where something is there, and each place.
///
/// Needs a tokio runtime with time and input and output enabled. `tell` gets each finding as soon as it is there.
pub async fn examine(questions: &Questions, tell: &mut (dyn FnMut(Finding) + Send)) {
    machine::examine(tell);
    let is_in_s3 = |(place, _): &(String, Purpose)| place::Kind::of(place) == place::Kind::S3;
    let uses_s3 = questions.places.iter().any(is_in_s3);
    let access = aws::examine(uses_s3, questions.needs_aws, tell).await;
    for (place, purpose) in &questions.places {
        place::examine(place, *purpose, &access, tell).await;
    }
}

/// The environment of the process, or one of a test.
type Environment<'a> = &'a (dyn Fn(&str) -> Option<String> + Send + Sync);

/// A variable of the process; an empty one counts as absent.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The innermost cause of an error: the one that says what the network or the system said.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    chain.last().map(ToString::to_string).unwrap_or_default()
}
