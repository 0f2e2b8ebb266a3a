//! Text as JSON.

use crate::shred::text::find_special;

/// Appends `text` as a JSON string, with the shortest escapes that JSON has.
pub(super) fn write_string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut start = 0;
    loop {
        let at = find_special(text, start);
        out.extend_from_slice(text.get(start..at).unwrap_or_default());
        let Some(&byte) = text.get(at) else { break };
        match byte {
            b'"' => out.extend_from_slice(br#"\""#),
            b'\\' => out.extend_from_slice(br"\\"),
            b'\n' => out.extend_from_slice(br"\n"),
            b'\r' => out.extend_from_slice(br"\r"),
            b'\t' => out.extend_from_slice(br"\t"),
            0x08 => out.extend_from_slice(br"\b"),
            0x0c => out.extend_from_slice(br"\f"),
            control => {
                out.extend_from_slice(br"\u00");
                out.extend([control >> 4, control & 15].map(hex_digit));
            }
        }
        start = at + 1;
    }
    out.push(b'"');
}

fn hex_digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'a' + value - 10 }
}

/// Appends JSON that may span lines as one line. A line break in valid JSON is white space, never
/// part of a string.
pub(super) fn write_on_one_line(json: &[u8], out: &mut Vec<u8>) {
    out.extend(json.iter().map(|byte| match byte {
        b'\n' | b'\r' => b' ',
        other => *other,
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn strings_read_back(text in any::<String>(), controls in "[\u{0}-\u{20}\"\\\\é]{0,20}") {
            for text in [text, controls] {
                let mut json = Vec::new();
                write_string(text.as_bytes(), &mut json);
                prop_assert_eq!(serde_json::from_slice::<String>(&json).unwrap(), text);
            }
        }
    }
}
