//! Event → options: an invocation says what `ingest run` takes on its command line (L1).
//!
//! There is one definition of the options, that of the command line: an event is turned into one and read as such.

use crate::Error;
use clap::{Arg, ArgAction, CommandFactory, Parser};
use serde_json::{Map, Value};

use super::cli::{Cli, Command, Run};

/// Options of `ingest run` for which there is nobody: no terminal, no folder that stays.
const NOT_OFFERED: [&str; 5] = ["stdout", "record", "report", "log", "help"];
/// Further options as on the command line, so that one list serves jobs and functions.
const OPTIONS: &str = "options";
/// What an event looks like.
const EXAMPLE: &str = r#"{"source": "sources/shop.yaml", "to": "s3://bucket/raw"}"#;

/// The options that an event says.
///
/// # Errors
///
/// The event has a key that is none, a value of another kind, or what the command line would refuse.
pub(crate) fn options(event: &Value) -> Result<Run, Error> {
    let Value::Object(event) = event else {
        let found = kind(event);
        return Err(Error::Option(format!(
            "the event is {found}, not an object such as {EXAMPLE}"
        )));
    };
    let cli = Cli::command();
    let run = cli.find_subcommand("run").into_iter();
    let arguments: Vec<&Arg> = run
        .flat_map(clap::Command::get_arguments)
        .filter(|argument| !NOT_OFFERED.contains(&argument.get_id().as_str()))
        .collect();
    let mut command = vec!["ingest".to_owned(), "run".to_owned()];
    let mut positional = vec!["--".to_owned()];
    for (key, value) in event {
        if value.is_null() {
            continue;
        }
        if key == OPTIONS {
            command.extend(texts(key, value)?);
            continue;
        }
        let argument = arguments.iter().find(|argument| argument.get_id() == key.as_str());
        let argument = argument.ok_or_else(|| unknown(key, &arguments))?;
        match argument.get_long() {
            Some(long) => command.extend(option(argument, long, key, value)?),
            None => positional.push(text(key, value)?),
        }
    }
    command.extend(positional);
    let refused = |words: &str| Error::Option(format!("the event is refused: {words}"));
    match Cli::try_parse_from(command) {
        Err(error) => Err(refused(&first_words(&error.render().to_string()))),
        Ok(Cli { command: Command::Run(run), .. }) => {
            if run.stdout || run.record.is_some() {
                return Err(refused("a function has no standard output and no folder that stays"));
            }
            Ok(*run)
        }
        Ok(_) => Err(refused("it is not a run")),
    }
}

/// A key's words on the command line.
fn option(argument: &Arg, long: &str, key: &str, value: &Value) -> Result<Vec<String>, Error> {
    let with = |value: String| format!("--{long}={value}");
    match (argument.get_action(), value) {
        (ArgAction::SetTrue, Value::Bool(true)) => Ok(vec![format!("--{long}")]),
        (ArgAction::SetTrue, Value::Bool(false)) => Ok(Vec::new()),
        (ArgAction::SetTrue, other) => Err(wrong(key, "true or false", other)),
        (ArgAction::Append, Value::Object(pairs)) if takes_pairs(argument) => {
            Ok(texts_of_pairs(key, pairs)?.into_iter().map(with).collect())
        }
        (ArgAction::Append, value) => Ok(texts(key, value)?.into_iter().map(with).collect()),
        (_, value) => Ok(vec![with(text(key, value)?)]),
    }
}

/// Whether an option's value is a name with a value of its own.
fn takes_pairs(argument: &Arg) -> bool {
    argument.get_value_names().is_some_and(|names| names.iter().any(|name| name.contains('=')))
}

fn texts_of_pairs(key: &str, pairs: &Map<String, Value>) -> Result<Vec<String>, Error> {
    let pairs = pairs.iter();
    pairs.map(|(name, value)| Ok(format!("{name}={}", text(key, value)?))).collect()
}

fn texts(key: &str, value: &Value) -> Result<Vec<String>, Error> {
    match value {
        Value::Array(values) => values.iter().map(|value| text(key, value)).collect(),
        value => Ok(vec![text(key, value)?]),
    }
}

fn text(key: &str, value: &Value) -> Result<String, Error> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        other => Err(wrong(key, "a text or a number", other)),
    }
}

fn wrong(key: &str, expected: &str, found: &Value) -> Error {
    Error::Option(format!("the event's `{key}`: expected {expected}, found {}", kind(found)))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn unknown(key: &str, known: &[&Arg]) -> Error {
    let names = || known.iter().map(|argument| argument.get_id().as_str()).chain([OPTIONS]);
    let near = names().map(|name| (strsim::jaro_winkler(name, key), name));
    let near = near.filter(|(score, _)| *score > 0.8).max_by(|a, b| a.0.total_cmp(&b.0));
    let hint = match near {
        Some((_, name)) => format!(", did you mean `{name}`?"),
        None => format!(" (known: {})", names().collect::<Vec<_>>().join(", ")),
    };
    Error::Option(format!("unknown key `{key}` in the event{hint}"))
}

/// What is wrong, without how the command line is written.
fn first_words(text: &str) -> String {
    let lines = text.lines().map(str::trim).take_while(|line| !line.is_empty());
    let words = lines.collect::<Vec<_>>().join(" ");
    words.strip_prefix("error: ").map_or_else(|| words.clone(), str::to_owned)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
mod tests {
    use std::time::Duration;

    use rstest::rstest;
    use serde_json::json;

    use super::*;

    /// L1: every option of `ingest run` that makes sense has its key.
    #[test]
    fn l1_an_event_says_what_the_command_line_takes() {
        let event = json!({
            "source": "sources/shop.yaml", "to": "s3://bucket/raw", "run_id": "r1", "full": true,
            "streams": ["orders", "items"], "params": { "since": "2024-01-01", "size": 5 },
            "stop_after": "10m", "compression": "gzip", "part_size": 16, "manifest": null,
            "options": ["--part-age", "60"],
        });
        let run = options(&event).unwrap();
        assert_eq!(run.of.source.to_str(), Some("sources/shop.yaml"));
        assert_eq!(run.of.streams, ["orders", "items"]);
        let mut params = run.of.params.clone();
        params.sort();
        let expected = [("since", "2024-01-01"), ("size", "5")];
        assert_eq!(params, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!((run.place(), run.run_id.as_deref()), ("s3://bucket/raw", Some("r1")));
        assert_eq!((run.full, run.part_size, run.part_age), (true, 16, 60));
        assert_eq!(run.stop_after, Some(Duration::from_secs(600)));
        assert_eq!(run.manifest, None);
    }

    /// L1: nothing in a value is taken for an option.
    #[test]
    fn l1_values_stay_values() {
        let event = json!({ "source": "--stdout", "to": "--full", "streams": "--help" });
        let run = options(&event).unwrap();
        assert_eq!(run.of.source.to_str(), Some("--stdout"));
        assert_eq!((run.place(), run.full, run.stdout), ("--full", false, false));
        assert_eq!(run.of.streams, ["--help"]);
    }

    #[rstest]
    #[case(json!([]), "the event is a list, not an object")]
    #[case(json!({ "sorce": "a" }), "unknown key `sorce` in the event, did you mean `source`?")]
    #[case(json!({ "runid": "a" }), "unknown key `runid` in the event, did you mean `run_id`?")]
    #[case(json!({ "stdout": true }), "unknown key `stdout` in the event")]
    #[case(json!({ "xyz": 1 }), "(known: source, streams, params, to, run_id, ")]
    #[case(json!({ "source": ["a"] }), "the event's `source`: expected a text or a number, found a list")]
    #[case(json!({ "full": "yes" }), "the event's `full`: expected true or false, found a text")]
    #[case(json!({ "streams": { "a": "b" } }), "the event's `streams`: expected a text or a number, found an object")]
    #[case(json!({ "source": "a" }), "required arguments were not provided: --to <PLACE>")]
    #[case(json!({ "source": "a", "to": "b", "part_size": 0 }), "invalid value '0' for '--part-size <MIB>'")]
    #[case(json!({ "source": "a", "to": "b", "stop_after": "soon" }), "`soon` is not a duration")]
    #[case(json!({ "source": "a", "options": ["--stdout"] }), "a function has no standard output")]
    fn l1_what_is_refused(#[case] event: Value, #[case] words: &str) {
        let error = options(&event).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(error.exit_code(), 64);
    }
}
