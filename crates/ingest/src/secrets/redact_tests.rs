//! What the redactor finds, by table and by chance.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rstest::rstest;
use serde_json::json;
use url::Url;

use super::*;

fn redactor(values: &[&str]) -> Redactor {
    let redactor = Redactor::new();
    for value in values {
        redactor.learn(&Secret::new(*value));
    }
    redactor
}

#[rstest]
#[case::raw("k=s3c/r t+ü&", "k=***&")]
#[case::query("k=s3c/r%20t+%C3%BC&", "k=***&")]
#[case::form("k=s3c%2Fr+t%2B%C3%BC&", "k=***&")]
#[case::form_lower("k=s3c%2fr+t%2b%c3%bc&", "k=***&")]
#[case::strict("k=s3c%2Fr%20t%2B%C3%BC&", "k=***&")]
#[case::json(r#"{"k":"s3c/r t+ü"}"#, r#"{"k":"***"}"#)]
#[case::json_slash(r#"{"k":"s3c\/r t+ü"}"#, r#"{"k":"***"}"#)]
#[case::json_ascii(r#"{"k":"s3c/r t+\u00fc"}"#, r#"{"k":"***"}"#)]
#[case::json_ascii_upper(r#"{"k":"s3c\/r t+\u00FC"}"#, r#"{"k":"***"}"#)]
#[case::base64("k czNjL3IgdCvDvA== x", "k *** x")]
#[case::base64_bare("k czNjL3IgdCvDvA x", "k *** x")]
#[case::base64_in_a_url("k=czNjL3IgdCvDvA%3D%3D&", "k=***&")]
#[case::twice("s3c/r t+ü, s3c/r t+ü", "***, ***")]
#[case::none("nothing here", "nothing here")]
fn i2_each_form_of_a_value_is_found(#[case] text: &str, #[case] cleaned: &str) {
    assert_eq!(redactor(&["s3c/r t+ü"]).clean(text), cleaned);
}

#[test]
fn i2_what_holds_no_secret_is_not_copied() {
    let redactor = redactor(&["s3cr3t-value"]);

    assert!(matches!(redactor.clean("nothing here"), Cow::Borrowed(_)));
    assert_eq!(redactor.clean_bytes(b"nothing here"), None);
    assert!(matches!(Redactor::new().clean("s3cr3t-value"), Cow::Borrowed(_)));
}

#[rstest]
#[case::short("abc", "abc", "abc")]
#[case::four("abcd", "*** x", "abcd x")]
#[case::seven("abcdefg", "*** x", "abcdefg x")]
#[case::eight("abcdefgh", "*** x", "*** x")]
#[case::number("123456789", "*** x", "123456789 x")]
fn i2_short_values_are_left_in_records_and_shorter_ones_in_texts(
    #[case] value: &str,
    #[case] text: &str,
    #[case] record: &str,
) {
    let redactor = redactor(&[value]);
    let given = if value == "abc" { value.to_owned() } else { format!("{value} x") };

    assert_eq!(redactor.clean(&given), text);
    let cleaned = redactor.clean_bytes(given.as_bytes()).unwrap_or(given.into_bytes());
    assert_eq!(String::from_utf8(cleaned).unwrap(), record);
}

#[test]
fn i2_secrets_that_share_text_leave_no_rest() {
    let redactor = redactor(&["abcd-1234", "1234-wxyz", "abcd-1234-wxyz-long"]);

    assert_eq!(redactor.clean("-abcd-1234-wxyz-"), "-***-");
    assert_eq!(redactor.clean("-abcd-1234-wxyz-long-"), "-***-");
    assert_eq!(redactor.clean("abcd-1234abcd-1234"), "***");
}

#[test]
fn i2_basic_credentials_are_found_whole() {
    let redactor = Redactor::new();
    redactor.learn_basic(&Secret::new("me"), &Secret::new("p4s"));

    let header = STANDARD.encode("me:p4s");

    assert_eq!(redactor.clean(&format!("Basic {header}")), "Basic ***");
    assert_eq!(redactor.clean("me p4s"), "me p4s");
}

#[test]
fn i2_records_keep_their_bytes_around_a_secret() {
    let redactor = redactor(&["s3cr3t-value"]);

    let cleaned = redactor.clean_bytes(b"{\"a\":\"\xff s3cr3t-value\"}").unwrap();

    assert_eq!(cleaned, b"{\"a\":\"\xff ***\"}");
}

#[test]
fn i2_copies_share_what_they_learn() {
    let redactor = Redactor::new();
    let copy = redactor.clone();

    copy.learn(&Secret::new("s3cr3t-value"));

    assert_eq!(redactor.clean("s3cr3t-value"), "***");
    assert_eq!(format!("{redactor:?}"), "Redactor { .. }");
}

/// Xorshift, so that a failure comes again.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    fn text(&mut self, least: usize, most: usize) -> String {
        const ALPHABET: &str =
            "abcXYZ0189-_.~!*'()+/=&?#%$@:;,<>[]{}|^`\"\\ \n\tüß\u{7f}\u{2028}日🦀";
        let alphabet: Vec<char> = ALPHABET.chars().collect();
        let length = least + self.below(most - least + 1);
        (0..length).map(|_| alphabet[self.below(alphabet.len())]).collect()
    }
}

/// The ways in which a program that knows nothing of redaction writes a value.
fn spellings(value: &str) -> Vec<String> {
    let mut url = Url::parse("https://x.example.com/").unwrap();
    url.query_pairs_mut().append_pair("k", value);
    let pairs = url.query().unwrap()[2..].to_owned();
    url.set_query(Some(value));
    let query = url.query().unwrap().to_owned();
    url.path_segments_mut().unwrap().push(value);
    let path = url.path()[1..].to_owned();
    url.set_fragment(Some(value));
    let fragment = url.fragment().unwrap().to_owned();
    url.set_username(value).unwrap();
    let user = url.username().to_owned();
    let (json, printed) = (json!(value).to_string(), format!("{value:?}"));
    vec![
        value.to_owned(),
        pairs,
        query,
        path,
        fragment,
        user,
        utf8_percent_encode(value, NON_ALPHANUMERIC).to_string(),
        json[1..json.len() - 1].to_owned(),
        printed[1..printed.len() - 1].to_owned(),
        STANDARD.encode(value),
        STANDARD_NO_PAD.encode(value),
        URL_SAFE.encode(value),
        URL_SAFE_NO_PAD.encode(value),
    ]
}

#[test]
fn i2_by_chance_no_spelling_of_a_secret_gets_through() {
    let mut chance = Chance(0x5eed_50d4);
    for _ in 0..60 {
        let value = chance.text(8, 40);
        let redactor = redactor(&[&value]);
        for spelling in spellings(&value) {
            let (before, behind) = (chance.text(0, 5), chance.text(0, 5));
            let text = format!("{before}<{spelling}>{behind}");

            let cleaned = redactor.clean(&text);

            assert!(!cleaned.contains(&spelling), "{value:?} as {spelling:?} in {cleaned:?}");
            let record = redactor.clean_bytes(text.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(record).unwrap(), cleaned, "{value:?}");
        }
    }
}

#[test]
fn i2_by_chance_a_secret_inside_longer_base64_leaves_only_its_edges() {
    let mut chance = Chance(0x0ba5_e640);
    for _ in 0..60 {
        let value = chance.text(12, 40);
        let redactor = redactor(&[&value]);
        let (before, behind) = (chance.text(0, 9), chance.text(0, 9));
        for engine in [STANDARD, URL_SAFE] {
            let encoded = engine.encode(format!("{before}{value}{behind}"));

            let cleaned = redactor.clean(&encoded);

            // A character at either edge may stay, as it holds bits of a neighbour too.
            let rest = cleaned.len() - "***".len();
            let neighbours = (before.len() + behind.len()).div_ceil(3) * 4;
            assert!(cleaned.contains("***"), "{value:?} in {encoded}");
            assert!(rest <= neighbours + 8, "{value:?}: {cleaned} of {encoded}");
        }
    }
}
