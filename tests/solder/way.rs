//! The whole way, run by run: an API, `raw/`, `curated/`, a lake (I5, I13, R8, R20, M2, M5, M6).

mod server;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use solder_ingest::report::{Report, StreamOutcome};
use solder_ingest::source::plan::Source;
use solder_ingest::{Compression, Reach, RunSettings, progress, source};
use solder_lake::Lake;
use solder_lake::maintain::check;
use solder_lake::merge::{MergeReport, Mode, Rule};
use solder_landing::Place;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::merge::lab::{LakeLab, Row, deleting, rows};
use crate::support::{Lab, chain, files_below, key};
use server::Server;

/// An API and where its records go.
struct Way {
    runtime: Runtime,
    server: Server,
    source: Source,
    lab: LakeLab,
}

impl Way {
    fn new() -> Way {
        let runtime = Runtime::new().unwrap();
        let server = Server::start(&runtime);
        let text = format!(
            r#"
version: 1
connection:
  base_url: {}
  allow_private_networks: true
  retry: {{ max_attempts: 2, backoff: 1ms }}
streams:
  customers:
    path: /customers
    params: {{ since: "{{cursor.start}}" }}
    records: $.data[*]
    primary_key: [id]
    paginate: {{ type: cursor, from: $.next, param: after }}
    incremental: {{ cursor: updated_at, order: asc }}
  regions:
    path: /regions
    primary_key: [code]
    paginate: {{ type: page }}
"#,
            server.url()
        );
        let source = source::parse(&text, Path::new("shop.yaml"), &[]).unwrap();
        Way { runtime, server, source, lab: LakeLab::new() }
    }

    /// REST → `raw/`; the report, and the exit code of a run that failed.
    fn try_ingest(&self, run_id: &str, streams: &[&str]) -> (Report, Option<u8>) {
        let names: Vec<String> = streams.iter().map(|name| (*name).to_owned()).collect();
        let settings = RunSettings {
            run_id: run_id.to_owned(),
            place: Place::parse(self.lab.staging.raw().to_str().unwrap()).unwrap(),
            streams: source::select(&self.source, Path::new("shop.yaml"), &names).unwrap(),
            compression: Compression::Zstd,
            part_bytes: 1 << 20,
            part_age: std::time::Duration::from_secs(300),
            is_full: false,
            stop_after: None,
            give_up_after: None,
        };
        let reach = Reach::live(&self.source.connection, Path::new("")).unwrap();
        let (_running, stop) = watch::channel(0);
        let run =
            solder_ingest::run(&self.source, &reach, &settings, Arc::new(progress::Silent), stop);
        let (report, outcome) = self.runtime.block_on(run);
        (report, outcome.err().map(|error| error.exit_code()))
    }

    /// A run of all streams that must succeed; the records that each landed.
    #[track_caller]
    fn ingest(&self, run_id: &str) -> BTreeMap<String, u64> {
        let (report, failed) = self.try_ingest(run_id, &[]);
        assert_eq!(failed, None, "{report:#?}");
        report.streams.into_iter().map(|stream| (stream.stream, stream.num_records)).collect()
    }

    /// `raw/` → `curated/`; the objects that were new.
    #[track_caller]
    fn relationalize(&self) -> u64 {
        self.lab.staging.run(|settings| settings.bookmark = true).objects_read
    }

    /// `curated/` → lake.
    #[track_caller]
    fn merge(&self) -> MergeReport {
        let customers = Rule { order_by: vec!["updated_at".to_owned()], ..deleting() };
        let regions = Rule { mode: Some(Mode::Overwrite), ..Rule::default() };
        let merged = self.lab.try_merge(Rule::default(), |settings| {
            settings.rules = vec![
                (Some("customers".to_owned()), customers),
                (Some("regions".to_owned()), regions),
            ];
        });
        merged.unwrap_or_else(|error| panic!("{}", chain(&error)))
    }

    /// Checks that the lake is what relationalizing all that the API has now gives, and is sound.
    #[track_caller]
    fn lake_is_the_api(&self) {
        let fresh = Lab::new();
        let (customers, regions) = self.server.change(|api| (api.living(), api.regions.clone()));
        fresh.write("customers/all.ndjson", lines(&customers));
        fresh.write("regions/all.ndjson", lines(&regions));
        fresh.run(|settings| settings.keys = [key("customers=id"), key("regions=code")].concat());
        let mut found: BTreeMap<String, Vec<Row>> = self
            .lab
            .tables()
            .into_iter()
            .map(|name| (name.clone(), self.lab.rows(&name)))
            .collect();
        for table in fresh.tables() {
            let mut wanted = rows(&fresh.table(&table));
            wanted.iter_mut().for_each(|row| drop(row.remove("_seq")));
            wanted.sort();
            assert_eq!(found.remove(&table).unwrap_or_default(), wanted, "{table}");
        }
        found.retain(|_, rows| !rows.is_empty());
        assert!(found.is_empty(), "the API has none of {found:#?}");

        let lake = Lake::open(self.lab.lake().to_str().unwrap()).unwrap();
        let report = self.runtime.block_on(check(&lake, &[], 64 << 20, 2)).unwrap();
        assert!(report.num_checks > 0 && report.findings.is_empty(), "{report:#?}");
    }

    fn put(&self, customer: Value) {
        self.server.change(|api| api.put(customer));
    }

    fn set_regions(&self, codes: &[&str]) {
        let region =
            |code: &&str| json!({"code": code, "offices": [{"city": format!("{code} city")}]});
        self.server.change(|api| api.regions = codes.iter().map(region).collect());
    }
}

fn lines(records: &[Value]) -> String {
    records.iter().map(|record| format!("{record}\n")).collect()
}

/// A customer as of a minute, with so many lines in each of its orders.
fn customer(id: u64, minute: u64, num_lines: &[usize]) -> Value {
    let order = |(number, num_lines): (usize, &usize)| {
        let lines: Vec<Value> = (0..*num_lines)
            .map(|line| json!({"sku": format!("{id}-{line}"), "qty": minute}))
            .collect();
        json!({"no": number, "lines": lines, "ship": {"to": {"city": format!("city {minute}")}}})
    };
    let orders: Vec<Value> = num_lines.iter().enumerate().map(order).collect();
    json!({
        "id": id,
        "updated_at": time(minute),
        "deleted": false,
        "name": {"given": format!("given {id}"), "family": format!("family {minute}")},
        "addresses": [{"street": format!("street {id}"), "geo": {"lat": 0.5, "lon": id}}],
        "orders": orders,
    })
}

fn deletion(id: u64, minute: u64) -> Value {
    json!({"id": id, "updated_at": time(minute), "deleted": true})
}

fn time(minute: u64) -> String {
    format!("2024-05-01T{:02}:{:02}:00Z", minute / 60, minute % 60)
}

/// Records that come, change and go; a run that dies; and after each, the lake is what the API has.
#[test]
fn the_lake_follows_the_api() {
    let way = Way::new();
    for id in 1..=7 {
        way.put(customer(id, id, &[2, 0, 1]));
    }
    way.set_regions(&["N", "E", "S"]);
    let landed = way.ingest("r1");
    assert_eq!(landed, [("customers".to_owned(), 7), ("regions".to_owned(), 3)].into());
    assert_eq!(way.relationalize(), 2);
    assert_eq!(way.lab.staging.manifest().entities["customers"].key, ["$.id"]);
    way.merge();
    way.lake_is_the_api();

    // Arrays that grow, shrink to nothing, and are gone; a new column; a deletion; a new record.
    way.put(customer(2, 10, &[2, 3, 1, 4]));
    way.put(customer(3, 11, &[]));
    let mut without = customer(4, 12, &[]);
    without.as_object_mut().unwrap().remove("orders");
    without["vip"] = json!({"since": "2024-05-01"});
    way.put(without);
    way.put(deletion(5, 13));
    way.put(customer(8, 14, &[1]));
    way.set_regions(&["N", "E", "S", "W"]);
    let (report, failed) = way.try_ingest("r2", &[]);
    assert_eq!(failed, None);
    let customers = report.streams.iter().find(|stream| stream.stream == "customers").unwrap();
    // The last record of the run before comes again, and is known.
    assert_eq!((customers.num_records, customers.num_repeated), (5, 1));
    assert_eq!(way.relationalize(), 2);
    way.merge();
    way.lake_is_the_api();

    // The server dies while all regions are read anew: nothing of it counts.
    let (raw, lake) = (files_below(&way.lab.staging.raw().join("manifests")), way.lab.bytes());
    way.set_regions(&["X", "Y", "Z"]);
    way.server.change(|api| api.dies_at_page = Some(2));
    let (report, failed) = way.try_ingest("died", &["regions"]);
    assert_eq!(failed, Some(75), "it can be tried again");
    assert_eq!(
        (report.streams[0].outcome, report.streams[0].num_commits),
        (StreamOutcome::Failed, 0)
    );
    assert_eq!(files_below(&way.lab.staging.raw().join("manifests")), raw);
    assert_eq!(way.relationalize(), 0);
    way.merge();
    assert_eq!(way.lab.bytes(), lake);

    // It is back, with one region less than before. A deleted customer comes again, another one goes.
    way.server.change(|api| api.dies_at_page = None);
    way.set_regions(&["N", "S", "W"]);
    way.put(customer(3, 20, &[1, 1]));
    way.put(customer(5, 21, &[5]));
    way.put(deletion(1, 22));
    way.put(customer(2, 23, &[0]));
    way.put(customer(9, 24, &[1, 2, 3]));
    let landed = way.ingest("r3");
    assert_eq!(landed, [("customers".to_owned(), 5), ("regions".to_owned(), 3)].into());
    assert_eq!(way.relationalize(), 2);
    way.merge();
    way.lake_is_the_api();

    // Each step again changes nothing.
    let lake = way.lab.bytes();
    let (report, failed) = way.try_ingest("r3", &[]);
    let again = |stream: &_| matches!(stream, StreamOutcome::AlreadyCommitted);
    assert!(failed.is_none() && report.streams.iter().all(|stream| again(&stream.outcome)));
    assert_eq!(way.relationalize(), 0);
    way.merge();
    assert_eq!(way.lab.bytes(), lake);
}
