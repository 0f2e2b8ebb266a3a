//! Cursors (I5): values that grow with every change of a record, and the durations between them.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};

use crate::shown;
use crate::source::document::CursorFormat;

/// A cursor's value. Values of one stream are of one kind and are ordered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cursor {
    /// A moment.
    Time(Timestamp),
    /// A number.
    Integer(i128),
    /// A text, in the order of its bytes.
    Text(String),
}

/// A text that is no cursor of the declared format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct CursorError {
    text: String,
    expected: &'static str,
}

impl CursorFormat {
    /// The cursor that a text of this format says.
    pub fn parse(&self, text: &str) -> Result<Cursor, CursorError> {
        let wrong = |expected| CursorError { text: shown(text), expected };
        match self {
            CursorFormat::Rfc3339 => {
                moment(text).map(Cursor::Time).ok_or_else(|| wrong("a time (RFC 3339)"))
            }
            CursorFormat::Date => text
                .parse::<Date>()
                .ok()
                .and_then(midnight)
                .or_else(|| moment(text))
                .map(Cursor::Time)
                .ok_or_else(|| wrong("a day such as 2024-05-01")),
            CursorFormat::UnixS => seconds(text)
                .and_then(|(seconds, nanos)| Timestamp::new(seconds, nanos).ok())
                .or_else(|| moment(text))
                .map(Cursor::Time)
                .ok_or_else(|| wrong("a number of seconds since 1970")),
            CursorFormat::UnixMs => text
                .parse()
                .ok()
                .and_then(|ms| Timestamp::from_millisecond(ms).ok())
                .or_else(|| moment(text))
                .map(Cursor::Time)
                .ok_or_else(|| wrong("a number of milliseconds since 1970")),
            CursorFormat::Integer => {
                text.parse().map(Cursor::Integer).map_err(|_| wrong("a whole number"))
            }
            CursorFormat::Text => Ok(Cursor::Text(text.to_owned())),
        }
    }

    /// The text of a cursor, as requests and states have it. Coarse formats round down.
    pub fn text(&self, cursor: &Cursor) -> String {
        match (self, cursor) {
            (CursorFormat::Date, Cursor::Time(time)) => {
                time.to_zoned(TimeZone::UTC).date().to_string()
            }
            (CursorFormat::UnixS, Cursor::Time(time)) => {
                time.as_nanosecond().div_euclid(1_000_000_000).to_string()
            }
            (CursorFormat::UnixMs, Cursor::Time(time)) => {
                time.as_nanosecond().div_euclid(1_000_000).to_string()
            }
            (_, Cursor::Time(time)) => time.to_string(),
            (_, Cursor::Integer(number)) => number.to_string(),
            (_, Cursor::Text(text)) => text.clone(),
        }
    }

    /// A cursor as requests say it: rounded down to what texts of this format hold, and of a time's text to whole
    /// seconds, since many APIs look no closer, or refuse fractions.
    pub fn as_asked(&self, cursor: Cursor) -> Cursor {
        let cursor = match (cursor, self) {
            (Cursor::Time(time), CursorFormat::Rfc3339) => {
                let second = time.as_nanosecond().div_euclid(1_000_000_000);
                let whole = i64::try_from(second).ok().and_then(|s| Timestamp::from_second(s).ok());
                Cursor::Time(whole.unwrap_or(time))
            }
            (cursor, _) => cursor,
        };
        self.parse(&self.text(&cursor)).unwrap_or(cursor)
    }

    /// Whether cursors are moments, so that durations can be added.
    pub fn is_time(&self) -> bool {
        !matches!(self, CursorFormat::Integer | CursorFormat::Text)
    }
}

impl Cursor {
    /// This much earlier; cursors that are no moments stay.
    #[must_use]
    pub fn back(&self, by: SignedDuration) -> Cursor {
        match self {
            Cursor::Time(time) => Cursor::Time(time.checked_sub(by).unwrap_or(Timestamp::MIN)),
            other => other.clone(),
        }
    }
}

/// The lowest and the highest of some cursors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CursorRange {
    /// The lowest.
    pub lowest: Cursor,
    /// The highest.
    pub highest: Cursor,
}

impl CursorRange {
    /// Makes a range, where there is none yet, or wider, so that it holds a cursor.
    pub fn include(range: &mut Option<Self>, cursor: &Cursor) {
        match range {
            None => *range = Some(Self { lowest: cursor.clone(), highest: cursor.clone() }),
            Some(range) if *cursor < range.lowest => range.lowest = cursor.clone(),
            Some(range) if *cursor > range.highest => range.highest = cursor.clone(),
            Some(_) => {}
        }
    }

    /// As [`CursorRange::include`], of all that another range holds.
    pub fn join(range: &mut Option<Self>, other: Option<Self>) {
        if let Some(other) = other {
            Self::include(range, &other.lowest);
            Self::include(range, &other.highest);
        }
    }
}

/// A moment: RFC 3339, or without a zone, which is then UTC, or a day.
fn moment(text: &str) -> Option<Timestamp> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    let civil = text.parse::<DateTime>().ok()?;
    civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

fn midnight(date: Date) -> Option<Timestamp> {
    date.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

/// Seconds and nanoseconds of a decimal number.
fn seconds(text: &str) -> Option<(i64, i32)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nanos: i32 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    Some((seconds, if whole.starts_with('-') { -nanos } else { nanos }))
}

/// The duration that a text says: `30s`, `5m`, `PT5M`, `P30D`. A day has 24 hours.
///
/// # Errors
///
/// The text is no duration, or one whose length depends on the calendar.
pub fn duration(text: &str) -> Result<SignedDuration, DurationError> {
    let wrong = || DurationError { text: shown(text) };
    let span: Span = text.trim().parse().map_err(|_| wrong())?;
    let length = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    if length.is_negative() { Err(wrong()) } else { Ok(length) }
}

/// A text that is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a duration such as `30s`, `5m`, `PT1H` or `P30D` (months and years have no length)"
)]
pub struct DurationError {
    text: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(CursorFormat::Rfc3339, "2024-05-01T12:00:00Z", "2024-05-01T12:00:00Z")]
    #[case(CursorFormat::Rfc3339, "2024-05-01T14:00:00.5+02:00", "2024-05-01T12:00:00.5Z")]
    #[case(CursorFormat::Rfc3339, "2024-05-01 12:00:00", "2024-05-01T12:00:00Z")]
    #[case(CursorFormat::Rfc3339, "2024-05-01", "2024-05-01T00:00:00Z")]
    #[case(CursorFormat::Date, "2024-05-01", "2024-05-01")]
    #[case(CursorFormat::Date, "2024-05-01T23:00:00Z", "2024-05-01")]
    #[case(CursorFormat::UnixS, "1714564800", "1714564800")]
    #[case(CursorFormat::UnixS, "1714564800.25", "1714564800")]
    #[case(CursorFormat::UnixS, "2024-05-01T12:00:00Z", "1714564800")]
    #[case(CursorFormat::UnixMs, "1714564800123", "1714564800123")]
    #[case(CursorFormat::Integer, "42", "42")]
    #[case(CursorFormat::Text, "00042-a", "00042-a")]
    fn i5_cursors_are_read_and_written(
        #[case] format: CursorFormat,
        #[case] text: &str,
        #[case] again: &str,
    ) {
        assert_eq!(format.text(&format.parse(text).unwrap()), again);
    }

    #[rstest]
    #[case(CursorFormat::Rfc3339, "yesterday", "`yesterday` is not a time (RFC 3339)")]
    #[case(CursorFormat::Integer, "1.5", "`1.5` is not a whole number")]
    #[case(CursorFormat::UnixS, "", "`` is not a number of seconds since 1970")]
    fn i5_other_texts_are_no_cursors(
        #[case] format: CursorFormat,
        #[case] text: &str,
        #[case] message: &str,
    ) {
        assert_eq!(format.parse(text).unwrap_err().to_string(), message);
    }

    #[rstest]
    #[case("30s", 30)]
    #[case("PT5M", 300)]
    #[case("P30D", 30 * 86_400)]
    #[case("1w", 7 * 86_400)]
    #[case("1h30m", 5_400)]
    fn i12_durations(#[case] text: &str, #[case] seconds: i64) {
        assert_eq!(duration(text).unwrap(), SignedDuration::from_secs(seconds));
    }

    #[rstest]
    #[case("1")]
    #[case("P1M")]
    #[case("-5s")]
    #[case("soon")]
    fn i12_no_durations(#[case] text: &str) {
        assert!(duration(text).is_err());
    }
}
