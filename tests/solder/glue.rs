//! R7: the tables of AWS Glue's Relationalize, by the examples of its documentation.

use rstest::rstest;

use crate::support::{Lab, glue};

/// R7: the people of the Scala reference; an array of scalars.
#[test]
fn r7_example_a_people() {
    let lab = Lab::new();
    lab.write(
        "people.ndjson",
        r#"
{"name":"Nancy","age":47,"friends":["Fred","Lakshmi"]}
{"name":"Stephanie","age":28,"friends":["Yao","Phil","Alvin"]}
{"name":"Nathan","age":54,"friends":["Nicolai","Karen"]}"#,
    );
    lab.run(glue("people"));
    assert_eq!(lab.tables(), ["people", "people_friends"]);
    assert_eq!(lab.columns("people"), ["name: Utf8", "age: Int64", "friends: Int64"]);
    assert_eq!(lab.columns("people_friends"), ["id: Int64", "index: Int32", "friends.val: Utf8"]);
    lab.is(
        "people",
        "| name      | age | friends |
         | Nancy     | 47  | 1       |
         | Stephanie | 28  | 2       |
         | Nathan    | 54  | 3       |",
    );
    lab.is(
        "people_friends",
        "| id | index | friends.val |
         | 1  | 0     | Fred        |
         | 1  | 1     | Lakshmi     |
         | 2  | 0     | Yao         |
         | 2  | 1     | Phil        |
         | 2  | 2     | Alvin       |
         | 3  | 0     | Nicolai     |
         | 3  | 1     | Karen       |",
    );
}

/// R7: the customers of the SelectFromCollection page; an `id` of the data beside Glue's own.
#[test]
fn r7_example_b_customers() {
    let lab = Lab::new();
    lab.write(
        "customers.json",
        r#"
{"zip": 75091, "customers": [{"id": 623, "address": "108 Park Street, TX"}, {"id": 231, "address": "763 Marsh Ln, TX"}]}
{"zip": 75023, "customers": [{"id": 343, "address": "66 P Street, NY"}]}
{"zip": 90093, "customers": [{"id": 932, "address": "708 Fed Ln, CA"}, {"id": 102, "address": "807 Deccan Dr, CA"}]}"#,
    );
    lab.run(glue("root"));
    assert_eq!(lab.tables(), ["root", "root_customers"]);
    lab.is(
        "root",
        "| customers | zip   |
         | 1         | 75091 |
         | 2         | 75023 |
         | 3         | 90093 |",
    );
    lab.is(
        "root_customers",
        "| id | index | customers.val.address | customers.val.id |
         | 1  | 0     | 108 Park Street, TX   | 623              |
         | 1  | 1     | 763 Marsh Ln, TX      | 231              |
         | 2  | 0     | 66 P Street, NY       | 343              |
         | 3  | 0     | 708 Fed Ln, CA        | 932              |
         | 3  | 1     | 807 Deccan Dr, CA     | 102              |",
    );
}

/// R7: the legislators of the "join and relationalize" sample; five arrays beside one another.
#[test]
fn r7_example_c_legislators() {
    let person = |number: usize| {
        let (given, family, details) = match number {
            10 => ("Mike", "Ross", ["202-225-1314", "202-225-3772", "MikeRossUpdates"]),
            75 => ("Shelley", "Capito", ["202-225-7856", "202-225-2711", "SenCapito"]),
            _ => ("Somebody", "Else", ["1", "2", "3"]),
        };
        let [fax, phone, twitter] = details;
        format!(
            r#"{{"id":"p{number}","given_name":"{given}","family_name":"{family}","links":[{{"url":"u"}}],"images":[{{"url":"i"}}],"other_names":[{{"name":"n"}}],"contact_details":[{{"type":"fax"}},{{"value":"{fax}"}},{{"type":"phone"}},{{"value":"{phone}"}},{{"type":"twitter"}},{{"value":"{twitter}"}}],"identifiers":[{{"scheme":"s"}}]}}"#
        )
    };
    let lab = Lab::new();
    lab.write("l_history.ndjson", (1..=75).map(|n| person(n) + "\n").collect::<String>());
    lab.run(glue("hist_root"));
    assert_eq!(
        lab.tables(),
        [
            "hist_root",
            "hist_root_contact_details",
            "hist_root_identifiers",
            "hist_root_images",
            "hist_root_links",
            "hist_root_other_names"
        ]
    );
    assert_eq!(
        lab.columns("hist_root_contact_details"),
        [
            "id: Int64",
            "index: Int32",
            "contact_details.val.type: Utf8",
            "contact_details.val.value: Utf8"
        ]
    );
    for array in ["links", "images", "other_names", "identifiers", "contact_details"] {
        assert_eq!(lab.column_type("hist_root", array), "Int64");
    }
    let rows = |table: &str, first: usize, num: usize| lab.table(table).slice(first, num);
    crate::support::compare(
        &rows("hist_root_contact_details", 9 * 6, 6),
        "| id | index | contact_details.val.type | contact_details.val.value |
         | 10 | 0     | fax                      | null                      |
         | 10 | 1     | null                     | 202-225-1314              |
         | 10 | 2     | phone                    | null                      |
         | 10 | 3     | null                     | 202-225-3772              |
         | 10 | 4     | twitter                  | null                      |
         | 10 | 5     | null                     | MikeRossUpdates           |",
    );
    crate::support::compare(
        &rows("hist_root_contact_details", 74 * 6, 6),
        "| id | index | contact_details.val.type | contact_details.val.value |
         | 75 | 0     | fax                      | null                      |
         | 75 | 1     | null                     | 202-225-7856              |
         | 75 | 2     | phone                    | null                      |
         | 75 | 3     | null                     | 202-225-2711              |
         | 75 | 4     | twitter                  | null                      |
         | 75 | 5     | null                     | SenCapito                 |",
    );
    let header = "| id | given_name | family_name | contact_details |";
    for (row, expected) in
        [(9, "| p10 | Mike | Ross | 10 |"), (74, "| p75 | Shelley | Capito | 75 |")]
    {
        crate::support::compare(&rows("hist_root", row, 1), &format!("{header}\n{expected}"));
    }
}

/// R7: the player of the AWS big data blog; objects only, so one table.
#[test]
fn r7_example_d_player() {
    let lab = Lab::new();
    lab.write(
        "player.json",
        r#"{"player": {"username": "user1",
            "characteristics": {"race": "Human", "class": "Warlock", "power": 300},
            "arsenal": {"kinetic": {"name": "Sweet Business", "power": 300},
                        "energy": {"name": "MIDA Mini-Tool", "power": 300}}}}"#,
    );
    lab.run(glue("root"));
    assert_eq!(lab.tables(), ["root"]);
    assert_eq!(
        lab.columns("root"),
        [
            "player.username: Utf8",
            "player.characteristics.race: Utf8",
            "player.characteristics.class: Utf8",
            "player.characteristics.power: Int64",
            "player.arsenal.kinetic.name: Utf8",
            "player.arsenal.kinetic.power: Int64",
            "player.arsenal.energy.name: Utf8",
            "player.arsenal.energy.power: Int64",
        ]
    );
}

/// R7: the New York Philharmonic's programs; three levels, each joined to the one above.
#[test]
fn r7_example_e_philharmonic() {
    let lab = Lab::new();
    lab.write(
        "programs.json",
        r#"{"programs": [
            {"id": "p1", "concerts": [{"Venue": "Apollo Rooms"}],
             "works": [{"workTitle": "SYMPHONY NO. 5", "soloists": []},
                       {"workTitle": "OBERON", "soloists": [{"soloistName": "Otto", "soloistRoles": "S"}]}]},
            {"id": "p2", "concerts": [],
             "works": [{"workTitle": "QUINTET", "soloists": [{"soloistName": "Scharfenberg", "soloistRoles": "A"},
                                                            {"soloistName": "Hill", "soloistRoles": "S"}]}]}]}"#,
    );
    lab.run(glue("root"));
    assert_eq!(
        lab.tables(),
        [
            "root",
            "root_programs",
            "root_programs.val.concerts",
            "root_programs.val.works",
            "root_programs.val.works.val.soloists"
        ]
    );
    lab.is("root", "| programs |\n| 1 |");
    lab.is(
        "root_programs",
        "| id | index | programs.val.id | programs.val.concerts | programs.val.works |
         | 1  | 0     | p1              | 1                     | 1                  |
         | 1  | 1     | p2              | 2                     | 2                  |",
    );
    lab.is(
        "root_programs.val.works",
        "| id | index | programs.val.works.val.workTitle | programs.val.works.val.soloists |
         | 1  | 0     | SYMPHONY NO. 5                   | 1                               |
         | 1  | 1     | OBERON                           | 2                               |
         | 2  | 0     | QUINTET                          | 3                               |",
    );
    lab.is(
        "root_programs.val.works.val.soloists",
        "| id | index | programs.val.works.val.soloists.val.soloistName | programs.val.works.val.soloists.val.soloistRoles |
         | 2  | 0     | Otto         | S |
         | 3  | 0     | Scharfenberg | A |
         | 3  | 1     | Hill         | S |",
    );
}

/// R7: the naming table of real jobs: root, record, the parent's column, the child table, its
/// columns.
#[rstest]
#[case("hist_root", r#"{"contact_details":[{"type":"fax"}]}"#,
    ("hist_root", "contact_details"), "hist_root_contact_details", &["contact_details.val.type"])]
#[case("root", r#"{"entities":{"hashtags":[{"start":1}]}}"#,
    ("root", "entities.hashtags"), "root_entities.hashtags", &["entities.hashtags.val.start"])]
#[case("network_data_root", r#"{"payload_output":{"Vpcs":[{"VpcId":"v"}]}}"#,
    ("network_data_root", "payload_output.Vpcs"), "network_data_root_payload_output.Vpcs",
    &["payload_output.Vpcs.val.VpcId"])]
#[case("network_data_root", r#"{"payload_output":{"Vpcs":[{"Tags":[{"Key":"k"}]}]}}"#,
    ("network_data_root_payload_output.Vpcs", "payload_output.Vpcs.val.Tags"),
    "network_data_root_payload_output.Vpcs.val.Tags", &["payload_output.Vpcs.val.Tags.val.Key"])]
#[case("root", r#"{"current_condition":[{"weatherDesc":[{"value":"Sunny"}]}]}"#,
    ("root_current_condition", "current_condition.val.weatherDesc"),
    "root_current_condition.val.weatherDesc", &["current_condition.val.weatherDesc.val.value"])]
#[case("root", r#"{"event_params":[[{"key":"k","value":{"string_value":"v"}}]]}"#,
    ("root_event_params", "event_params.val"), "root_event_params.val",
    &["event_params.val.val.key", "event_params.val.val.value.string_value"])]
#[case("root", r#"{"WaveformSamples":[1,2]}"#,
    ("root", "WaveformSamples"), "root_WaveformSamples", &["WaveformSamples.val"])]
fn r7_names(
    #[case] root: &str,
    #[case] record: &str,
    #[case] (parent, column): (&str, &str),
    #[case] child: &str,
    #[case] columns: &[&str],
) {
    let lab = Lab::new();
    lab.write("input.json", record);
    lab.run(glue(root));
    assert_eq!(lab.column_type(parent, column), "Int64");
    let schema = lab.table(child).schema();
    let found: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(found[..2], ["id", "index"]);
    assert_eq!(found[2..], *columns);
}

/// R7: null and missing have no key, `[]` has one and no rows.
#[test]
fn r7_empty_arrays_have_a_key() {
    let lab = Lab::of(
        r#"{"n":1,"a":[7]}
           {"n":2,"a":[]}
           {"n":3,"a":null}
           {"n":4}
           {"n":5,"a":[8,9]}"#,
    );
    lab.run(glue("root"));
    lab.is("root", "| n | a |\n| 1 | 1 |\n| 2 | 2 |\n| 3 | null |\n| 4 | null |\n| 5 | 3 |");
    lab.is("root_a", "| id | index | a.val |\n| 1 | 0 | 7 |\n| 3 | 0 | 8 |\n| 3 | 1 | 9 |");
}

/// R7: one counter per array column, that goes on where the last run with a bookmark ended.
#[test]
fn r7_keys_continue_over_bookmark_runs() {
    let lab = Lab::new();
    let run = || {
        lab.run(|settings| {
            glue("root")(settings);
            settings.bookmark = true;
        })
    };
    lab.write("1.ndjson", "{\"n\":1,\"a\":[1],\"b\":[[1],[2]]}\n{\"n\":2,\"b\":[[3]]}\n");
    run();
    lab.write("2.ndjson", "{\"n\":3,\"a\":[2],\"b\":[[4]]}\n");
    run();
    lab.is("root", "| n | a | b |\n| 1 | 1 | 1 |\n| 2 | null | 2 |\n| 3 | 2 | 3 |");
    lab.is(
        "root_b",
        "| id | index | b.val |
         | 1 | 0 | 1 |
         | 1 | 1 | 2 |
         | 2 | 0 | 3 |
         | 3 | 0 | 4 |",
    );
    lab.is("root_a", "| id | index | a.val |\n| 1 | 0 | 1 |\n| 2 | 0 | 2 |");
    lab.is(
        "root_b.val",
        "| id | index | b.val.val |\n| 1 | 0 | 1 |\n| 2 | 0 | 2 |\n| 3 | 0 | 3 |\n| 4 | 0 | 4 |",
    );
}

/// R7: keys count arrays over block borders, too.
#[test]
fn r7_keys_do_not_depend_on_blocks() {
    let lines: String = (0..200).map(|n| format!("{{\"n\":{n},\"a\":[[{n}],[]]}}\n")).collect();
    let tables = [16, 1 << 20].map(|block_bytes| {
        let lab = Lab::of(&lines);
        lab.run(|settings| {
            glue("root")(settings);
            settings.block_bytes = block_bytes;
        });
        ["root", "root_a", "root_a.val"].map(|table| lab.table(table))
    });
    assert_eq!(tables[0], tables[1]);
}

/// R7: a literal dot in a key meets nesting; one of the two keeps Glue's name, neither is lost.
#[test]
fn r7_literal_dots() {
    let lab = Lab::of(r#"{"Zip.Code":1,"Zip":{"Code":2}}"#);
    lab.run(glue("root"));
    lab.shows("root", "| Zip.Code |\n| 2 |");
    assert_eq!(lab.table("root").num_columns(), 2);
}
