//! The ways in which a secret can show in a text: as it is, or encoded by what it went through.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

use super::redact::MIN_CHARACTERS_IN_TEXT;

/// The shortest piece of base64, in characters, that is known inside a longer one. Shorter pieces turn up
/// by chance.
const MIN_PIECE_CHARACTERS: usize = 8;

/// All forms of a value that are looked for.
///
/// | form | where it comes from |
/// |---|---|
/// | raw | headers, messages |
/// | percent-encoded: RFC 3986, form (`+`), JavaScript, Python, and the URL standard's query, path, user, fragment; upper and lower hex | URLs, form bodies |
/// | base64: standard and URL-safe, padded or not, alone or at any place inside a longer base64 (all three alignments); each percent-encoded too | Basic, tokens |
/// | JSON string: as serde, with `\/`, with `\u` for all beyond ASCII | bodies |
/// | Rust's escapes | `Debug` of errors |
pub(super) fn forms(value: &str) -> BTreeSet<String> {
    let mut forms = BTreeSet::from([value.to_owned()]);
    percent_forms(value, &mut forms);
    // Parsers of URLs drop these without a word.
    percent_forms(&value.replace(['\t', '\n', '\r'], ""), &mut forms);
    forms.retain(|form| form.chars().count() >= MIN_CHARACTERS_IN_TEXT);
    json_forms(value, &mut forms);
    base64_forms(value, &mut forms);
    base64_pieces(value.as_bytes(), &mut forms);
    forms
}

/// The whole value in base64.
pub(super) fn base64_forms(value: &str, forms: &mut BTreeSet<String>) {
    for engine in [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD] {
        add_base64(engine.encode(value), forms);
    }
}

/// What is certain of the value's base64 when other bytes come before and behind it.
fn base64_pieces(value: &[u8], forms: &mut BTreeSet<String>) {
    for before in 0..3 {
        let mut bytes = vec![0; before];
        bytes.extend_from_slice(value);
        // A character holds 6 bits. Those that share bits with a neighbour are left out.
        let (first, end) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            let encoded = engine.encode(&bytes);
            if let Some(piece) = encoded.get(first..end)
                && piece.len() >= MIN_PIECE_CHARACTERS
            {
                add_base64(piece.to_owned(), forms);
            }
        }
    }
}

fn add_base64(encoded: String, forms: &mut BTreeSet<String>) {
    for upper in [true, false] {
        forms.insert(percent_encode(&encoded, is_unreserved, "%20", upper));
    }
    forms.insert(encoded.replace('/', "\\/"));
    forms.insert(encoded);
}

/// Which bytes stay as they are, and what becomes of a blank.
type Way = (fn(u8) -> bool, &'static str);

fn percent_forms(value: &str, forms: &mut BTreeSet<String>) {
    // The sets of <https://url.spec.whatwg.org/#percent-encoded-bytes>, as what is left as it is.
    fn visible(byte: u8) -> bool {
        (0x21..=0x7e).contains(&byte)
    }
    fn fragment(byte: u8) -> bool {
        visible(byte) && !b"\"<>`".contains(&byte)
    }
    fn query(byte: u8) -> bool {
        visible(byte) && !b"\"#<>".contains(&byte)
    }
    fn special_query(byte: u8) -> bool {
        query(byte) && byte != b'\''
    }
    fn path(byte: u8) -> bool {
        query(byte) && !b"?`{}".contains(&byte)
    }
    fn path_with_caret(byte: u8) -> bool {
        path(byte) && byte != b'^'
    }
    fn path_segment(byte: u8) -> bool {
        path(byte) && !b"/%".contains(&byte)
    }
    fn special_path_segment(byte: u8) -> bool {
        path_segment(byte) && byte != b'\\'
    }
    fn user(byte: u8) -> bool {
        path(byte) && !b"/:;=@[\\]^|".contains(&byte)
    }
    fn nothing_special(byte: u8) -> bool {
        byte.is_ascii_alphanumeric()
    }
    fn form(byte: u8) -> bool {
        byte.is_ascii_alphanumeric() || b"*-._".contains(&byte)
    }
    fn javascript(byte: u8) -> bool {
        is_unreserved(byte) || b"!*'()".contains(&byte)
    }
    fn python(byte: u8) -> bool {
        is_unreserved(byte) || byte == b'/'
    }
    let ways: [Way; 15] = [
        (nothing_special, "%20"),
        (nothing_special, "+"),
        (is_unreserved, "%20"),
        (is_unreserved, "+"),
        (form, "+"),
        (javascript, "%20"),
        (python, "%20"),
        (fragment, "%20"),
        (query, "%20"),
        (special_query, "%20"),
        (path, "%20"),
        (path_with_caret, "%20"),
        (path_segment, "%20"),
        (special_path_segment, "%20"),
        (user, "%20"),
    ];
    for (keeps, space) in ways {
        for upper in [true, false] {
            forms.insert(percent_encode(value, keeps, space, upper));
        }
    }
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn percent_encode(value: &str, keeps: fn(u8) -> bool, space: &str, upper: bool) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        // Writing to a `String` cannot fail.
        let _ = match byte {
            b' ' => encoded.write_str(space),
            _ if keeps(byte) => encoded.write_char(byte.into()),
            _ if upper => write!(encoded, "%{byte:02X}"),
            _ => write!(encoded, "%{byte:02x}"),
        };
    }
    encoded
}

fn json_forms(value: &str, forms: &mut BTreeSet<String>) {
    let quoted = serde_json::Value::from(value).to_string();
    let plain = quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned();
    let mut escaped = vec![plain.clone()];
    for upper in [true, false] {
        escaped.push(ascii_only(&plain, upper));
    }
    for text in escaped {
        forms.insert(text.replace('/', "\\/"));
        forms.insert(text);
    }
    let printed = format!("{value:?}");
    forms.insert(printed.get(1..printed.len() - 1).unwrap_or_default().to_owned());
    forms.insert(value.escape_debug().to_string());
    forms.insert(value.escape_default().to_string());
}

fn ascii_only(text: &str, upper: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii() {
            escaped.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            let _ = match upper {
                true => write!(escaped, "\\u{unit:04X}"),
                false => write!(escaped, "\\u{unit:04x}"),
            };
        }
    }
    escaped
}
