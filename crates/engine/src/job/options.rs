//! Options of a command as keys of a section: their names, kinds and words come from the command line.

use clap::{Arg, ArgAction, CommandFactory};
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value as Json, json};

use crate::cli::Cli;

/// What a step's section cannot say: where its report goes, and what the job itself gives.
const OF_THE_JOB: [&str; 6] = ["report", "manifest", "log", "help", "run-id", "format"];

/// The sections of `relationalize`.
pub(super) fn relationalize_schema(_: &mut SchemaGenerator) -> Schema {
    let after = names("Steps that must have ended well before.");
    sections("relationalize", [("after", after)], &["input", "output"])
}

/// The sections of `marts`.
pub(super) fn marts_schema(_: &mut SchemaGenerator) -> Schema {
    let text = |description: &str| json!({ "description": description, "type": "string" });
    let own = [
        ("statements", text("The file with the statements.")),
        ("sql", text("The statements themselves.")),
        (
            "after",
            names("Steps that must have ended well before, beside those that make its tables."),
        ),
    ];
    sections("sql", own, &[])
}

fn names(description: &str) -> Json {
    json!({ "description": description, "type": "array", "items": { "type": "string" } })
}

fn sections<const N: usize>(command: &str, own: [(&str, Json); N], required: &[&str]) -> Schema {
    let mut keys = Map::new();
    for argument in arguments(command) {
        keys.insert(key_of(&argument), kind(&argument));
    }
    keys.extend(own.map(|(name, schema)| (name.to_owned(), schema)));
    // Statements are what `sql` takes without a name.
    keys.shift_remove("command");
    let section = json!({
        "type": "object",
        "properties": keys,
        "required": required,
        "additionalProperties": false,
    });
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("additionalProperties".to_owned(), section);
    Schema::from(schema)
}

/// The arguments of a command that a section can say; `sql` has a file and options `--file`: the latter.
fn arguments(command: &str) -> Vec<Arg> {
    let cli = Cli::command();
    let Some(found) = cli.find_subcommand(command) else { return Vec::new() };
    let arguments = found.get_arguments().filter(|argument| {
        let name = argument.get_long().unwrap_or_default();
        let is_statements = command == "sql" && argument.is_positional();
        !argument.is_hide_set() && !OF_THE_JOB.contains(&name) && !is_statements
    });
    arguments.cloned().collect()
}

fn key_of(argument: &Arg) -> String {
    let name = argument.get_long().unwrap_or_else(|| argument.get_id().as_str());
    name.replace('-', "_")
}

fn kind(argument: &Arg) -> Json {
    let mut schema = Map::new();
    if let Some(help) = argument.get_help() {
        schema.insert("description".to_owned(), json!(help.to_string()));
    }
    let words: Vec<String> =
        argument.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    let scalar = json!({ "type": ["string", "number"] });
    match argument.get_action() {
        ArgAction::SetTrue => {
            schema.insert("type".to_owned(), json!("boolean"));
        }
        ArgAction::Append => {
            let values = json!({ "anyOf": [scalar, { "type": "array", "items": scalar }] });
            let named = json!({ "type": "object", "additionalProperties": values });
            let list = json!({ "type": "array", "items": scalar });
            schema.insert("anyOf".to_owned(), json!([scalar, list, named]));
        }
        _ if !words.is_empty() => {
            schema.insert("enum".to_owned(), json!(words));
        }
        _ => {
            schema.insert("type".to_owned(), json!(["string", "number"]));
        }
    }
    Json::Object(schema)
}

/// A section as arguments: positional ones first, then `--name=value`. A mapping says `name=value`, and
/// several values of one name are divided by commas, as in `--key donors=id,source`.
pub(super) fn to_arguments(command: &str, section: &Map<String, Json>) -> Vec<String> {
    let mut given = Vec::new();
    for argument in arguments(command) {
        let Some(value) = section.get(&key_of(&argument)) else { continue };
        let Some(long) = argument.get_long() else {
            given.push(text(value));
            continue;
        };
        let mut option = |value: String| given.push(format!("--{long}={value}"));
        match value {
            Json::Bool(true) => given.push(format!("--{long}")),
            Json::Bool(false) | Json::Null => {}
            Json::Array(values) if values.is_empty() => {}
            Json::Array(values) if argument.get_value_delimiter().is_some() => {
                option(joined(values));
            }
            Json::Array(values) => values.iter().map(text).for_each(option),
            Json::Object(named) => {
                for (name, value) in named {
                    let value = match value {
                        Json::Array(values) => joined(values),
                        other => text(other),
                    };
                    option(format!("{name}={value}"));
                }
            }
            other => option(text(other)),
        }
    }
    given
}

fn joined(values: &[Json]) -> String {
    values.iter().map(text).collect::<Vec<_>>().join(",")
}

fn text(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments_of(command: &str, section: Json) -> Vec<String> {
        let Json::Object(section) = section else { panic!("no section") };
        to_arguments(command, &section)
    }

    #[test]
    fn j2_sections_are_arguments() {
        let section = json!({
            "output": "curated/",
            "input": "raw/",
            "key": { "donors": "id", "visits": ["site", "day"] },
            "resolve": ["a=drop", "b=json"],
            "bookmark": true,
            "timestamps": false,
            "error_threshold": "0.5%",
        });
        let words = "raw/ curated/ --key=donors=id --key=visits=site,day --resolve=a=drop --resolve=b=json --error-threshold=0.5% --bookmark";
        assert_eq!(arguments_of("relationalize", section), words.split(' ').collect::<Vec<_>>());
        let section =
            json!({ "key": ["a", "b"], "file": { "regions": "r.csv" }, "mode": "upsert" });
        let words = "--file=regions=r.csv --mode=upsert --key=a,b";
        assert_eq!(arguments_of("sql", section), words.split(' ').collect::<Vec<_>>());
    }
}
