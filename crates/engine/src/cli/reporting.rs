//! Where the report of a run goes: options of every command that has one.

use clap::{Args, ValueEnum};
use solder_landing::Place;
use solder_relationalize::Error;

/// The options.
#[derive(Debug, Args)]
#[command(next_help_heading = "Reporting")]
pub(crate) struct Reporting {
    /// What goes to stdout: a summary as text, or the whole report as json; html=FILE writes a page as well
    #[arg(long, value_name = "FORMAT", value_parser = report_to, default_value = "text")]
    report: Vec<ReportTo>,

    /// Show records that were set aside without their values on the page
    #[arg(long, hide_short_help = true)]
    mask_values: bool,

    /// Write the report as JSON to this file or URL as well
    ///
    /// After the commit; when the run fails, an object with `error`, `exit_code` and `causes`.
    #[arg(long, value_name = "URL")]
    manifest: Option<String>,
}

/// The form of the report on stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// A table and remarks
    Text,
    /// One JSON object
    Json,
}

/// A place and a key in it.
#[derive(Clone, Debug)]
pub(crate) struct Destination {
    /// The place.
    pub(crate) place: Place,
    /// The key.
    pub(crate) key: String,
}

#[derive(Debug, thiserror::Error)]
#[error("it names no file: expected a path or URL such as `s3://bucket/reports/orders.json`")]
struct NoFile;

/// A form of the report, and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ReportTo {
    /// To stdout.
    Stdout(ReportFormat),
    /// A page, to a file or URL.
    Page(String),
}

fn report_to(text: &str) -> Result<ReportTo, String> {
    match text.split_once('=') {
        None if text == "text" => Ok(ReportTo::Stdout(ReportFormat::Text)),
        None if text == "json" => Ok(ReportTo::Stdout(ReportFormat::Json)),
        Some(("html", file)) if !file.is_empty() => Ok(ReportTo::Page(file.to_owned())),
        _ => Err("there are text, json and html=FILE".to_owned()),
    }
}

impl Reporting {
    /// What goes to stdout: what was said last.
    pub(crate) fn format(&self) -> ReportFormat {
        let said = self.report.iter().rev().find_map(|to| match to {
            ReportTo::Stdout(format) => Some(*format),
            ReportTo::Page(_) => None,
        });
        said.unwrap_or(ReportFormat::Text)
    }

    /// Whether pages show no values of records.
    pub(crate) fn masks_values(&self) -> bool {
        self.mask_values
    }

    /// Where pages go.
    pub(crate) fn pages(&self) -> Result<Vec<Destination>, Error> {
        let files = self.report.iter().filter_map(|to| match to {
            ReportTo::Page(file) => Some(file.as_str()),
            ReportTo::Stdout(_) => None,
        });
        files.map(|file| destination("--report", file)).collect()
    }

    /// What `--manifest` says.
    pub(crate) fn manifest(&self) -> Option<&str> {
        self.manifest.as_deref()
    }

    /// The file of `--manifest`.
    pub(crate) fn destination(&self) -> Result<Option<Destination>, Error> {
        self.manifest.as_deref().map(|text| destination("--manifest", text)).transpose()
    }
}

fn destination(option: &'static str, text: &str) -> Result<Destination, Error> {
    let refused = |value: &str, source| Error::Option { option, value: value.to_owned(), source };
    // A refused text may hold credentials, so it is not repeated.
    let parse = |folder: &str| Place::parse(folder).map_err(|source| refused("…", source.into()));
    let no_file = || refused(text, NoFile.into());
    parse(text)?;
    let (folder, key) = text.rsplit_once('/').unwrap_or((".", text));
    let bucket_only = text.contains("://") && !folder.contains("://");
    if key.is_empty() || matches!(key, "." | "..") || bucket_only || folder.ends_with(":/") {
        return Err(no_file());
    }
    let folder = if folder.is_empty() { "/" } else { folder };
    Ok(Destination { place: parse(folder)?, key: key.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("report.json", ".", "report.json")]
    #[case("out/report.json", "out", "report.json")]
    #[case("/report.json", "/", "report.json")]
    #[case("s3://bucket/report.json", "s3://bucket", "report.json")]
    #[case("s3://bucket/a/report.json", "s3://bucket/a", "report.json")]
    fn destinations(#[case] text: &str, #[case] folder: &str, #[case] key: &str) {
        let found = destination("--manifest", text).unwrap();
        assert_eq!((found.place.to_string().as_str(), found.key.as_str()), (folder, key));
    }

    #[rstest]
    #[case("out/")]
    #[case("s3://bucket")]
    #[case("s3://bucket/")]
    #[case("..")]
    #[case("ftp://x/y.json")]
    #[case("s3://key:secret@bucket/x.json")]
    fn no_destinations(#[case] text: &str) {
        let error = destination("--manifest", text).unwrap_err();
        assert_eq!(error.exit_code(), 64);
        assert!(!format!("{error:?} {error}").contains("secret"));
    }
}
