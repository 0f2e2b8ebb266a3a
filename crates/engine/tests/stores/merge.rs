//! M8: merges into S3. Every commit rests on put-if-absent, so that is what goes wrong here: answers get
//! lost, servers are busy, stores ignore the condition, many write at a time.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};

use rstest::rstest;
use tempfile::TempDir;

use crate::engine::{engine, must_relationalize, stderr, with_access};
use crate::lake::{Tables, num_commits, tables};
use crate::server::{Server, WriteFault};

/// A staging area on disk.
struct Staging {
    folder: TempDir,
    num_batches: usize,
}

impl Staging {
    fn new() -> Staging {
        Staging { folder: tempfile::tempdir().unwrap(), num_batches: 0 }
    }

    fn of(server: &Server, lines: &str) -> Staging {
        let mut staging = Staging::new();
        staging.stage(server, lines);
        staging
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn stage(&mut self, server: &Server, lines: &str) {
        let raw = self.folder.path().join("raw/orders");
        fs::create_dir_all(&raw).unwrap();
        self.num_batches += 1;
        fs::write(raw.join(format!("{}.ndjson", self.num_batches)), lines).unwrap();
        let places = [&self.path("raw"), &self.path("curated")];
        must_relationalize(server, &[places[0], places[1], "--bookmark", "--key", "orders=id"]);
    }

    fn merging(&self, server: &Server, lake: &str) -> std::process::Command {
        let mut command = with_access(engine(), server);
        command.args(["merge", "--staging", &self.path("curated"), "--into", lake]);
        command.args(["--threads", "2"]);
        command
    }

    fn merge(&self, server: &Server, lake: &str) -> Output {
        self.merging(server, lake).output().unwrap()
    }

    fn must_merge(&self, server: &Server, lake: &str) {
        let output = self.merge(server, lake);
        assert!(output.status.success(), "{}", stderr(&output));
    }
}

const FIRST: &str = "{\"id\":1,\"v\":1,\"items\":[1,2]}\n{\"id\":2,\"v\":1,\"items\":[3]}\n";
const SECOND: &str = "{\"id\":2,\"v\":2,\"items\":[]}\n{\"id\":3,\"v\":2,\"items\":[4,5]}\n";

/// What merging both batches gives on disk.
fn expected(server: &Server) -> (Tables, Tables) {
    let mut staging = Staging::of(server, FIRST);
    let lake = staging.path("lake");
    staging.must_merge(server, &lake);
    let first = tables(Path::new(&lake));
    staging.stage(server, SECOND);
    staging.must_merge(server, &lake);
    (first, tables(Path::new(&lake)))
}

/// M8: the same tables in S3 as on disk, merge by merge; a third finds nothing to do.
#[test]
fn m8_tables_are_the_same_in_s3() {
    let server = Server::start();
    let (first, second) = expected(&server);
    let mut staging = Staging::of(&server, FIRST);
    let lake = server.url("lake");
    staging.must_merge(&server, &lake);
    assert_eq!(tables(&server.path("lake")), first);
    staging.stage(&server, SECOND);
    staging.must_merge(&server, &lake);
    assert_eq!(tables(&server.path("lake")), second);
    server.take_requests();
    staging.must_merge(&server, &lake);
    assert_eq!(server.take_requests().get("put_object"), None);
}

/// M8: an answer that gets lost is no commit that does: each is in the log once, and the rows are right.
#[rstest]
fn m8_a_lost_answer_to_a_commit(
    #[values(WriteFault::StoredThenError, WriteFault::StoredThenCut, WriteFault::Busy)]
    fault: WriteFault,
    #[values(
        "orders/_delta_log/00000000000000000000.json",
        "orders__items/_delta_log/00000000000000000000.json",
        "orders/_delta_log/00000000000000000001.json",
        "orders/_delta_log/00000000000000000002.json",
        "orders__items/_delta_log/00000000000000000001.json",
        "orders/_delta_log/00000000000000000003.json"
    )]
    commit: &'static str,
) {
    let server = Server::start();
    let (_, second) = expected(&server);
    let mut staging = Staging::of(&server, FIRST);
    let lake = server.url("lake");
    server.fail_writing(commit, fault, 1);
    staging.must_merge(&server, &lake);
    staging.stage(&server, SECOND);
    staging.must_merge(&server, &lake);
    assert!(server.has_failed(), "{commit} was never written");
    assert_eq!(tables(&server.path("lake")), second);
    assert_eq!(num_commits(&server.path("lake/orders")), 4);
    assert_eq!(num_commits(&server.path("lake/orders__items")), 2);
}

/// M8: a server that stays busy ends the merge with 75; the next one brings it to its end.
#[rstest]
#[case::child("orders__items/_delta_log/00000000000000000000.json")]
#[case::root("orders/_delta_log/00000000000000000001.json")]
fn m8_a_server_that_stays_busy(#[case] commit: &'static str) {
    let server = Server::start();
    let (first, _) = expected(&server);
    let staging = Staging::of(&server, FIRST);
    let lake = server.url("lake");
    server.fail_writing(commit, WriteFault::Busy, usize::MAX);
    let output = staging.merge(&server, &lake);
    assert_eq!(output.status.code(), Some(75), "{}", stderr(&output));
    server.fail_writing("nothing", WriteFault::Busy, 1);
    staging.must_merge(&server, &lake);
    assert_eq!(tables(&server.path("lake")), first);
}

/// M8: a store that ignores the condition would let one writer overwrite the commit of another: it is
/// refused before the first commit, and a store that has passed is not asked again.
#[test]
fn m8_a_store_that_ignores_if_none_match_is_refused() {
    let server = Server::start();
    let staging = Staging::of(&server, FIRST);
    server.ignore_conditions();
    let output = staging.merge(&server, &server.url("lake"));
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(78), "{text}");
    let sentence = "the store of `s3://bucket/lake` ignores `If-None-Match: *`: of two writers at a time, one would overwrite the commit of the other and rows would be lost; use a store with conditional writes (AWS S3, MinIO, GCS, Azure)";
    assert!(text.contains(sentence), "{text}");
    assert!(crate::engine::files(&server.path("lake")).is_empty());
}

/// M8: eight programs at a time, from eight staging areas. Each ends well or says to try again; tried
/// again, all records are there, and what several of them wrote is that of one, root and child rows alike.
#[rstest]
#[case::disjoint(false)]
#[case::overlapping(true)]
fn m8_eight_writers_at_a_time(#[case] overlap: bool) {
    const WRITERS: usize = 8;
    let server = Server::start();
    let lake = server.url("lake");
    let record = |id: usize, writer: usize| {
        let items: Vec<String> = (0..=writer % 4).map(|_| writer.to_string()).collect();
        format!("{{\"id\":{id},\"v\":{writer},\"items\":[{}]}}\n", items.join(","))
    };
    let shared = if overlap { 0..3 } else { 0..0 };
    let stagings: Vec<Staging> = (0..WRITERS)
        .map(|writer| {
            let own = 100 + writer * 2..102 + writer * 2;
            let lines: String = shared.clone().chain(own).map(|id| record(id, writer)).collect();
            Staging::of(&server, &lines)
        })
        .collect();
    let mut waiting: Vec<usize> = (0..WRITERS).collect();
    for _ in 0..5 {
        let running: Vec<_> = waiting
            .drain(..)
            .map(|writer| {
                let mut command = stagings[writer].merging(&server, &lake);
                command.stdout(Stdio::null()).stderr(Stdio::piped());
                (writer, command.spawn().unwrap())
            })
            .collect();
        for (writer, running) in running {
            let output = running.wait_with_output().unwrap();
            match output.status.code() {
                Some(0) => {}
                Some(75) => waiting.push(writer),
                _ => panic!("writer {writer}: {}", stderr(&output)),
            }
        }
    }
    assert_eq!(waiting, Vec::<usize>::new(), "these never came through");

    let found = tables(&server.path("lake"));
    // The last writer of a shared record wrote all of them.
    let winners: BTreeSet<usize> = (0..WRITERS)
        .filter(|writer| {
            found["orders"]
                .iter()
                .any(|row| row.starts_with("id: 0,") && row.ends_with(&format!("v: {writer}")))
        })
        .collect();
    assert_eq!(winners.len(), usize::from(overlap), "{:?}", found["orders"]);
    let mut records: Vec<(usize, usize)> = (0..WRITERS)
        .flat_map(|writer| [(100 + writer * 2, writer), (101 + writer * 2, writer)])
        .collect();
    records.extend(shared.flat_map(|id| winners.iter().map(move |winner| (id, *winner))));
    let mut orders: Vec<String> = Vec::new();
    let mut items: Vec<String> = Vec::new();
    for (id, writer) in records {
        let num_items = writer % 4 + 1;
        orders.push(format!("id: {id}, items__len: {num_items}, v: {writer}"));
        let item = |at| format!("_index_1: {at}, _root_id: {id}, value: {writer}");
        items.extend((0..num_items).map(item));
    }
    orders.sort();
    items.sort();
    assert_eq!(found["orders"], orders);
    assert_eq!(found["orders__items"], items);
    // Once begun and once ended by each, whoever was in between.
    assert_eq!(num_commits(&server.path("lake/orders__items")), WRITERS);
}

/// S1, S4: tables in S3 are asked, and a result comes into a table there; a lost answer to its commit brings
/// no row twice.
#[rstest]
fn s4_sql_over_a_lake_in_s3(#[values(false, true)] answer_is_lost: bool) {
    let server = Server::start();
    let mut staging = Staging::of(&server, FIRST);
    let lake = &server.url("lake");
    staging.must_merge(&server, lake);
    staging.stage(&server, SECOND);
    staging.must_merge(&server, lake);

    if answer_is_lost {
        server.fail_writing(
            "mart/_delta_log/00000000000000000000.json",
            WriteFault::StoredThenError,
            1,
        );
    }
    let mut command = with_access(engine(), &server);
    command.args(["sql", "--lake", lake, "--into", lake, "--table", "mart", "--key", "id"]);
    command.args(["--mode", "append", "--command"]);
    command.arg("select o.id, count(i.value) as n from orders o left join orders__items i on i._root_id = o.id group by o.id");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(server.has_failed(), "the fault struck, where there is one");

    let mut command = with_access(engine(), &server);
    command.args(["sql", "--lake", lake, "--format", "csv", "--command"]);
    command
        .arg("select m.id, n, (select count(*) from orders@v1) as before from mart m order by 1");
    let output = command.output().unwrap();
    let rows = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(rows, "id,n,before\n1,2,2\n2,0,2\n3,2,2\n", "{}", stderr(&output));
}
