//! The vault over environment and files.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rstest::rstest;

use super::*;

fn reference(text: &str) -> SecretRef {
    text.parse().unwrap()
}

fn vault(variables: &[(&str, &str)]) -> Vault {
    let variables: HashMap<String, String> =
        variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Vault::new(Redactor::new())
        .with_environment(move |name| variables.get(name).map(|value| value.clone().into()))
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

#[rstest]
#[case("env:PLAIN", "pl41n-value")]
#[case("env:JSON#a.b", "j50n-value")]
#[tokio::test]
async fn i2_variables_are_read_and_known_to_the_redactor(#[case] text: &str, #[case] value: &str) {
    let vault = vault(&[("PLAIN", "pl41n-value"), ("JSON", r#"{"a":{"b":"j50n-value"}}"#)]);

    let secret = vault.get(&reference(text)).await.unwrap();

    assert_eq!(secret.expose(), value);
    assert_eq!(vault.redactor().clean(&format!("x={value}")), "x=***");
}

#[rstest]
#[case::unset("env:NONE", FaultKind::Missing, "`env:NONE`: the variable is not set")]
#[case::empty("env:EMPTY", FaultKind::Missing, "`env:EMPTY`: it is empty")]
#[case::empty_key("env:JSON#e", FaultKind::Missing, "`env:JSON#e`: it is empty")]
#[case::no_key("env:JSON#z", FaultKind::Missing, "there is no key `z`: there are `a`, `e`")]
#[case::no_json("env:PLAIN#z", FaultKind::Config, "the text is not JSON (line 1, column 1)")]
#[case::no_file("file:none.txt", FaultKind::Missing, "reading the secret `file:none.txt`: No such")]
#[tokio::test]
async fn i2_what_is_not_there_is_named_without_values(
    #[case] text: &str,
    #[case] kind: FaultKind,
    #[case] says: &str,
) {
    let folder = tempfile::tempdir().unwrap();
    let json = r#"{"a":"s3cr3t","e":""}"#;
    let vault =
        vault(&[("EMPTY", ""), ("PLAIN", "s3cr3t"), ("JSON", json)]).with_folder(folder.path());

    let error = vault.get(&reference(text)).await.unwrap_err();

    let message = chain(&error);
    assert!(message.contains(says), "{message}");
    assert!(!message.contains("s3cr3t") && !format!("{error:?}").contains("s3cr3t"), "{message}");
    assert_eq!((error.kind(), error.is_retryable()), (kind, false));
}

#[tokio::test]
async fn i2_a_secret_is_fetched_once_per_name_and_again_after_renew() {
    let reads = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&reads);
    let vault = Arc::new(Vault::new(Redactor::new()).with_environment(move |_| {
        let number = counted.fetch_add(1, Ordering::Relaxed);
        Some(format!(r#"{{"a":"a-{number}","b":"b-{number}"}}"#).into())
    }));

    assert_eq!(vault.get(&reference("env:X#a")).await.unwrap().expose(), "a-0");
    assert_eq!(vault.get(&reference("env:X#b")).await.unwrap().expose(), "b-0");
    vault.renew(&reference("env:X#a")).await;
    assert_eq!(vault.get(&reference("env:X#b")).await.unwrap().expose(), "b-1");
    assert_eq!(vault.get(&reference("env:X#a")).await.unwrap().expose(), "a-1");
    assert_eq!(reads.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn i2_a_file_is_read_from_the_folder_and_loses_its_last_newline() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "t0k3n-t0k3n\n").unwrap();
    let vault = vault(&[]).with_folder(folder.path());

    assert_eq!(vault.get(&reference("file:token")).await.unwrap().expose(), "t0k3n-t0k3n");
}

#[rstest]
#[case::no_text(b"\xff\xfe", "it is no UTF-8 text")]
#[case::large(&[b'x'; 1024 * 1024 + 1], "it has more than 1048576 bytes")]
#[tokio::test]
async fn i2_a_file_that_is_no_secret_is_refused(#[case] bytes: &[u8], #[case] says: &str) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), bytes).unwrap();
    let vault = vault(&[]).with_folder(folder.path());

    let error = vault.get(&reference("file:token")).await.unwrap_err();

    assert!(error.to_string().ends_with(says), "{error}");
    assert_eq!(error.kind(), FaultKind::Config);
}

#[tokio::test]
async fn i3_a_value_in_a_file_is_replaced_and_all_else_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.json");
    std::fs::write(&path, "{ \"id\": 1.0,\n  \"t\": \"0ld-value\" }\n").unwrap();
    let vault = vault(&[]).with_folder(folder.path());
    let t = reference("file:x.json#t");
    assert_eq!(vault.get(&t).await.unwrap().expose(), "0ld-value");

    vault.put(&t, &Secret::new("n3w-value")).await.unwrap();

    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text, "{ \"id\": 1.0,\n  \"t\": \"n3w-value\" }\n");
    assert_eq!(vault.get(&t).await.unwrap().expose(), "n3w-value");
    assert_eq!(vault.redactor().clean("n3w-value, 0ld-value"), "***, ***");
}

#[tokio::test]
async fn i3_keys_stored_at_the_same_time_are_all_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.json");
    std::fs::write(&path, r#"{"k0":"-","k1":"-","k2":"-","k3":"-","k4":"-"}"#).unwrap();
    let vault = Arc::new(vault(&[]).with_folder(folder.path()));
    let mut puts = Vec::new();
    for number in 0..5 {
        let vault = Arc::clone(&vault);
        puts.push(tokio::spawn(async move {
            let key = reference(&format!("file:x.json#k{number}"));
            vault.put(&key, &Secret::new(format!("v{number}"))).await
        }));
    }
    for put in puts {
        put.await.unwrap().unwrap();
    }

    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text, r#"{"k0":"v0","k1":"v1","k2":"v2","k3":"v3","k4":"v4"}"#);
}

#[tokio::test]
async fn i3_a_variable_cannot_be_stored_and_says_so() {
    let error = vault(&[]).put(&reference("env:X"), &Secret::new("n3w-value")).await.unwrap_err();

    assert_eq!(
        error.to_string(),
        "storing the secret `env:X`: an environment variable cannot be stored; a value that changes has to be in `aws-sm://`, `ssm://` or `file:`"
    );
    assert_eq!(error.kind(), FaultKind::Config);
}

#[test]
fn i2_a_vault_prints_no_values() {
    assert_eq!(format!("{:?}", vault(&[("A", "s3cr3t")])), "Vault { folder: \"\", .. }");
}
