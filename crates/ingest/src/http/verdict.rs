//! What an answer means (I7): the rules of the source, then what statuses usually say.

use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;

use crate::page::{JsonPath, text_of};
use crate::source::document::Action;
use crate::source::plan::Rule;

/// What to do with an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is good.
    Accept,
    /// It counts as a page without records.
    Ignore,
    /// This partition has nothing.
    Skip,
    /// Try again, after this long or a growing wait.
    Retry { wait: Option<Duration> },
    /// Try again when the host takes requests again.
    WaitReset,
    /// The credentials may be stale.
    Unauthorized,
    /// It is final.
    Fail { message: Option<String> },
}

/// Gives the raw JSON at a path of a body.
pub(crate) type BodyValue<'a> = &'a dyn Fn(&JsonPath) -> Option<Vec<u8>>;

impl Verdict {
    /// The verdict on an answer. `value` gives the raw JSON at a path of the body, once there is one; before
    /// (`None`), rules that look into the body do not fit.
    pub(crate) fn on(
        rules: &[Rule],
        status: StatusCode,
        headers: &HeaderMap,
        value: Option<BodyValue<'_>>,
    ) -> Verdict {
        let rule = rules.iter().find(|rule| fits(rule, status, headers, value));
        match rule {
            Some(rule) => match rule.action {
                Action::Retry => Verdict::Retry { wait: rule.wait },
                Action::WaitReset => Verdict::WaitReset,
                Action::SkipPartition => Verdict::Skip,
                Action::Ignore => Verdict::Ignore,
                Action::Accept => Verdict::Accept,
                Action::Fail => Verdict::Fail { message: rule.message.clone() },
            },
            None => usual(status),
        }
    }
}

fn usual(status: StatusCode) -> Verdict {
    match status.as_u16() {
        200..=299 => Verdict::Accept,
        401 => Verdict::Unauthorized,
        408 | 425 | 429 | 500..=599 if status != StatusCode::NOT_IMPLEMENTED => {
            Verdict::Retry { wait: None }
        }
        _ => Verdict::Fail { message: None },
    }
}

fn fits(
    rule: &Rule,
    status: StatusCode,
    headers: &HeaderMap,
    value: Option<BodyValue<'_>>,
) -> bool {
    let status = status.as_u16();
    let status_fits = rule.statuses.is_empty()
        || rule.statuses.iter().any(|(first, last)| (*first..=*last).contains(&status));
    let headers_fit = || {
        rule.headers.iter().all(|(name, expected)| {
            let found = headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
            match expected {
                None => found.is_some(),
                Some(expected) => found == Some(expected),
            }
        })
    };
    let body_fits = || {
        rule.body.is_empty()
            || value.is_some_and(|value| {
                rule.body.iter().all(|(path, expected)| match (value(path), expected) {
                    (None, _) => false,
                    (Some(raw), None) => !raw.is_empty() && raw != b"null",
                    (Some(raw), Some(expected)) => {
                        text_of(&raw).is_some_and(|text| text == expected.as_str())
                    }
                })
            })
    };
    status_fits && headers_fit() && body_fits()
}

/// How long a server asks to wait: seconds, with decimals even, or a date, which is measured against the
/// server's own clock. What cannot be read, or has passed, says nothing.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds.max(0.0)).ok();
    }
    let until = http_date(text)?;
    let from = server_time(headers).unwrap_or(now);
    Duration::try_from(until.duration_since(from)).ok()
}

/// The server's clock, as its `Date` says.
pub(crate) fn server_time(headers: &HeaderMap) -> Option<Timestamp> {
    http_date(headers.get(header::DATE)?.to_str().ok()?)
}

fn http_date(text: &str) -> Option<Timestamp> {
    Timestamp::try_from(httpdate::parse_http_date(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::seconds("7", Some(7_000))]
    #[case::decimals("0.5", Some(500))]
    #[case::date("Wed, 01 May 2024 12:00:30 GMT", Some(30_000))]
    #[case::past("Wed, 01 May 2024 11:00:00 GMT", None)]
    #[case::negative("-5", Some(0))]
    #[case::absurd("1e300", None)]
    #[case::word("soon", None)]
    fn i7_retry_after(#[case] value: &str, #[case] millis: Option<u64>) {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, value.parse().unwrap());
        // The server's clock is an hour off.
        headers.insert(header::DATE, "Wed, 01 May 2024 12:00:00 GMT".parse().unwrap());
        let now = "2024-05-01T13:00:00Z".parse().unwrap();
        assert_eq!(retry_after(&headers, now), millis.map(Duration::from_millis));
    }

    #[rstest]
    #[case(200, Verdict::Accept)]
    #[case(204, Verdict::Accept)]
    #[case(301, Verdict::Fail { message: None })]
    #[case(401, Verdict::Unauthorized)]
    #[case(404, Verdict::Fail { message: None })]
    #[case(429, Verdict::Retry { wait: None })]
    #[case(501, Verdict::Fail { message: None })]
    #[case(503, Verdict::Retry { wait: None })]
    fn i7_what_statuses_usually_say(#[case] status: u16, #[case] verdict: Verdict) {
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(Verdict::on(&[], status, &HeaderMap::new(), None), verdict);
    }

    #[test]
    fn i7_the_first_rule_that_fits_is_taken() {
        let rule = |statuses, headers, body, action| Rule {
            statuses,
            headers,
            body,
            action,
            wait: None,
            message: None,
        };
        let rules = [
            rule(
                vec![(403, 403)],
                vec![("x-left".parse().unwrap(), Some("0".to_owned()))],
                Vec::new(),
                Action::WaitReset,
            ),
            rule(
                vec![(400, 499)],
                Vec::new(),
                vec![("$.code".parse().unwrap(), Some("7".to_owned()))],
                Action::SkipPartition,
            ),
        ];
        let on = |status: u16, left: &str, body: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert("x-left", left.parse().unwrap());
            let value =
                |path: &JsonPath| crate::page::find(body?.as_bytes(), path).map(<[u8]>::to_vec);
            Verdict::on(&rules, StatusCode::from_u16(status).unwrap(), &headers, Some(&value))
        };
        assert_eq!(on(403, "0", None), Verdict::WaitReset);
        assert_eq!(on(403, "1", None), Verdict::Fail { message: None });
        assert_eq!(on(404, "1", Some(r#"{"code": 7}"#)), Verdict::Skip);
        assert_eq!(on(404, "1", Some(r#"{"code": "7"}"#)), Verdict::Skip);
        assert_eq!(on(404, "1", Some(r#"{"code": 8}"#)), Verdict::Fail { message: None });
    }
}
