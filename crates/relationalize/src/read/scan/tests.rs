use rstest::rstest;

use super::*;

/// The events of one value, given `chunk_bytes` at a time, with the offsets behind them.
fn events(input: &[u8], chunk_bytes: usize) -> Vec<(usize, Event)> {
    let mut scanner = Scanner::new(4);
    let mut events = Vec::new();
    let mut offset = 0;
    while offset < input.len() {
        let end = input.len().min(offset + chunk_bytes);
        let (used, event) = scanner.scan(&input[offset..end]);
        offset += used;
        if event != Event::More {
            events.push((offset, event));
        }
        if matches!(event, Event::Done | Event::Broken(_)) {
            break;
        }
    }
    events
}

fn unexpected(expected: &'static str, found: u8) -> Event {
    Event::Doubt(Fault::Unexpected { expected, found })
}

#[rstest]
#[case("{}x", vec![(2, Event::Done)])]
#[case("{\"a\\\"}\":[1,{\"b\":\"]\\\\\"}]} ", vec![(24, Event::Done)])]
#[case("\"x\\\"\"y", vec![(5, Event::Done)])]
#[case("12 ", vec![(2, Event::Done)])]
#[case("tru\"", vec![(3, Event::Done)])]
#[case("12", vec![])]
#[case("[{\"a\"", vec![])]
#[case("[1}", vec![(3, Event::Broken(Fault::Mismatched { found: b'}' }))])]
#[case("{\"a\":1]", vec![(7, Event::Broken(Fault::Mismatched { found: b']' }))])]
#[case("[1 2 3]", vec![(4, unexpected("`,` or `]`", b'2')), (7, Event::Done)])]
#[case("[{\"a\" 1}]", vec![(7, unexpected("`:`", b'1')), (9, Event::Done)])]
#[case("[{1}]", vec![(3, unexpected("a key", b'1')), (5, Event::Done)])]
#[case("[{\"a\":}]", vec![(7, unexpected("a value", b'}')), (8, Event::Done)])]
#[case("[{\"a\":1{}}]", vec![(8, unexpected("`,` or `}`", b'{')), (11, Event::Done)])]
#[case("[\"a\nb\"]", vec![(4, Event::Doubt(Fault::BrokenText)), (7, Event::Done)])]
#[case("[\"a\\\nb\"]", vec![(5, Event::Doubt(Fault::BrokenText)), (8, Event::Done)])]
#[case("[[[[]]]]", vec![(8, Event::Done)])]
#[case("[[[[[]]]]]", vec![(5, Event::Doubt(Fault::TooDeep)), (10, Event::Done)])]
fn a_value_is_followed_to_its_end(#[case] input: &str, #[case] expected: Vec<(usize, Event)>) {
    for chunk_bytes in [1, 2, 3, 5, 7, 64] {
        assert_eq!(events(input.as_bytes(), chunk_bytes), expected, "{chunk_bytes}");
    }
}

#[test]
fn brackets_of_both_kinds_are_told_apart_at_any_depth() {
    let open: String =
        (0..1000).map(|level| if level % 3 == 0 { "[" } else { "{\"a\":" }).collect();
    let close: String =
        (0..1000).rev().map(|level| if level % 3 == 0 { "]" } else { "}" }).collect();
    let input = format!("{open}1{close}");
    let mut scanner = Scanner::new(usize::MAX);
    assert_eq!(scanner.scan(input.as_bytes()), (input.len(), Event::Done));
    assert!(!scanner.is_doubted() && !scanner.is_too_deep());
}

#[test]
fn levels_have_an_end() {
    let input = vec![b'['; MAX_TRACKED_DEPTH + 1];
    let mut scanner = Scanner::new(usize::MAX);
    let (used, event) = scanner.scan(&input);
    assert_eq!((used, event), (input.len(), Event::Broken(Fault::TooDeep)), "R17");
}
