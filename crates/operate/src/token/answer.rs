//! What a state machine is told: within the limits of
//! [SendTaskSuccess](https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskSuccess.html) and
//! [SendTaskFailure](https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskFailure.html).

use serde_json::{Map, Value, json};

/// The most bytes of an output.
const MAX_OUTPUT: usize = 262_144;
/// The most characters of a cause; bytes are never fewer.
const MAX_CAUSE: usize = 32_768;

/// The report as output of the state; too large a one without its lists, and with the place of the whole one.
pub(super) fn output(report: &Value, manifest: Option<&str>) -> String {
    let text = match report {
        Value::Null => "{}".to_owned(),
        report => report.to_string(),
    };
    if text.len() <= MAX_OUTPUT {
        return text;
    }
    let is_short = |value: &Value| match value {
        Value::Array(_) | Value::Object(_) => false,
        Value::String(text) => text.len() <= 1024,
        _ => true,
    };
    let members = report.as_object().into_iter().flatten();
    let mut short: Map<String, Value> = members
        .filter(|(_, value)| is_short(value))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    short.insert("is_shortened".to_owned(), true.into());
    short.insert("manifest".to_owned(), json!(manifest));
    Value::Object(short).to_string()
}

/// The name of an error, for `Retry` and `Catch`: by what has to be done about it.
pub(super) fn error(exit_code: u8) -> &'static str {
    match exit_code {
        64 => "Solder.Usage",
        65 => "Solder.Data",
        66 => "Solder.NoInput",
        69 => "Solder.Unavailable",
        73 => "Solder.Output",
        74 => "Solder.ReadWrite",
        75 => "Solder.TryAgain",
        77 => "Solder.Credentials",
        78 => "Solder.Configuration",
        130 | 143 => "Solder.Stopped",
        _ => "Solder.Bug",
    }
}

/// A message as cause.
pub(super) fn cause(message: &str) -> &str {
    &message[..message.floor_char_boundary(MAX_CAUSE)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn o6_a_report_within_the_limit_is_the_output() {
        let report = json!({ "run_id": "r", "tables": [{ "name": "a" }] });
        assert_eq!(output(&report, None), report.to_string());
        assert_eq!(output(&Value::Null, None), "{}");
    }

    #[test]
    fn o6_a_report_beyond_the_limit_is_named() {
        let tables = vec![json!({ "name": "x".repeat(100) }); 3_000];
        let report = json!({
            "run_id": "r", "records_read": 7, "tables": tables, "first_quarantined": "y".repeat(2000)
        });
        let text = output(&report, Some("s3://bucket/report.json"));
        let short: Value = serde_json::from_str(&text).unwrap();
        let expected = json!({
            "run_id": "r",
            "records_read": 7,
            "is_shortened": true,
            "manifest": "s3://bucket/report.json",
        });
        assert_eq!(short, expected);
    }

    #[test]
    fn o6_causes_are_cut() {
        assert_eq!(cause("short"), "short");
        let long = "ä".repeat(MAX_CAUSE);
        assert_eq!(cause(&long).len(), MAX_CAUSE);
        let odd = format!("x{long}");
        assert_eq!(cause(&odd).len(), MAX_CAUSE - 1, "no character is cut");
    }
}
