//! Which places a job reads and writes, for those who look at them before it runs.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value as Json};
use solder_operate::doctor::Purpose;

use super::document::Job;
use super::steps::{meet, texts};

/// The places of a job and what its engine does there, each once. Where sources land is left to `ingest`.
pub(crate) fn places(job: &Job) -> Vec<(String, Purpose)> {
    let document = &job.document;
    let mut kept: Vec<String> = Vec::new();
    let mut read: Vec<String> = Vec::new();
    for section in document.relationalize.values() {
        read.extend(texts(section, "input").iter().filter_map(|text| folder(text)));
        kept.extend(texts(section, "output"));
    }
    if let Some(merge) = &document.merge {
        read.extend(merge.staging.clone());
        kept.extend(merge.into.clone());
    }
    for mart in document.marts.values() {
        let both = |key| texts(mart, key);
        read.extend(both("curated"));
        kept.extend(into(mart));
    }
    let mut places = BTreeMap::new();
    let landed = document.sources.values().map(|source| &source.to);
    let written: Vec<String> = kept.iter().chain(landed).cloned().collect();
    for place in read {
        let is_made = written.iter().any(|other| meet(other, &place));
        places.insert(place, if is_made { Purpose::ReadLater } else { Purpose::Read });
    }
    for place in kept {
        places.insert(place, Purpose::Keep);
    }
    places.into_iter().collect()
}

/// Where the result of a mart goes.
fn into(mart: &Map<String, Json>) -> Vec<String> {
    match texts(mart, "into") {
        into if into.is_empty() => texts(mart, "lake"),
        into => into,
    }
}

/// The folder that an input is in: of a glob, what stands before it. Standard input is in none.
pub(crate) fn folder(input: &str) -> Option<String> {
    let above = |text: &str| match text.rsplit_once('/') {
        Some(("", _)) => "/".to_owned(),
        Some((folder, _)) => folder.to_owned(),
        None => ".".to_owned(),
    };
    match input.find(['*', '?', '[', '{']) {
        _ if input == "-" => None,
        Some(at) => Some(above(&input[..at])),
        None if Path::new(input).is_file() => Some(above(input)),
        None => Some(input.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::folder("raw", Some("raw"))]
    #[case::glob("s3://b/raw/*/*.json", Some("s3://b/raw"))]
    #[case::names("raw/orders-2026*.json", Some("raw"))]
    #[case::here("*.json", Some("."))]
    #[case::root("/*.json", Some("/"))]
    #[case::stdin("-", None)]
    fn d3_folders_of_inputs(#[case] input: &str, #[case] expected: Option<&str>) {
        assert_eq!(folder(input).as_deref(), expected);
    }

    /// D3: what a job only reads is not written to, and what it makes need not be there yet.
    #[test]
    fn d3_a_job_says_what_places_are_for() {
        let text = "
sources:
  shop: { source: shop.yaml, to: raw/api }
relationalize:
  files: { input: 'drop/*.json', output: curated }
  landed: { input: raw/api, output: curated }
merge: { staging: curated, into: lake }
marts:
  sales: { sql: 'select 1 as x', lake: lake, into: marts }
";
        let job = Job::parse("solder.yaml", text, &[]).unwrap();
        let places = places(&job);
        let places: Vec<_> =
            places.iter().map(|(place, purpose)| (place.as_str(), *purpose)).collect();
        let expected = [
            ("curated", Purpose::Keep),
            ("drop", Purpose::Read),
            ("lake", Purpose::Keep),
            ("marts", Purpose::Keep),
            ("raw/api", Purpose::ReadLater),
        ];
        assert_eq!(places, expected);
    }
}
