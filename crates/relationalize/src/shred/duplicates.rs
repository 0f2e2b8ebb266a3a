//! Members that a later one of the same object replaces (R15).

use std::collections::HashMap;

use super::tape::{Kind, Token};
use super::text::unescape;

/// The tokens without the members that a later member with the same key replaces, and how many
/// those were. Linear in the size of the record; only records that need it come here.
pub(super) fn last_wins(text: &[u8], tokens: &[Token]) -> (Vec<Token>, u64) {
    let mut kept = Vec::with_capacity(tokens.len());
    let mut dropped = 0;
    copy_value(text, tokens, 0, &mut kept, &mut dropped);
    (kept, dropped)
}

/// Copies the value at `at`, as deep as the parser let records be; returns the token behind it.
fn copy_value(
    text: &[u8],
    tokens: &[Token],
    at: usize,
    kept: &mut Vec<Token>,
    dropped: &mut u64,
) -> usize {
    let Some(token) = tokens.get(at) else { return at + 1 };
    kept.push(*token);
    if !matches!(token.kind, Kind::Object | Kind::Array) {
        return at + 1;
    }
    let Some(extent) = tokens.get(at + 1) else { return at + 1 };
    let behind = extent.start as usize;
    let extent_at = kept.len();
    kept.push(*extent);
    let mut num_kept = 0;
    let mut at = at + 2;
    if token.kind == Kind::Array {
        while at < behind {
            at = copy_value(text, tokens, at, kept, dropped);
            num_kept += 1;
        }
    } else {
        let mut members = Vec::new();
        let mut last = HashMap::new();
        while at < behind {
            last.insert(key(text, tokens, at), at);
            members.push(at);
            at = behind_value(tokens, at + 1);
        }
        for member in members {
            if last.get(&key(text, tokens, member)) != Some(&member) {
                *dropped += 1;
                continue;
            }
            kept.extend(tokens.get(member));
            copy_value(text, tokens, member + 1, kept, dropped);
            num_kept += 1;
        }
    }
    let end = kept.len() as u32;
    if let Some(extent) = kept.get_mut(extent_at) {
        (extent.start, extent.end) = (end, num_kept);
    }
    behind
}

fn key(text: &[u8], tokens: &[Token], at: usize) -> Vec<u8> {
    let Some(token) = tokens.get(at) else { return Vec::new() };
    let raw = token.bytes(text);
    if token.kind != Kind::EscapedString {
        return raw.to_vec();
    }
    let mut key = Vec::new();
    unescape(raw, &mut key);
    key
}

fn behind_value(tokens: &[Token], at: usize) -> usize {
    match tokens.get(at).map(|token| token.kind) {
        Some(Kind::Object | Kind::Array) => {
            tokens.get(at + 1).map_or(at + 1, |extent| extent.start as usize)
        }
        _ => at + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tape::{Limits, Tape};
    use super::*;

    /// R15: the last of several equal keys wins, however they are spelled and however deep.
    #[test]
    fn r15_last_key_wins() {
        let text = br#"{"a":{"x":1},"b":[{"k":1,"\u006b":[2,3]}],"a":{"x":2,"y":3}}"#;
        let mut tape = Tape::default();
        tape.parse(text, 0, Limits::default()).unwrap();
        let (tokens, dropped) = last_wins(text, tape.tokens());
        assert_eq!(dropped, 2);
        let texts: Vec<_> = tokens
            .iter()
            .filter(|token| !matches!(token.kind, Kind::Extent | Kind::Object | Kind::Array))
            .map(|token| std::str::from_utf8(token.bytes(text)).unwrap())
            .collect();
        assert_eq!(texts, ["b", "\\u006b", "2", "3", "a", "x", "2", "y", "3"]);
        assert_eq!(tokens[1].start as usize, tokens.len());
        assert_eq!(tokens[1].end, 2);
    }
}
