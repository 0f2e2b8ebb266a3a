//! What token and login servers answer.

use http::StatusCode;
use jiff::SignedDuration;
use serde_json::Value;
use url::{Position, Url};

use crate::http::Answer;
use crate::secrets::Redactor;

use super::error::AuthError;

/// More of a server's own words is not shown, in characters.
const MAX_WORDS_CHARACTERS: usize = 300;

/// An address for people: no query, which may hold secrets.
pub(super) fn endpoint(url: &Url) -> String {
    url[..Position::AfterPath].to_owned()
}

/// A URL for token and login calls.
///
/// # Errors
///
/// It is no HTTP URL, or has a user or password in it.
pub(super) fn parse_url(text: &str, setting: &str) -> Result<Url, AuthError> {
    let wrong = |reason| AuthError::setting(setting, reason);
    let url: Url = text.parse().map_err(|_| wrong("is not a URL"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("is not an `https://` URL"));
    }
    match url.username().is_empty() && url.password().is_none() {
        true => Ok(url),
        false => Err(wrong("must not hold credentials")),
    }
}

/// The error for an answer that gives no token, with what the server says about it: `error`,
/// `error_description` and `message` of a JSON answer, redacted.
pub(super) fn refusal(
    doing: &'static str,
    endpoint: &str,
    answer: &Answer,
    redactor: &Redactor,
) -> AuthError {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let error = error_code(&body).map(|error| words(&error, redactor));
    let description = ["error_description", "message", "detail"];
    let description = description.iter().find_map(|name| body.get(name)?.as_str());
    let description = description.or_else(|| body.get("error")?.get("message")?.as_str());
    let description = description.map(|text| words(text, redactor));
    let said = match (&error, description) {
        (Some(error), Some(text)) => format!(": `{error}`: {text}"),
        (Some(error), None) => format!(": `{error}`"),
        (None, Some(text)) => format!(": {text}"),
        (None, None) => String::new(),
    };
    let status = answer.status;
    AuthError::Refused { doing, endpoint: endpoint.to_owned(), status, error, said }
}

/// Whether an answer with a good status says all the same that something went wrong.
pub(super) fn says_error(answer: &Answer) -> bool {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    answer.status != StatusCode::NO_CONTENT && error_code(&body).is_some()
}

/// `error` of RFC 6749, section 5.2; some servers put a code inside.
fn error_code(body: &Value) -> Option<String> {
    match body.get("error")? {
        Value::String(code) if !code.is_empty() => Some(code.clone()),
        Value::Object(inner) => ["code", "type", "status"].iter().find_map(|name| {
            inner.get(*name).and_then(|code| match code {
                Value::String(code) => Some(code.clone()),
                Value::Number(code) => Some(code.to_string()),
                _ => None,
            })
        }),
        _ => None,
    }
}

/// A server's words: redacted first, as half a secret is not found, then cut, in one line.
fn words(text: &str, redactor: &Redactor) -> String {
    let cleaned = redactor.clean(text);
    let one_line = |c: char| if c.is_control() { ' ' } else { c };
    let mut short: String = cleaned.chars().map(one_line).take(MAX_WORDS_CHARACTERS).collect();
    if cleaned.chars().nth(MAX_WORDS_CHARACTERS).is_some() {
        short.push('…');
    }
    short
}

/// `expires_in`: a number of seconds, or a text with one. Zero and less say nothing, as some servers mean "never" by it.
pub(super) fn lifetime(expires_in: Option<&Value>) -> Option<SignedDuration> {
    let seconds = match expires_in? {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    match seconds >= 1.0 && seconds.is_finite() {
        // A century is as good as any longer life.
        true => Some(SignedDuration::from_secs(seconds.min(3_155_760_000.0) as i64)),
        false => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::Secret;
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case::number(json!(3600), Some(3600))]
    #[case::text(json!("3600"), Some(3600))]
    #[case::fraction(json!(59.9), Some(59))]
    #[case::endless(json!(1e300), Some(3_155_760_000))]
    #[case::zero(json!(0), None)]
    #[case::negative(json!(-1), None)]
    #[case::null(json!(null), None)]
    #[case::words(json!("never"), None)]
    #[case::not_a_number(json!("NaN"), None)]
    fn i3_expires_in_is_read_as_servers_write_it(
        #[case] value: Value,
        #[case] seconds: Option<i64>,
    ) {
        assert_eq!(lifetime(Some(&value)), seconds.map(SignedDuration::from_secs));
    }

    fn refused(status: u16, body: &str) -> AuthError {
        let redactor = Redactor::new();
        redactor.learn(&Secret::new("s3cr3t-s3cr3t"));
        let answer = Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: http::HeaderMap::new(),
            body: body.to_owned().into(),
        };
        refusal("fetching a token from", "https://id.example.com/token", &answer, &redactor)
    }

    #[rstest]
    #[case::oauth(
        400,
        r#"{"error":"invalid_grant","error_description":"token s3cr3t-s3cr3t\nis spent"}"#,
        "400 Bad Request: `invalid_grant`: token *** is spent"
    )]
    #[case::nested(401, r#"{"error":{"code":17,"message":"no"}}"#, "401 Unauthorized: `17`: no")]
    #[case::message(403, r#"{"message":"go away"}"#, "403 Forbidden: go away")]
    #[case::page(502, "<html>s3cr3t-s3cr3t</html>", "502 Bad Gateway")]
    fn i3_a_refusal_shows_what_the_server_says_and_no_secret(
        #[case] status: u16,
        #[case] body: &str,
        #[case] says: &str,
    ) {
        let message = refused(status, body).to_string();

        let expected = "fetching a token from `https://id.example.com/token`: the server answered ";
        assert_eq!(message, format!("{expected}{says}"));
    }

    #[test]
    fn i2_words_are_redacted_before_they_are_cut() {
        let long = format!("{}s3cr3t-s3cr3t", "x".repeat(MAX_WORDS_CHARACTERS - 6));
        let body = json!({ "error": "e", "error_description": long }).to_string();

        let message = refused(400, &body).to_string();

        assert!(!message.contains("s3cr3t"), "{message}");
    }
}
