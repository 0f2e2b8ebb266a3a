//! This machine's clock against that of who answers.

use std::time::SystemTime;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

use super::finding::{Fault, Finding, Verdict};

/// AWS refuses signatures that are older, or younger: S3 beyond 15 minutes, other services beyond 5.
const REFUSED_SECONDS: i64 = 5 * 60;
/// So far off, a clock is not set by anybody, and goes on drifting.
const NOTABLE_SECONDS: i64 = 30;

/// Compares the header `Date` of an answer with the time at which it came here (D4).
pub(super) fn compare(about: &str, whose: &str, date: &str, came: SystemTime) -> Finding {
    let what = (about, "clock");
    let tried = format!("this machine's against that of {whose}");
    let then = DateTimeParser::new().parse_timestamp(date);
    let (Ok(then), Ok(now)) = (then, Timestamp::try_from(came)) else {
        return Finding::new(what, Verdict::Skipped, tried, "its answer has no date");
    };
    // The header has whole seconds, and the answer was on its way.
    let ahead = now.as_second() - then.as_second();
    let off = ahead.abs();
    let came = match (off, ahead > 0) {
        (0..=2, _) => "the same time".to_owned(),
        (_, true) => format!("{} fast", spoken(off)),
        (_, false) => format!("{} slow", spoken(off)),
    };
    let verdict = match off {
        REFUSED_SECONDS.. => Verdict::Fail(Fault::Configuration),
        NOTABLE_SECONDS.. => Verdict::Warn,
        _ => return Finding::new(what, Verdict::Ok, tried, came),
    };
    Finding::new(what, verdict, tried, came).with_advice(
        "let NTP set the clock (chrony, systemd-timesyncd): AWS refuses signatures that are 5 minutes off",
    )
}

fn spoken(seconds: i64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use rstest::rstest;

    /// D4: a warning from 30 s, a failure from 5 minutes.
    #[rstest]
    #[case::same(0, Verdict::Ok, "the same time")]
    #[case::on_its_way(2, Verdict::Ok, "the same time")]
    #[case::a_little(29, Verdict::Ok, "29 s fast")]
    #[case::fast(30, Verdict::Warn, "30 s fast")]
    #[case::slow(-299, Verdict::Warn, "4 min slow")]
    #[case::refused(-300, Verdict::Fail(Fault::Configuration), "5 min slow")]
    #[case::another_day(90_000, Verdict::Fail(Fault::Configuration), "25 h fast")]
    fn d4_skew(#[case] ahead: i64, #[case] verdict: Verdict, #[case] came: &str) {
        let store = 1_795_996_800_i64;
        let now = UNIX_EPOCH + Duration::from_secs((store + ahead).unsigned_abs());
        let found = compare("s3://b", "the store", "Mon, 30 Nov 2026 00:00:00 GMT", now);
        assert_eq!((found.verdict, found.came.as_str()), (verdict, came));
        assert_eq!(found.advice.is_some(), verdict != Verdict::Ok);
    }

    #[test]
    fn d4_an_answer_without_a_date_says_nothing() {
        let found = compare("s3://b", "the store", "yesterday", SystemTime::now());
        assert_eq!(found.verdict, Verdict::Skipped);
    }
}
