//! Places and tables as datasets, named as
//! [OpenLineage names them](https://openlineage.io/docs/spec/naming/): the store is the namespace, the path in it the
//! name.

use serde_json::{Value, json};
use solder_landing::Place;

use crate::catalog::Column;

use super::event::facet;

/// A dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dataset {
    pub(super) namespace: String,
    pub(super) name: String,
    /// Rows and bytes that came into it.
    pub(super) written: Option<(u64, Option<u64>)>,
    /// What it holds; empty where that is not known.
    pub(super) columns: Vec<Column>,
}

impl Dataset {
    /// A place, as given on the command line; `None` for what cannot be one, since it may hold credentials.
    pub(super) fn of(place: &str) -> Option<Dataset> {
        let identity = Place::parse(place).ok()?.identity();
        let (namespace, name) = match identity.split_once("://") {
            None => ("file".to_owned(), identity.as_str()),
            Some((scheme, rest)) => {
                let (bucket, path) = rest.split_once('/').unwrap_or((rest, ""));
                let scheme = if scheme == "s3a" { "s3" } else { scheme };
                (format!("{scheme}://{bucket}"), path)
            }
        };
        let name = if name.is_empty() { "/" } else { name };
        Some(Dataset { namespace, name: name.to_owned(), written: None, columns: Vec::new() })
    }

    /// A table or stream below a place.
    pub(super) fn below(place: &str, name: &str) -> Option<Dataset> {
        let mut dataset = Dataset::of(place)?;
        dataset.name = match dataset.name.trim_end_matches('/') {
            "" => match dataset.namespace.as_str() {
                "file" => format!("/{name}"),
                _ => name.to_owned(),
            },
            folder => format!("{folder}/{name}"),
        };
        Some(dataset)
    }

    /// With what came into it.
    pub(super) fn with(mut self, num_rows: u64, num_bytes: Option<u64>) -> Dataset {
        self.written = Some((num_rows, num_bytes));
        self
    }

    /// With what it holds.
    pub(super) fn holding(mut self, columns: &[Column]) -> Dataset {
        self.columns = columns.to_vec();
        self
    }

    /// As an input.
    pub(super) fn input(&self) -> Value {
        json!({ "namespace": self.namespace, "name": self.name })
    }

    /// As an output.
    pub(super) fn output(&self) -> Value {
        let mut json = self.input();
        if !self.columns.is_empty() {
            let mut schema = facet("1-1-1/SchemaDatasetFacet");
            schema["fields"] = self.columns.iter().map(field).collect();
            json["facets"] = json!({ "schema": schema });
        }
        if let Some((num_rows, num_bytes)) = self.written {
            let mut statistics = facet("1-0-2/OutputStatisticsOutputDatasetFacet");
            statistics["rowCount"] = num_rows.into();
            if let Some(num_bytes) = num_bytes {
                statistics["size"] = num_bytes.into();
            }
            json["outputFacets"] = json!({ "outputStatistics": statistics });
        }
        json
    }
}

/// A column, described by the path that it comes from.
fn field(column: &Column) -> Value {
    json!({ "name": column.name, "type": column.data_type, "description": column.comment })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("s3://bucket/curated/", "s3://bucket", "curated")]
    #[case("s3a://bucket/a/b", "s3://bucket", "a/b")]
    #[case("s3://bucket", "s3://bucket", "/")]
    #[case("gs://bucket/raw", "gs://bucket", "raw")]
    #[case("abfss://c@a.dfs.core.windows.net/x", "abfss://c@a.dfs.core.windows.net", "x")]
    #[case("/nowhere/raw", "file", "/nowhere/raw")]
    fn o4_places_are_datasets(#[case] place: &str, #[case] namespace: &str, #[case] name: &str) {
        let found = Dataset::of(place).unwrap();
        assert_eq!((found.namespace.as_str(), found.name.as_str()), (namespace, name));
    }

    #[rstest]
    #[case("s3://bucket/curated/", "curated/orders")]
    #[case("s3://bucket", "orders")]
    #[case("/nowhere", "/nowhere/orders")]
    fn o4_tables_are_datasets(#[case] place: &str, #[case] name: &str) {
        assert_eq!(Dataset::below(place, "orders").unwrap().name, name);
    }

    #[test]
    fn o5_credentials_are_no_dataset() {
        assert_eq!(Dataset::of("s3://key:secret@bucket/x"), None);
    }
}
