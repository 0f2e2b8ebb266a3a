//! Tells the framing of an object from its first MiB (R2).
//!
//! | first byte, first document | framing |
//! |---|---|
//! | `[` | array |
//! | ends on its line, and nothing follows there | lines |
//! | it or one of the next few spans several lines, sound | documents |
//! | more follows on its line; broken; longer than the window | lines when at least half of the lines run from `{` to `}`, else documents |
//! | the window has no whole line, or the line-like lines are few and the name says lines | what the name says |

use std::io::{self, Read};

use memchr::memchr;

use super::super::scan::{Event, Scanner, is_space, starts_value};
use super::window::Window;
use super::{FrameOptions, NameHint, RecordsPath};

/// Bytes that decide.
const WINDOW_BYTES: usize = 1024 * 1024;

/// Documents that are looked at, at most.
const MAX_DOCUMENTS: usize = 16;

/// Non-blank lines below which the lines of a broken object prove nothing.
const MIN_LINES: usize = 3;

/// How the records of an object are laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Framing {
    Lines,
    Documents,
    Array,
    Path(RecordsPath),
}

/// Skips the white space at the start of the object and recognises what follows.
pub(super) fn framing<R: Read>(
    window: &mut Window<R>,
    options: &FrameOptions,
) -> io::Result<Framing> {
    loop {
        let rest = window.rest();
        let blank = rest.iter().take_while(|&&byte| is_space(byte)).count();
        let found = blank < rest.len();
        window.advance(blank);
        if found || !window.fill(window.offset())? {
            break;
        }
    }
    let whole = !window.ensure(window.offset(), WINDOW_BYTES, window.offset())?;
    let rest = window.rest();
    // However much was read ahead, the same bytes decide.
    let (sample, whole) = match rest.get(..WINDOW_BYTES) {
        Some(sample) => (sample, whole && rest.len() == WINDOW_BYTES),
        None => (rest, whole),
    };
    Ok(framing_of(sample, whole, options))
}

/// The framing of an object that starts with `sample`, or is it when `whole`.
fn framing_of(sample: &[u8], whole: bool, options: &FrameOptions) -> Framing {
    let Some(&first) = sample.first() else {
        return Framing::Lines;
    };
    if first == b'[' {
        return Framing::Array;
    }
    match layout_of_first(sample, whole, options.max_depth) {
        Layout::OnItsLine => Framing::Lines,
        Layout::OverLines => Framing::Documents,
        Layout::Unclear => by_lines(sample, whole, options.hint),
    }
}

/// How the first documents of a sample lie on its lines.
enum Layout {
    /// Each has a line of its own.
    OnItsLine,
    /// One spans several lines.
    OverLines,
    Unclear,
}

/// Looks at the first document, and at a few more: a pretty printer leaves `{}` on one line.
fn layout_of_first(sample: &[u8], whole: bool, max_depth: usize) -> Layout {
    let mut layout = Layout::Unclear;
    let mut scanner = Scanner::new(max_depth);
    let mut start = 0;
    for _ in 0..MAX_DOCUMENTS {
        start += sample[start..].iter().take_while(|&&byte| is_space(byte)).count();
        if !sample.get(start).is_some_and(|&byte| starts_value(byte)) {
            return layout;
        }
        scanner.restart();
        let mut end = start;
        loop {
            let (used, event) = scanner.scan(&sample[end..]);
            end += used;
            match event {
                Event::Doubt(_) => {}
                Event::Done => break,
                Event::More if whole && scanner.is_whole_at_end() => break,
                Event::More | Event::Broken(_) => return layout,
            }
        }
        if memchr(b'\n', &sample[start..end]).is_some() {
            // A string that runs over a line break makes any brackets match.
            return match scanner.is_doubted() && !scanner.is_too_deep() {
                true => layout,
                false => Layout::OverLines,
            };
        }
        let behind = sample[end..].iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\r'));
        layout = match behind {
            Some(b'\n') => Layout::OnItsLine,
            None if whole => Layout::OnItsLine,
            _ => return layout,
        };
        start = end;
    }
    layout
}

/// Looks at the lines alone.
fn by_lines(sample: &[u8], whole: bool, hint: NameHint) -> Framing {
    let (mut num_lines, mut num_records) = (0, 0);
    let mut rest = sample;
    while !rest.is_empty() {
        let line = match memchr(b'\n', rest) {
            Some(index) => {
                let line = &rest[..index];
                rest = &rest[index + 1..];
                line
            }
            None if whole => std::mem::take(&mut rest),
            None => break,
        };
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.iter().all(|&byte| is_space(byte)) {
            continue;
        }
        num_lines += 1;
        if line.starts_with(b"{") && line.ends_with(b"}") {
            num_records += 1;
        }
    }
    if num_lines > 0 && num_records * 2 >= num_lines
        || num_lines < MIN_LINES && hint == NameHint::Lines
    {
        Framing::Lines
    } else {
        Framing::Documents
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("", true, Framing::Lines)]
    #[case("[1]", true, Framing::Array)]
    #[case("{}", true, Framing::Lines)]
    #[case("{} \r\n", true, Framing::Lines)]
    #[case("{\"a\":1}\n{\"a\":2}\n", true, Framing::Lines)]
    #[case("{\"a\":1}{\"a\":2}\n", true, Framing::Lines)]
    #[case("{\"a\":1}{\"a\":2}", false, Framing::Documents)]
    #[case("{\"a\":1}", false, Framing::Documents)]
    #[case("{\n\"a\":1}\n{\"a\":2}\n", true, Framing::Documents)]
    #[case("{\n\"a\":1\n}", true, Framing::Documents)]
    #[case("{}\n\n{\n\"a\":1\n}", true, Framing::Documents)]
    #[case("{}\n{\"a\":1\n}}\n{\"a\":[1}", true, Framing::Documents)]
    #[case("{}\n{\"a\":\"\n}\n{\"a\":\"1\"}", true, Framing::Lines)]
    #[case("{\"a\":[1}\n{\"a\":2}\n{\"a\":3}\n", true, Framing::Lines)]
    #[case("{\"a\":\"x\n{\"a\":\"b\"}\n{\"a\":\"c\"}\n", true, Framing::Lines)]
    #[case("{\"a\":\"x\n  \"b\":\"b\"}\n{\n\"a\":\"c\"}\n", true, Framing::Documents)]
    #[case("{\n \"a\": [\n  1\n }\n}\n", true, Framing::Documents)]
    #[case("1\n2\n", true, Framing::Lines)]
    #[case("1", true, Framing::Lines)]
    #[case("<html>\n<body>", true, Framing::Lines)]
    #[case("}\n{}\n{}", true, Framing::Lines)]
    fn content_decides(#[case] sample: &str, #[case] whole: bool, #[case] expected: Framing) {
        let options = FrameOptions::default();
        assert_eq!(framing_of(sample.as_bytes(), whole, &options), expected, "R2");
    }

    #[rstest]
    #[case("{\"a\":", true, Framing::Lines)]
    #[case("{\"a\":1,", false, Framing::Lines)]
    #[case("{\n \"a\": 1,\n \"b\"", true, Framing::Documents)]
    #[case("{\n \"a\": 1\n}\n", true, Framing::Documents)]
    fn the_name_decides_ties(#[case] sample: &str, #[case] whole: bool, #[case] expected: Framing) {
        let options = FrameOptions { hint: NameHint::Lines, ..FrameOptions::default() };
        assert_eq!(framing_of(sample.as_bytes(), whole, &options), expected, "R2");
    }
}
