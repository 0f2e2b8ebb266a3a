//! CloudWatch metrics by the embedded metric format: members of a line of the log, from which CloudWatch Logs makes
//! metrics.
//!
//! ```text
//!   report ──▶ Metrics::add_to ──▶ the summary line      dimensions Program, Command
//!         └──▶ Metrics::tables ──▶ a line for each table or stream  dimensions Program, Command, Table; where asked for
//! ```
//!
//! Every metric of every combination of dimensions is paid for, so that there are two dimensions and no run id, and
//! tables only where they are asked for. The rules are those of
//! [the specification](https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html).

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::environment::Environment;
use crate::report::{self, Measure, Unit};

/// Asks for metrics, and names their namespace.
const NAMESPACE: &str = "SOLDER_METRICS_NAMESPACE";
/// Asks for metrics of every table, too.
const TABLES: &str = "SOLDER_METRICS_TABLES";

/// Metrics in the log of a command.
#[derive(Debug)]
pub struct Metrics {
    namespace: String,
    program: &'static str,
    command: &'static str,
    with_tables: bool,
}

impl Metrics {
    /// Those that the environment asks for.
    pub fn wanted(program: &'static str, command: &'static str) -> Option<Metrics> {
        Metrics::wanted_in(Environment::process(), program, command)
    }

    fn wanted_in(
        environment: Environment,
        program: &'static str,
        command: &'static str,
    ) -> Option<Metrics> {
        let namespace = environment.get(NAMESPACE)?;
        let with_tables = environment.is_true(TABLES);
        Some(Metrics { namespace, program, command, with_tables })
    }

    /// Makes metrics of a summary line: how the command ended, and what its report counts.
    pub fn add_to(&self, line: &mut Map<String, Value>, exit_code: u8, report: &Value) {
        let failures = Measure {
            name: "Failures",
            key: "failures",
            unit: Unit::Count,
            value: u64::from(exit_code != 0),
        };
        let mut measures = vec![failures];
        measures.extend(report::measures(report));
        self.write(line, &measures, None);
    }

    /// The members of the lines of tables, when they are asked for.
    pub fn tables(&self, report: &Value) -> Vec<Map<String, Value>> {
        if !self.with_tables {
            return Vec::new();
        }
        let tables = report::tables(report).into_iter().chain(report::streams(report));
        let lines = tables.map(|table| {
            let mut line = Map::new();
            self.write(&mut line, &table.measures, Some(&table.name));
            line
        });
        lines.collect()
    }

    fn write(&self, line: &mut Map<String, Value>, measures: &[Measure], table: Option<&str>) {
        let mut dimensions = vec!["Program", "Command"];
        dimensions.extend(table.map(|_| "Table"));
        let metrics = measures
            .iter()
            .map(|measure| json!({ "Name": measure.name, "Unit": unit(measure.unit) }));
        let directive = json!({
            "Namespace": self.namespace,
            "Dimensions": [dimensions],
            "Metrics": metrics.collect::<Vec<_>>(),
        });
        line.insert(
            "_aws".to_owned(),
            json!({
                "Timestamp": Timestamp::now().as_millisecond(),
                "CloudWatchMetrics": [directive],
            }),
        );
        line.insert("Program".to_owned(), self.program.into());
        line.insert("Command".to_owned(), self.command.into());
        if let Some(table) = table {
            line.insert("Table".to_owned(), table.into());
        }
        line.extend(measures.iter().map(|found| (found.name.to_owned(), found.value.into())));
    }
}

/// As CloudWatch names it.
fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Count => "Count",
        Unit::Bytes => "Bytes",
        Unit::Milliseconds => "Milliseconds",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(variable: fn(&str) -> Option<String>) -> Option<Metrics> {
        Metrics::wanted_in(Environment::of(variable), "engine", "merge")
    }

    #[test]
    fn o2_no_metrics_unless_asked_for() {
        assert!(wanted(|_| None).is_none());
        assert!(wanted(|name| (name == NAMESPACE).then(|| " ".to_owned())).is_none());
        let metrics = wanted(|name| (name == NAMESPACE).then(|| "Solder".to_owned())).unwrap();
        let table = json!({ "name": "orders", "rows_written": 3 });
        assert!(metrics.tables(&json!({ "tables": [table] })).is_empty(), "tables are paid for");
    }

    #[test]
    fn o2_a_line_for_each_table() {
        let metrics = wanted(|name| match name {
            NAMESPACE => Some("Solder".to_owned()),
            TABLES => Some("true".to_owned()),
            _ => None,
        });
        let tables =
            json!([{ "name": "a", "rows_written": 3 }, { "name": "a__b", "rows_written": 0 }]);
        let lines = metrics.unwrap().tables(&json!({ "tables": tables }));
        let found: Vec<_> = lines.iter().map(|line| (&line["Table"], &line["Rows"])).collect();
        assert_eq!(found, [(&json!("a"), &json!(3)), (&json!("a__b"), &json!(0))]);
        assert_eq!(
            lines[0]["_aws"]["CloudWatchMetrics"][0]["Dimensions"],
            json!([["Program", "Command", "Table"]])
        );
    }
}
