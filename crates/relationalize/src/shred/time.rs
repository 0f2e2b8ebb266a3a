//! Timestamps and dates in strings (R12): RFC 3339, only where nothing is lost.

/// Microseconds since the epoch of an RFC 3339 timestamp.
///
/// `None` for anything else, and for what microseconds in UTC cannot hold: finer fractions, leap
/// seconds. The offset is converted, the instant is what is kept.
pub fn parse_timestamp(text: &[u8]) -> Option<i64> {
    // The common non-timestamp is told apart by two bytes.
    if text.len() < 20 || text.get(4) != Some(&b'-') || text.get(10) != Some(&b'T') {
        return None;
    }
    const PATTERN: &[u8; 19] = b"dddd-dd-ddTdd:dd:dd";
    let matches = text.iter().zip(PATTERN).all(|(byte, pattern)| match pattern {
        b'd' => byte.is_ascii_digit(),
        other => byte == other,
    });
    let seconds = text.get(17..19)?;
    if !matches || seconds > b"59".as_slice() || !has_offset(text.get(19..)?) {
        return None;
    }
    let timestamp: jiff::Timestamp = std::str::from_utf8(text).ok()?.parse().ok()?;
    (timestamp.subsec_nanosecond() % 1_000 == 0).then(|| timestamp.as_microsecond())
}

/// Whether `rest`, what follows the seconds, is an optional fraction and an offset.
fn has_offset(rest: &[u8]) -> bool {
    let offset = match rest.strip_prefix(b".") {
        Some(fraction) => {
            let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits == 0 || digits > 9 {
                return false;
            }
            fraction.get(digits..).unwrap_or_default()
        }
        None => rest,
    };
    match offset {
        b"Z" => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] => [h1, h2, m1, m2].iter().all(|d| d.is_ascii_digit()),
        _ => false,
    }
}

/// Days since the epoch of a date `YYYY-MM-DD`.
pub fn parse_date(text: &[u8]) -> Option<i32> {
    if text.len() != 10 {
        return None;
    }
    let date: jiff::civil::Date = std::str::from_utf8(text).ok()?.parse().ok()?;
    let epoch = jiff::civil::Date::constant(1970, 1, 1);
    Some((date - epoch).get_days())
}

/// The RFC 3339 text of a timestamp, in UTC.
pub fn write_timestamp(microseconds: i64, out: &mut Vec<u8>) {
    if let Ok(timestamp) = jiff::Timestamp::from_microsecond(microseconds) {
        out.extend_from_slice(timestamp.to_string().as_bytes());
    }
}

/// The text of a date.
pub fn write_date(days: i32, out: &mut Vec<u8>) {
    let epoch = jiff::civil::Date::constant(1970, 1, 1);
    if let Ok(date) = epoch.checked_add(jiff::Span::new().days(days)) {
        out.extend_from_slice(date.to_string().as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    /// R12: a string is a timestamp only when it converts without loss.
    #[rstest]
    #[case("1970-01-01T00:00:00Z", Some(0))]
    #[case("1970-01-01T01:00:00+01:00", Some(0))]
    #[case("2024-02-29T12:34:56.789Z", Some(1_709_210_096_789_000))]
    #[case("2024-02-29T12:34:56.789012Z", Some(1_709_210_096_789_012))]
    #[case("2024-02-29T12:34:56.7890123Z", None)]
    #[case("2023-02-29T12:34:56Z", None)]
    #[case("2024-02-29T12:34:60Z", None)]
    #[case("2024-02-29 12:34:56Z", None)]
    #[case("2024-02-29T12:34:56", None)]
    #[case("2024-02-29T12:34:56+0100", None)]
    #[case("2024-02-29", None)]
    fn r12_timestamps(#[case] text: &str, #[case] expected: Option<i64>) {
        assert_eq!(parse_timestamp(text.as_bytes()), expected);
    }

    #[test]
    fn dates_read_and_write() {
        for (text, days) in [("1970-01-02", 1), ("2024-02-29", 19_782), ("1969-12-31", -1)] {
            assert_eq!(parse_date(text.as_bytes()), Some(days));
            let mut out = Vec::new();
            write_date(days, &mut out);
            assert_eq!(out, text.as_bytes());
        }
        assert_eq!(parse_date(b"2023-02-29"), None);
    }
}
