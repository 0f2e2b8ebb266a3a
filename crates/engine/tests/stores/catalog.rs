//! Tables of a store in the Glue Data Catalog (G1 to G5), and what becomes of a run when the catalog says no.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::engine::{engine, stderr, with_access};
use crate::server::Server;

/// A Glue Data Catalog on loopback, with one database, that refuses what it is told to.
#[derive(Clone, Default)]
struct Glue {
    endpoint: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    tables: BTreeMap<String, Value>,
    /// The operation that fails, and its code.
    refused: Option<(&'static str, &'static str)>,
    /// Operations that change something.
    written: Vec<String>,
}

impl Glue {
    fn start() -> Glue {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let glue = Glue { endpoint, state: Arc::default() };
        let serving = glue.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let glue = serving.clone();
                std::thread::spawn(move || glue.serve(stream.unwrap()));
            }
        });
        glue
    }

    fn refuse(&self, refused: Option<(&'static str, &'static str)>) {
        self.state.lock().unwrap().refused = refused;
    }

    fn take_written(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().written)
    }

    fn table(&self, name: &str) -> Value {
        self.state.lock().unwrap().tables[name].clone()
    }

    fn serve(&self, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        loop {
            let (mut operation, mut is_signed, mut size) = (String::new(), false, 0);
            loop {
                let mut line = String::new();
                if stream.read_line(&mut line).unwrap_or_default() == 0 {
                    return;
                }
                let line = line.trim().to_ascii_lowercase();
                if line.is_empty() {
                    break;
                }
                if let Some(target) = line.strip_prefix("x-amz-target: awsglue.") {
                    operation = target.to_owned();
                }
                is_signed |= line.starts_with("authorization: aws4-hmac-sha256 ")
                    && line.contains("/eu-central-1/glue/aws4_request");
                if let Some(length) = line.strip_prefix("content-length:") {
                    size = length.trim().parse().unwrap();
                }
            }
            assert!(is_signed);
            let mut bytes = vec![0; size];
            stream.read_exact(&mut bytes).unwrap();
            let (status, body) = self.answer(&operation, serde_json::from_slice(&bytes).unwrap());
            let body = body.to_string();
            let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.get_mut().write_all(format!("{head}{body}").as_bytes()).unwrap();
        }
    }

    fn answer(&self, operation: &str, mut body: Value) -> (u16, Value) {
        let mut state = self.state.lock().unwrap();
        if let Some((_, code)) = state.refused.filter(|(refused, _)| *refused == operation) {
            return (400, json!({ "__type": code, "Message": "says why" }));
        }
        match operation {
            "getdatabase" => (200, json!({ "Database": { "Name": body["Name"] } })),
            "gettable" => match state.tables.get(body["Name"].as_str().unwrap()) {
                Some(table) => (200, json!({ "Table": table })),
                None => (400, json!({ "__type": "EntityNotFoundException", "Message": "no" })),
            },
            _ => {
                let table = body["TableInput"].take();
                let name = table["Name"].as_str().unwrap().to_owned();
                state.written.push(format!("{operation} {name}"));
                state.tables.insert(name, table);
                (200, json!({}))
            }
        }
    }
}

fn said(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr(output)))
}

/// A store with one record, and a catalog.
struct Lab {
    server: Server,
    glue: Glue,
}

impl Lab {
    fn new() -> Lab {
        let server = Server::start();
        server.put("raw/orders/1.ndjson", "{\"id\": 1, \"lines\": [{\"sku\": \"a\"}]}\n");
        Lab { server, glue: Glue::start() }
    }

    fn command(&self) -> Command {
        let mut command = with_access(engine(), &self.server);
        command.env("AWS_ENDPOINT_URL_GLUE", &self.glue.endpoint).env("AWS_MAX_ATTEMPTS", "1");
        command
    }

    /// Runs a command that registers tables.
    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = self.command();
        command.args(arguments).args(["--catalog", "glue://crm", "--report", "json"]);
        command.output().unwrap()
    }

    fn relationalize(&self, options: &[&str]) -> Output {
        let (raw, curated) = (self.server.url("raw"), self.server.url("curated"));
        let places = ["relationalize", &raw, &curated, "--bookmark", "--key", "id"];
        self.run(&[&places[..], options].concat())
    }
}

fn outcomes(report: &Value) -> Vec<(&str, &str)> {
    let tables = report["catalog"]["tables"].as_array().unwrap().iter();
    tables
        .map(|table| (table["table"].as_str().unwrap(), table["outcome"].as_str().unwrap()))
        .collect()
}

/// G5. The run counts, the exit code is the catalog's, and the same command mends it with nothing to read.
#[test]
fn g5_a_catalog_that_says_no_takes_nothing_back() {
    let lab = Lab::new();
    lab.glue.refuse(Some(("createtable", "AccessDeniedException")));
    let denied = lab.relationalize(&[]);
    assert_eq!(denied.status.code(), Some(77), "{}", stderr(&denied));
    let report = said(&denied);
    assert_eq!((&report["records_read"], &report["sequence"]), (&json!(1), &json!(1)));
    assert_eq!(report["catalog"]["exit_code"], 77);
    assert_eq!(report["catalog"]["tables"], json!([]));
    let log = stderr(&denied);
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [.., error, summary] = &lines[..] else { panic!("{log}") };
    assert_eq!((&summary["event"], &summary["exit_code"]), (&json!("summary"), &json!(77)));
    assert_eq!(lines.iter().filter(|line| line["event"] == "summary").count(), 1);
    assert_eq!(
        error["message"],
        "the run is committed, but not all of its tables are registered in `glue://crm`; the next run with --catalog mends that"
    );
    let causes = error["causes"].to_string();
    assert!(causes.contains("crm.orders") && causes.contains("glue:CreateTable"), "{causes}");

    lab.glue.refuse(None);
    let again = lab.relationalize(&[]);
    assert_eq!(again.status.code(), Some(0), "{}", stderr(&again));
    let report = said(&again);
    assert_eq!(report["objects_read"], 0);
    assert_eq!(outcomes(&report), [("orders", "created"), ("orders__lines", "created")]);
    assert_eq!(lab.glue.take_written(), ["createtable orders", "createtable orders__lines"]);
    // And a third time, nothing is written.
    let third = lab.relationalize(&[]);
    assert_eq!(outcomes(&said(&third)), [("orders", "unchanged"), ("orders__lines", "unchanged")]);
    assert!(lab.glue.take_written().is_empty());
}

/// G1, G2, G4. Tables of a merge, and the shape that grows.
#[test]
fn g4_a_merge_brings_the_catalog_up_to_date() {
    let lab = Lab::new();
    let (curated, lake) = (lab.server.url("curated"), lab.server.url("lake"));
    let merge = ["merge", "--staging", &curated, "--into", &lake];
    let mut staged = lab.command();
    let raw = lab.server.url("raw");
    staged.args(["relationalize", &raw, &curated, "--bookmark", "--key", "id"]);
    assert!(staged.output().unwrap().status.success());
    let first = lab.run(&merge);
    assert_eq!(first.status.code(), Some(0), "{}", stderr(&first));
    assert_eq!(outcomes(&said(&first)), [("orders", "created"), ("orders__lines", "created")]);
    let orders = lab.glue.table("orders");
    assert_eq!(orders["Parameters"]["table_type"], "DELTA");
    assert_eq!(orders["StorageDescriptor"]["Location"], format!("{lake}/orders/"));
    let id = json!({ "Name": "id", "Type": "bigint", "Comment": "$.id" });
    assert_eq!(orders["StorageDescriptor"]["Columns"][0], id);

    lab.server.put("raw/orders/2.ndjson", "{\"id\": 2, \"total\": 1.5}\n");
    assert!(staged.output().unwrap().status.success());
    let second = said(&lab.run(&merge));
    assert_eq!(outcomes(&second), [("orders", "updated"), ("orders__lines", "unchanged")]);
    assert_eq!(second["catalog"]["tables"][0]["columns_added"], json!(["total"]));
    // Nothing to merge, and the table was removed from the catalog: it comes back.
    lab.glue.state.lock().unwrap().tables.clear();
    let third = said(&lab.run(&merge));
    assert_eq!(third["entities"][0]["already_merged"], true);
    assert_eq!(outcomes(&third), [("orders", "created"), ("orders__lines", "created")]);
    // A rehearsal registers nothing.
    let rehearsed = said(&lab.run(&[&merge[..], &["--dry-run"]].concat()));
    assert!(rehearsed.get("catalog").is_none());
}

/// G5. What must not be said again does not ask for it.
#[test]
fn g5_rows_that_would_come_twice_are_not_tried_again() {
    let lab = Lab::new();
    let lake = lab.server.url("lake");
    let sql = ["sql", "-c", "select 1 as n", "--into", &lake, "--table", "ns"];
    lab.glue.refuse(Some(("createtable", "ThrottlingException")));
    for (options, code) in [
        (&["--mode", "append"][..], 69),
        (&["--mode", "append", "--run-id", "monday"][..], 75),
        (&[][..], 75),
    ] {
        let output = lab.run(&[&sql[..], options].concat());
        assert_eq!(output.status.code(), Some(code), "{options:?} {}", stderr(&output));
    }
    lab.glue.refuse(None);
    let output = lab.run(&[&sql[..], &["--mode", "append", "--run-id", "monday"]].concat());
    assert_eq!(outcomes(&said(&output)), [("ns", "created")], "{}", stderr(&output));
    assert_eq!(lab.glue.table("ns")["Description"], "the rows of a statement");
}

/// R21, G1. A run of many processes is registered by its commit.
#[test]
fn g1_a_commit_of_shards_registers_the_tables() {
    let lab = Lab::new();
    let (raw, curated) = (lab.server.url("raw"), lab.server.url("curated"));
    for arguments in [
        &["plan", &raw, &curated, "--run-id", "r", "--key", "id"][..],
        &["shard", &curated, "--run-id", "r", "--number", "0"][..],
    ] {
        let output = lab.command().args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
    }
    for expected in ["created", "unchanged"] {
        let output = lab.run(&["commit", &curated, "--run-id", "r"]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let report = said(&output);
        assert_eq!(outcomes(&report), [("orders", expected), ("orders__lines", expected)]);
    }
}

/// What people read of it.
#[test]
fn a_summary_tells_what_was_registered() {
    let lab = Lab::new();
    let (raw, curated) = (lab.server.url("raw"), lab.server.url("curated"));
    let mut command = lab.command();
    command.args(["relationalize", &raw, &curated, "--bookmark", "--catalog", "glue://crm"]);
    let text = String::from_utf8(command.output().unwrap().stdout).unwrap();
    assert!(text.ends_with("\nglue://crm: 2 tables created\n"), "{text}");
    lab.server.put("raw/orders/2.ndjson", "{\"id\": 2, \"total\": 1.5}\n");
    let text = String::from_utf8(command.output().unwrap().stdout).unwrap();
    let expected = "\nglue://crm: 1 table updated, 1 unchanged\n  orders: new columns total\n";
    assert!(text.ends_with(expected), "{text}");
}
