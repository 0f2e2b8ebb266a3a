//! Stores that nobody answers for here: their addresses are understood, and what is missing is named.

use std::time::{Duration, Instant};

use rstest::rstest;

use crate::engine::{engine, stderr};

/// An address that cannot be: 64, or 77 when it holds credentials; 78 when the environment lacks a setting.
#[rstest]
#[case::azure_without_account("az://container/raw", 78, "Account must be specified")]
#[case::password_in_url("s3://user:password@bucket/raw", 77, "must not hold credentials")]
#[case::unknown("ftp://host/raw", 64, "unknown store `ftp://`")]
#[case::no_bucket("s3:///raw", 64, "is not a place")]
fn what_is_missing_is_named(#[case] url: &str, #[case] code: i32, #[case] expected: &str) {
    let began = Instant::now();
    let folder = tempfile::tempdir().unwrap();
    let output = engine().args(["relationalize", url]).arg(folder.path()).output().unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(text.contains(expected), "{text}");
    assert!(!text.contains("password@"), "{text}");
    assert!(began.elapsed() < Duration::from_secs(60));
}

/// Settings that are wrong are the environment's fault: 78, from the builder of the right store.
#[rstest]
#[case::gcs("gs://bucket/raw", "GOOGLE_APPLICATION_CREDENTIALS", "/no/such/key.json")]
#[case::gcs_service_account("gs://bucket/raw", "GOOGLE_SERVICE_ACCOUNT", "/no/such/key.json")]
#[case::azure("az://container/raw", "AZURE_STORAGE_ACCOUNT_KEY", "not base64!")]
#[case::data_lake(
    "abfss://container@account.dfs.core.windows.net/raw",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "not base64!"
)]
fn wrong_settings_are_named(#[case] url: &str, #[case] variable: &str, #[case] value: &str) {
    let folder = tempfile::tempdir().unwrap();
    let output = engine()
        .env("AZURE_STORAGE_ACCOUNT_NAME", "account")
        .env(variable, value)
        .args(["relationalize", url])
        .arg(folder.path())
        .output()
        .unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(78), "{text}");
    let scheme = url.split_inclusive("://").next().unwrap();
    assert!(text.contains(&format!("connecting to `{scheme}")), "{text}");
}
