//! The statements of `sql/marts/` over the fixtures: what their heads say of them holds, and what they give is
//! what a reader of the JSON counts by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use rstest::rstest;
use serde_json::Value;
use solder_lake::merge::{MergeSettings, Mode, Rule, merge};
use solder_lake::sql::{Format, Into, Output, Script, SqlSettings, query};
use solder_relationalize::{Io, Settings};
use tempfile::TempDir;

use crate::support::{Lab, chain, key};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The fixtures in a lake, newest records only.
static LAKE: LazyLock<TempDir> = LazyLock::new(|| {
    let lab = Lab::new();
    lab.run(|settings: &mut Settings| {
        settings.input = root().join("fixtures/raw").display().to_string();
        settings.keys = ["donors=id", "campaigns=campaignId", "clickstream=eventId"]
            .into_iter()
            .chain(["registrations=registrationId", "work_items=id", "employees=employeeId"])
            .flat_map(key)
            .collect();
    });
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().display().to_string();
    let io = Arc::new(Io::start_with(2).unwrap());
    let mut settings = MergeSettings::new(&lab.curated().display().to_string(), &lake);
    let newest = [("donors", "updated_at"), ("campaigns", "updated_at")];
    for (table, column) in
        newest.into_iter().chain([("employees", "updated_at"), ("work_items", "changed_at")])
    {
        let rule = Rule { order_by: vec![column.to_owned()], ..Rule::default() };
        settings.rules.push((Some(table.to_owned()), rule));
    }
    merge(&io, &settings).unwrap();
    folder
});

/// What the head of a statement says.
struct Mart {
    path: PathBuf,
    text: String,
    key: Vec<String>,
    inputs: BTreeSet<String>,
}

fn mart(name: &str) -> Mart {
    let path = root().join("sql/marts").join(name).with_extension("sql");
    let text = std::fs::read_to_string(&path).unwrap();
    let head: String = text.lines().take_while(|line| line.starts_with("--")).collect();
    let said = |what: &str, until: &str| -> Vec<String> {
        let (_, rest) = head.split_once(what).unwrap_or_else(|| panic!("{name} says no {what}"));
        let said = rest.split(until).next().unwrap();
        let names = said.split(',').map(|name| name.trim().trim_start_matches('-').trim());
        names.map(|name| name.split(' ').next().unwrap().to_owned()).collect()
    };
    assert!(head.contains("-- Grain: one row per "), "{name} says its grain");
    let inputs = said("-- Inputs:", "-- Grain:");
    let inputs = inputs.into_iter().map(|name| name.trim_end_matches('-').to_owned()).collect();
    Mart { path, key: said("-- Key:", "\n"), inputs, text }
}

fn settings() -> SqlSettings {
    let regions = root().join("fixtures/public/regions.csv").display().to_string();
    SqlSettings {
        lake: Some(LAKE.path().display().to_string()),
        files: vec![("regions".to_owned(), regions)],
        memory_bytes: 256 << 20,
        threads: 2,
        ..SqlSettings::default()
    }
}

fn rows(settings: &SqlSettings, text: &str) -> Vec<Value> {
    let io = Arc::new(Io::start_with(2).unwrap());
    let mut rows = Vec::new();
    let mut output = Output::new(Format::Json, &mut rows);
    query(&io, settings, &Script::new("mart", text), &mut output)
        .unwrap_or_else(|error| panic!("{}", chain(&error)));
    String::from_utf8(rows).unwrap().lines().map(|row| serde_json::from_str(row).unwrap()).collect()
}

/// The newest record of every key, read from the tables of the lake's root as JSON.
fn table(name: &str) -> Vec<Value> {
    rows(&settings(), &format!("select * from {name}"))
}

#[rstest]
#[case("donor_engagement")]
#[case("research_publication")]
#[case("workforce")]
#[case("event_sales")]
fn marts_have_rows_and_the_key_that_their_head_says(#[case] name: &str) {
    let mart = mart(name);
    let found = rows(&settings(), &mart.text);
    assert!(found.len() >= 5, "{name}: {} rows", found.len());
    let value = |row: &Value| mart.key.iter().map(|key| row[key].to_string()).collect::<Vec<_>>();
    let keys: BTreeSet<_> = found.iter().map(value).collect();
    assert_eq!(keys.len(), found.len(), "{name}: {:?} stands twice", mart.key);

    // Into the lake, where the key is checked as well; twice over gives the same.
    let into = tempfile::tempdir().unwrap();
    let into_settings = SqlSettings {
        into: Some(Into {
            lake: into.path().display().to_string(),
            table: name.to_owned(),
            mode: Mode::Overwrite,
            key: mart.key.clone(),
            run_id: None,
        }),
        ..settings()
    };
    for _ in 0..2 {
        assert_eq!(rows(&into_settings, &mart.text).len(), 0, "the rows went into the lake");
    }
    let landed = SqlSettings { lake: Some(into.path().display().to_string()), ..settings() };
    let landed = rows(&landed, &format!("select * from {name} order by {}", mart.key.join(", ")));
    let mut expected = found;
    expected.sort_by_key(value);
    let mut landed_sorted = landed;
    landed_sorted.sort_by_key(value);
    assert_eq!(landed_sorted.len(), expected.len());
    for (landed, expected) in landed_sorted.iter().zip(&expected) {
        for (column, value) in expected.as_object().unwrap() {
            // Instants get their zone with the table.
            if !column.ends_with("_at") {
                assert_eq!(&landed[column], value, "{name}.{column}");
            }
        }
    }
}

#[rstest]
#[case("donor_engagement")]
#[case("research_publication")]
#[case("workforce")]
#[case("event_sales")]
fn marts_name_their_inputs(#[case] name: &str) {
    let mart = mart(name);
    let tables: BTreeSet<String> = mart
        .text
        .lines()
        .filter(|line| !line.starts_with("--"))
        .flat_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let after = |pair: &[&str]| {
                let is_source = ["from", "join"].contains(&pair[0]) && !pair[1].starts_with('(');
                is_source.then(|| pair[1].trim_end_matches([';', ')', ',']).to_owned())
            };
            words.windows(2).filter_map(after).collect::<Vec<_>>()
        })
        .collect();
    let made: BTreeSet<String> = mart
        .text
        .lines()
        .filter_map(|line| line.trim_start_matches("with ").strip_suffix(" as ("))
        .map(str::to_owned)
        .collect();
    let used: BTreeSet<String> = tables.difference(&made).cloned().collect();
    assert_eq!(used, mart.inputs, "{}", mart.path.display());
}

/// Text or number, as an id.
fn id(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

#[test]
fn donor_engagement_counts_what_the_clickstream_holds() {
    let mut expected: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
    let donors: BTreeSet<i64> = table("donors").iter().filter_map(|row| id(&row["id"])).collect();
    for event in table("clickstream") {
        if let Some(donor) = id(&event["donor_id"]).filter(|donor| donors.contains(donor)) {
            let (all, done) = expected.entry(donor).or_default();
            *all += 1;
            *done += i64::from(event["type"] == "donate_done");
        }
    }
    let found: BTreeMap<i64, (i64, i64)> = rows(&settings(), &mart("donor_engagement").text)
        .iter()
        .map(|row| {
            let number = |column: &str| row[column].as_i64().unwrap();
            (number("donor_id"), (number("num_events"), number("num_donations_done")))
        })
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn research_publication_tells_nothing_of_few_donors() {
    let found = rows(&settings(), &mart("research_publication").text);
    let small: Vec<&Value> = found.iter().filter(|row| row["is_suppressed"] == true).collect();
    assert!(!small.is_empty() && small.len() < found.len(), "both kinds are there: {found:?}");
    for row in &small {
        for column in ["num_donors", "num_gifts", "campaigns_per_donor", "donors_per_million"] {
            assert!(row[column].is_null(), "{row}");
        }
    }
    let kept = found.iter().filter_map(|row| row["num_donors"].as_i64());
    assert!(kept.into_iter().all(|num_donors| num_donors >= 5));
}

#[test]
fn workforce_counts_every_item_once() {
    let assigned =
        |row: &&Value| !row["assignee"].is_null() || !row["assignee__employee_id"].is_null();
    let items = table("work_items");
    let employees: BTreeSet<String> =
        table("employees").iter().map(|row| row["employee_id"].to_string()).collect();
    let known = |row: &&Value| {
        let employee = match row["assignee__employee_id"].is_null() {
            true => row["assignee"].to_string(),
            false => row["assignee__employee_id"].to_string(),
        };
        employees.contains(&employee)
    };
    let expected = items.iter().filter(assigned).filter(known).count();
    let found = rows(&settings(), &mart("workforce").text);
    assert_eq!(found.len(), employees.len());
    let counted: i64 = found.iter().map(|row| row["num_items"].as_i64().unwrap()).sum();
    assert_eq!(counted, i64::try_from(expected).unwrap());
}

#[test]
fn event_sales_counts_every_registration_ticket_and_payment_once() {
    let found = rows(&settings(), &mart("event_sales").text);
    let sum = |column: &str| found.iter().map(|row| row[column].as_f64().unwrap()).sum::<f64>();
    let has_event = |row: &&Value| !row["event"].is_null() || !row["event__event_id"].is_null();
    let registrations = table("registrations");
    let with_event: BTreeSet<String> = registrations
        .iter()
        .filter(has_event)
        .map(|row| row["registration_id"].to_string())
        .collect();
    assert_eq!(sum("num_registrations") as usize, with_event.len());
    let of_event = |row: &&Value| with_event.contains(&row["_root_registration_id"].to_string());
    let tickets = table("registrations__attendees__tickets");
    assert_eq!(sum("num_tickets") as usize, tickets.iter().filter(of_event).count());

    // What was paid counts where the currency is known, and is that of the event's registrations.
    let event = |row: &Value| match row["event__event_id"].is_null() {
        true => row["event"].clone(),
        false => row["event__event_id"].clone(),
    };
    let events: BTreeMap<String, Value> =
        registrations.iter().map(|row| (row["registration_id"].to_string(), event(row))).collect();
    let mut paid: BTreeMap<String, f64> = BTreeMap::new();
    for payment in table("registrations__payments") {
        let event = events[&payment["_root_registration_id"].to_string()].to_string();
        *paid.entry(event).or_default() += payment["amount"].as_f64().unwrap_or(0.0);
    }
    let mut num_compared = 0;
    for row in found.iter().filter(|row| !row["currency"].is_null()) {
        let expected = paid.get(&row["event_id"].to_string()).copied().unwrap_or(0.0);
        assert!((row["amount_paid"].as_f64().unwrap() - expected).abs() < 1e-6, "{row}");
        num_compared += 1;
    }
    assert!(num_compared >= 5);
}
