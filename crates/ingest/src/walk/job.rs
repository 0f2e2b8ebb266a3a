//! Jobs (I11): create, poll, and on to the result.

use async_trait::async_trait;
use url::Url;

use super::{Rendering, Scope, WalkError};
use crate::http::{AnswerHead, Body, Delivery, ReadError, Reader, Sender, Totals};
use crate::page::{JsonPath, find, text_of};
use crate::source::plan::{Job, Rule};

/// The most of an answer about a job.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// Why a job gave no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JobError {
    /// An answer lacks what is needed.
    #[error("the answer to the job's {request} has no `{path}`")]
    Missing { request: &'static str, path: String },
    /// The API says that it failed.
    #[error("job `{id}` ended as `{status}`")]
    Failed { id: String, status: String },
    /// It takes too long.
    #[error("job `{id}` is still `{status}` after {seconds} s: see `job.poll.timeout`")]
    TimedOut { id: String, status: String, seconds: u64 },
    /// A partition had no job.
    #[error("the job's {request} was answered with nothing to work with")]
    NoAnswer { request: &'static str },
    /// The result's URL is none.
    #[error("the job's result has no URL that can be followed")]
    ResultUrl(#[source] url::ParseError),
    /// The result's URL leads elsewhere.
    #[error(transparent)]
    Foreign(Box<dyn std::error::Error + Send + Sync>),
}

/// A job that is done.
pub(crate) struct Done {
    pub(crate) id: String,
    /// Where the result is, if the API says so.
    pub(crate) result: Option<Url>,
}

/// Creates a job and waits until it is done. `None` when a rule says that there is nothing.
pub(crate) async fn run_job(
    job: &Job,
    sender: &Sender,
    rendering: &Rendering<'_>,
    scope: &Scope,
    rules: &[Rule],
    totals: &Totals,
) -> Result<Option<Done>, WalkError> {
    let mut answer = Whole::default();
    let request = rendering.request(&job.create, scope).await?;
    let created =
        sender.deliver(&request, job.create.is_retryable, rules, &mut answer, totals).await?;
    match created {
        Delivery::Answer(_) => {}
        Delivery::Skipped(_) => return Ok(None),
        Delivery::Ignored => return Err(JobError::NoAnswer { request: "create" }.into()),
    }
    let id = answer.text(&job.id, "create")?;
    let scope = Scope { job_id: Some(id.clone()), ..scope.clone() };
    let clock = sender.clock();
    let begun = clock.instant();
    loop {
        let request = rendering.request(&job.poll, &scope).await?;
        let polled = sender.deliver(&request, true, rules, &mut answer, totals).await?;
        let head = match polled {
            Delivery::Answer(head) => head,
            Delivery::Skipped(_) => return Ok(None),
            Delivery::Ignored => return Err(JobError::NoAnswer { request: "poll" }.into()),
        };
        let status = answer.text(&job.status, "poll")?;
        if job.done.contains(&status) {
            let result = match &job.result_url {
                None => None,
                Some(path) => Some(result_url(sender, &head, &answer.text(path, "poll")?)?),
            };
            return Ok(Some(Done { id, result }));
        }
        if job.failed.contains(&status) {
            return Err(JobError::Failed { id, status }.into());
        }
        let seconds = clock.instant().saturating_duration_since(begun);
        if seconds + job.every > job.timeout {
            return Err(JobError::TimedOut { id, status, seconds: seconds.as_secs() }.into());
        }
        clock.sleep(job.every).await;
    }
}

fn result_url(sender: &Sender, head: &AnswerHead, text: &str) -> Result<Url, JobError> {
    let url = head.url.join(text).map_err(JobError::ResultUrl)?;
    match sender.guard().check(&url, "the job's result") {
        Ok(()) => Ok(url),
        Err(foreign) => Err(JobError::Foreign(foreign.into())),
    }
}

/// A short answer, whole.
#[derive(Default)]
struct Whole {
    body: Vec<u8>,
}

impl Whole {
    fn text(&self, path: &JsonPath, request: &'static str) -> Result<String, JobError> {
        find(&self.body, path)
            .and_then(text_of)
            .map(|text| text.into_owned())
            .ok_or_else(|| JobError::Missing { request, path: path.to_string() })
    }
}

#[async_trait]
impl Reader for Whole {
    async fn read(&mut self, _: &AnswerHead, body: &mut dyn Body) -> Result<(), ReadError> {
        self.body.clear();
        while let Some(chunk) = body.chunk().await? {
            let rest = MAX_ANSWER_BYTES - self.body.len();
            self.body.extend_from_slice(&chunk[..chunk.len().min(rest)]);
        }
        Ok(())
    }

    fn value(&self, path: &JsonPath) -> Option<Vec<u8>> {
        find(&self.body, path).map(<[u8]>::to_vec)
    }
}
