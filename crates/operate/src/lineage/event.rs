//! What is told of a run: events of OpenLineage.

use std::collections::HashMap;
use std::time::SystemTime;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::catalog::Column;
use crate::ended::Ended;
use crate::operation::Subject;
use crate::report;

use super::dataset::Dataset;

/// Who tells: a URI that need not lead anywhere, of this version.
const PRODUCER: &str = concat!("urn:solder:", env!("CARGO_PKG_VERSION"));
const SCHEMAS: &str = "https://openlineage.io/spec/";

/// A job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) namespace: String,
    pub(super) name: String,
}

/// The run that another one is a part of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parent {
    job: Job,
    run: Uuid,
}

impl Parent {
    /// Of `NAMESPACE/NAME/RUN`, as Airflow's macro gives it; a namespace may hold slashes, as a name may not.
    pub(super) fn parse(text: &str) -> Option<Parent> {
        let (job, run) = text.rsplit_once('/')?;
        let (namespace, name) = job.rsplit_once('/')?;
        let job = Job { namespace: namespace.to_owned(), name: name.to_owned() };
        Some(Parent { job, run: run.parse().ok()? })
    }
}

/// An event of a run.
pub(super) struct Event<'a> {
    pub(super) subject: &'a Subject,
    pub(super) run: Uuid,
    pub(super) job: &'a Job,
    pub(super) parent: Option<&'a Parent>,
    pub(super) at: SystemTime,
    /// How it ended; `None` as long as it has not.
    pub(super) ended: Option<&'a Ended>,
}

impl Event<'_> {
    pub(super) fn json(&self) -> Value {
        let time = jiff::Timestamp::try_from(self.at).unwrap_or_default();
        json!({
            "eventType": self.kind(),
            "eventTime": time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
            "producer": PRODUCER,
            "schemaURL": format!("{SCHEMAS}2-0-2/OpenLineage.json#/$defs/RunEvent"),
            "run": { "runId": self.run.to_string(), "facets": self.run_facets() },
            "job": {
                "namespace": self.job.namespace,
                "name": self.job.name,
                "facets": { "jobType": self.job_type() },
            },
            "inputs": self.inputs().iter().map(Dataset::input).collect::<Vec<_>>(),
            "outputs": self.outputs().iter().map(Dataset::output).collect::<Vec<_>>(),
        })
    }

    fn kind(&self) -> &'static str {
        match self.ended {
            None => "START",
            Some(ended) if ended.is_done() => "COMPLETE",
            Some(ended) if ended.is_stopped() => "ABORT",
            Some(_) => "FAIL",
        }
    }

    fn run_facets(&self) -> Value {
        let mut engine = facet("1-1-1/ProcessingEngineRunFacet");
        engine["version"] = env!("CARGO_PKG_VERSION").into();
        engine["name"] = "Solder".into();
        let mut facets = json!({ "processing_engine": engine });
        if let Some(Parent { job, run }) = self.parent {
            let mut parent = facet("1-0-1/ParentRunFacet");
            parent["run"] = json!({ "runId": run.to_string() });
            parent["job"] = json!({ "namespace": job.namespace, "name": job.name });
            facets["parent"] = parent;
        }
        if let Some(ended) = self.ended.filter(|ended| !ended.is_done()) {
            let mut error = facet("1-0-1/ErrorMessageRunFacet");
            error["message"] = ended.message().into();
            error["programmingLanguage"] = "Rust".into();
            facets["errorMessage"] = error;
        }
        facets
    }

    fn job_type(&self) -> Value {
        let mut facet = facet("2-0-3/JobTypeJobFacet");
        facet["processingType"] = "BATCH".into();
        facet["integration"] = "SOLDER".into();
        facet["jobType"] = if self.subject.command == "run" && self.subject.program == "engine" {
            "DAG".into()
        } else {
            "TASK".into()
        };
        facet
    }

    /// The places; at the end of a merge, the staged tables that it read.
    fn inputs(&self) -> Vec<Dataset> {
        let places = &self.subject.inputs;
        let entities = self.done().map(report::merged_entities).unwrap_or_default();
        let tables = entities.iter().flat_map(|entity| {
            places.iter().filter_map(move |place| Dataset::below(place, entity))
        });
        let tables: Vec<Dataset> = tables.collect();
        if tables.is_empty() {
            places.iter().filter_map(|place| Dataset::of(place)).collect()
        } else {
            tables
        }
    }

    /// The places; at the end, what stands in them by its own name, with what came into it. A landing zone stands
    /// beside its streams, since it is read as a whole.
    fn outputs(&self) -> Vec<Dataset> {
        let places = &self.subject.outputs;
        let (Some(report), Some(place)) = (self.done(), places.first()) else {
            return places.iter().filter_map(|place| Dataset::of(place)).collect();
        };
        let source = report["source"].as_str().unwrap_or_default();
        let streams = report::streams(report);
        let mut landed: Vec<Dataset> = Vec::new();
        if !streams.is_empty() {
            let num_rows = streams.iter().map(|stream| stream.num_rows).sum();
            let num_bytes = streams.iter().filter_map(|stream| stream.num_bytes).sum();
            landed.extend(Dataset::of(place).map(|zone| zone.with(num_rows, Some(num_bytes))));
        }
        let streams = streams.into_iter().map(|stream| {
            let name = format!("data/source={source}/stream={}", stream.name);
            (name, stream.num_rows, stream.num_bytes)
        });
        let tables = report::tables(report).into_iter();
        let tables = tables.map(|table| (table.name, table.num_rows, table.num_bytes));
        let schemas = self.schemas();
        landed.extend(streams.chain(tables).filter_map(|(name, num_rows, num_bytes)| {
            let columns = schemas.get(name.as_str()).copied().unwrap_or_default();
            Some(Dataset::below(place, &name)?.with(num_rows, num_bytes).holding(columns))
        }));
        if landed.is_empty() {
            landed.extend(Dataset::of(place));
        }
        landed
    }

    /// What tables hold, by name.
    fn schemas(&self) -> HashMap<&str, &[Column]> {
        let schemas = self.ended.iter().flat_map(|ended| &ended.schemas);
        schemas.map(|schema| (schema.table.as_str(), schema.columns.as_slice())).collect()
    }

    /// The report of a run that has done its work.
    fn done(&self) -> Option<&Value> {
        self.ended.filter(|ended| ended.is_done()).map(|ended| &ended.report)
    }
}

/// A facet with what every one has.
pub(super) fn facet(schema: &str) -> Value {
    let (_, name) = schema.split_once('/').unwrap_or(("", schema));
    json!({
        "_producer": PRODUCER,
        "_schemaURL": format!("{SCHEMAS}facets/{schema}.json#/$defs/{name}"),
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use crate::operation::Schema;

    use super::*;

    const RUN: &str = "6f9619ff-8b86-d011-b42d-00cf4fc964ff";

    #[rstest]
    #[case("default/solder/6f9619ff-8b86-d011-b42d-00cf4fc964ff", Some(("default", "solder")))]
    #[case("food://prod/dag.task/6f9619ff-8b86-d011-b42d-00cf4fc964ff", Some(("food://prod", "dag.task")))]
    #[case("default/solder/1", None)]
    #[case("6f9619ff-8b86-d011-b42d-00cf4fc964ff", None)]
    fn o4_parents(#[case] text: &str, #[case] expected: Option<(&str, &str)>) {
        let expected = expected.map(|(namespace, name)| Parent {
            job: Job { namespace: namespace.to_owned(), name: name.to_owned() },
            run: RUN.parse().unwrap(),
        });
        assert_eq!(Parent::parse(text), expected);
    }

    fn event(ended: Option<Ended>) -> Value {
        let subject = Subject {
            program: "engine",
            command: "merge",
            inputs: vec!["s3://bucket/curated".to_owned()],
            outputs: vec!["s3://bucket/lake".to_owned()],
            ..Subject::default()
        };
        let job = Job { namespace: "default".to_owned(), name: "merge".to_owned() };
        Event {
            subject: &subject,
            run: RUN.parse().unwrap(),
            job: &job,
            parent: None,
            at: SystemTime::UNIX_EPOCH,
            ended: ended.as_ref(),
        }
        .json()
    }

    fn ended(exit_code: u8, report: Value) -> Ended {
        let at = SystemTime::UNIX_EPOCH;
        Ended { at, exit_code, error: None, report, schemas: Vec::new() }
    }

    #[test]
    fn o4_tables_of_a_merge() {
        let table = |name: &str, inserted: u64| {
            json!({
                "name": name,
                "num_target_rows_inserted": inserted,
                "num_target_rows_updated": 1,
                "num_target_rows_deleted": 0,
            })
        };
        let tables = [table("orders__items", 9), table("orders", 4)];
        let report = json!({ "entities": [{ "name": "orders", "tables": tables }] });
        let column = Column {
            name: "sku".to_owned(),
            data_type: "string".to_owned(),
            comment: "$.items[*].sku".to_owned(),
        };
        let items = Schema { table: "orders__items".to_owned(), columns: vec![column] };
        let event = event(Some(Ended { schemas: vec![items], ..ended(0, report) }));
        assert_eq!(event["eventType"], "COMPLETE");
        assert_eq!(event["eventTime"], "1970-01-01T00:00:00.000Z");
        assert_eq!(
            event["inputs"],
            json!([{ "namespace": "s3://bucket", "name": "curated/orders" }])
        );
        let names: Vec<_> =
            event["outputs"].as_array().unwrap().iter().map(|o| &o["name"]).collect();
        assert_eq!(names, ["lake/orders__items", "lake/orders"]);
        assert_eq!(event["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"], 10);
        let schema = &event["outputs"][0]["facets"]["schema"];
        let url = "https://openlineage.io/spec/facets/1-1-1/SchemaDatasetFacet.json#/$defs/SchemaDatasetFacet";
        assert_eq!(schema["_schemaURL"], url);
        let field = json!({ "name": "sku", "type": "string", "description": "$.items[*].sku" });
        assert_eq!(schema["fields"], json!([field]));
        assert_eq!(event["outputs"][1]["facets"], Value::Null, "nobody told its columns");
    }

    #[rstest]
    #[case(65, "FAIL")]
    #[case(75, "FAIL")]
    #[case(143, "ABORT")]
    #[case(130, "ABORT")]
    fn o4_runs_that_end_otherwise(#[case] exit_code: u8, #[case] kind: &str) {
        let event = event(Some(ended(exit_code, Value::Null)));
        assert_eq!(event["eventType"], kind);
        let message = &event["run"]["facets"]["errorMessage"]["message"];
        assert_eq!(*message, format!("it ended with exit code {exit_code}"));
        assert_eq!(event["outputs"], json!([{ "namespace": "s3://bucket", "name": "lake" }]));
    }
}
