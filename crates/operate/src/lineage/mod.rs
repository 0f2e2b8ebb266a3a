//! OpenLineage: which datasets a run read and wrote, told to whoever draws the lines between them.
//!
//! ```text
//!   Subject ──▶ Lineage::begin ──▶ START ───────────────────▶ OPENLINEAGE_URL
//!                  │   step ──▶ OPENLINEAGE_PARENT_ID of that step
//!   report, outcome ──▶ event.rs ──▶ COMPLETE · FAIL · ABORT ─▶
//!                           └──▶ dataset.rs    places and tables as datasets
//! ```
//!
//! Variables are those of OpenLineage's client for Python.

mod dataset;
mod event;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use reqwest::Client;
use serde_json::Value;
use tokio::time::timeout;
use url::Url;
use uuid::{Builder, Uuid};

use crate::ended::End;
use crate::environment::{Environment, shown};
use crate::operation::{Host, PATIENCE, Subject, patience};

use event::{Event, Job, Parent};

const ADDRESS: &str = "OPENLINEAGE_URL";
const ENDPOINT: &str = "OPENLINEAGE_ENDPOINT";
const API_KEY: &str = "OPENLINEAGE_API_KEY";
const NAMESPACE: &str = "OPENLINEAGE_NAMESPACE";
const PARENT: &str = "OPENLINEAGE_PARENT_ID";

/// The run of an operation, as OpenLineage knows it.
pub(crate) struct Lineage {
    subject: Arc<Subject>,
    address: Url,
    api_key: Option<String>,
    run: Uuid,
    job: Job,
    parent: Option<Parent>,
    began: SystemTime,
}

impl Lineage {
    /// Whether the environment asks for events.
    pub(crate) fn is_wanted(environment: Environment) -> bool {
        environment.get(ADDRESS).is_some() && !environment.is_true("OPENLINEAGE_DISABLED")
    }

    /// The run of an operation that begins.
    pub(crate) fn begin(
        environment: Environment,
        subject: &Arc<Subject>,
        host: &dyn Host,
    ) -> Option<Lineage> {
        if !Lineage::is_wanted(environment) {
            return None;
        }
        let base = environment.get(ADDRESS)?;
        let endpoint = environment.get(ENDPOINT).unwrap_or_else(|| "api/v1/lineage".to_owned());
        let address =
            format!("{}/{}", base.trim_end_matches('/'), endpoint.trim_start_matches('/'));
        let address = match Url::parse(&address) {
            Ok(address) if matches!(address.scheme(), "http" | "https") => address,
            _ => {
                // It may hold credentials, and is not repeated.
                host.warn(&format!("lineage: {ADDRESS} is no address such as http://marquez:5000"));
                return None;
            }
        };
        let namespace = environment.get(NAMESPACE).unwrap_or_else(|| "default".to_owned());
        let job = Job { namespace, name: subject.job(environment) };
        let run = match &subject.run_id {
            Some(run_id) => run_uuid(&job, run_id),
            None => Uuid::new_v4(),
        };
        Some(Lineage {
            subject: subject.clone(),
            address,
            api_key: environment.get(API_KEY),
            run,
            job,
            parent: environment.get(PARENT).as_deref().and_then(Parent::parse),
            began: SystemTime::now(),
        })
    }

    /// What makes a step a part of this run.
    pub(crate) fn step(&self) -> (&'static str, String) {
        let Job { namespace, name } = &self.job;
        (PARENT, format!("{namespace}/{name}/{}", self.run))
    }

    /// Tells that the run has begun, and then how it ended.
    pub(crate) async fn watch(self: Arc<Lineage>, mut end: End, host: Arc<dyn Host>) {
        let client = match Client::builder().timeout(PATIENCE).build() {
            Ok(client) => client,
            Err(error) => return host.warn(&format!("lineage cannot be told: {error}")),
        };
        let begun = self.post(&client, &self.event(None)).await;
        if let Err(problem) = &begun {
            host.warn(&format!("lineage: {problem}"));
            if end.is_there() {
                // The run was shorter than the wait for this.
                return;
            }
        }
        let Some(ended) = end.wait().await else { return };
        let limit = patience(&ended);
        let told = timeout(limit, self.post(&client, &self.event(Some(&ended)))).await;
        let problem = match told {
            Ok(Ok(())) => return,
            Ok(Err(problem)) => problem,
            Err(_) => self.silence(limit),
        };
        // One warning is enough.
        if begun.is_ok() {
            host.warn(&format!("lineage: {problem}"));
        }
    }

    fn event(&self, ended: Option<&crate::ended::Ended>) -> Value {
        let Lineage { subject, run, job, parent, began, .. } = self;
        let at = ended.map_or(*began, |ended| ended.at);
        Event { subject, run: *run, job, parent: parent.as_ref(), at, ended }.json()
    }

    /// What went wrong, if something did.
    async fn post(&self, client: &Client, event: &Value) -> Result<(), String> {
        let mut request = client
            .post(self.address.clone())
            .header("content-type", "application/json")
            .body(event.to_string());
        if let Some(key) = &self.api_key {
            request = request.bearer_auth(key);
        }
        match request.send().await {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(format!(
                "{} answers {}; see {API_KEY}",
                shown(self.address.as_str()),
                answer.status()
            )),
            Err(error) if error.is_timeout() => Err(self.silence(PATIENCE)),
            Err(error) => {
                let error = error.without_url();
                let causes = solder_landing::causes(&error).join(": ");
                Err(format!("{} is not reached: {error}: {causes}", shown(self.address.as_str())))
            }
        }
    }

    fn silence(&self, limit: Duration) -> String {
        format!("no answer of {} within {limit:?}", shown(self.address.as_str()))
    }
}

/// The id of a run: the same for the same run of the same job, so that an attempt that follows another is the same run.
fn run_uuid(job: &Job, run_id: &str) -> Uuid {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    // FNV-1a of 128 bits: stable whatever the compiler, and nobody gains from two runs that meet.
    let parts = [job.namespace.as_str(), job.name.as_str(), run_id];
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0]));
    let hash = bytes.fold(OFFSET, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME));
    Builder::from_custom_bytes(hash.to_be_bytes()).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn o4_a_run_has_one_id() {
        let job = |name: &str| Job { namespace: "default".to_owned(), name: name.to_owned() };
        let id = run_uuid(&job("merge"), "r-1");
        assert_eq!(id.to_string(), "4017b0f3-19c3-87ab-876d-ef57d469f7f2");
        assert_eq!(id, run_uuid(&job("merge"), "r-1"));
        assert_ne!(id, run_uuid(&job("merge"), "r-2"));
        assert_ne!(id, run_uuid(&job("merge.r"), "-1"));
    }
}
