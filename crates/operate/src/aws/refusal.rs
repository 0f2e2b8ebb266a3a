//! What a service answers when it refuses, in either protocol.

use std::fmt;

use serde_json::Value;

/// A refusal: a code, and what the service says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status of the answer.
    pub status: u16,
    /// `EntityNotFoundException`; empty where an answer names none, as those of proxies do.
    pub code: String,
    /// What the service says; may be empty.
    pub message: String,
}

impl Refusal {
    /// What an answer without success says.
    pub(super) fn of(status: u16, header: Option<&str>, body: &str) -> Self {
        let json: Value = serde_json::from_str(body).unwrap_or_default();
        // A query's error is an object in the object, or an element.
        let object = json.get("Error").unwrap_or(&json);
        let text = |names: &[&str]| {
            let found = names.iter().find_map(|name| object.get(name)?.as_str());
            found.map(str::to_owned)
        };
        let code = text(&["__type", "code", "Code"])
            .or_else(|| header.map(str::to_owned))
            .or_else(|| xml_text(body, "Code").map(str::to_owned))
            .unwrap_or_default();
        let message = text(&["message", "Message", "errorMessage"])
            .or_else(|| xml_text(body, "Message").map(str::to_owned))
            .unwrap_or_default();
        Self { status, code: bare(&code).to_owned(), message }
    }
}

/// `com.amazonaws.glue#EntityNotFoundException:http://…` without what stands around the name.
fn bare(code: &str) -> &str {
    let code = code.rsplit_once('#').map_or(code, |(_, name)| name);
    code.split_once(':').map_or(code, |(name, _)| name)
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code.as_str(), self.message.as_str()) {
            ("", "") => write!(f, "status {}", self.status),
            ("", message) => write!(f, "status {}: {message}", self.status),
            (code, "") => write!(f, "`{code}`"),
            (code, message) => write!(f, "`{code}`: {message}"),
        }
    }
}

/// The text of the first element of this name that has no attributes: all that answers of queries need.
///
/// Entities (`&amp;`) stay as they are.
pub fn xml_text<'x>(xml: &'x str, element: &str) -> Option<&'x str> {
    let (_, rest) = xml.split_once(&format!("<{element}>"))?;
    let (text, _) = rest.split_once(&format!("</{element}>"))?;
    Some(text.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::json(
        None,
        r#"{"__type":"EntityNotFoundException","Message":"Table x not found."}"#,
        "`EntityNotFoundException`: Table x not found."
    )]
    #[case::with_namespace(
        None,
        r#"{"__type":"com.amazonaws.glue#ConcurrentModificationException","message":"x"}"#,
        "`ConcurrentModificationException`: x"
    )]
    #[case::header(
        Some("ThrottlingException:http://internal.amazon.com/"),
        r#"{"message":"Rate exceeded"}"#,
        "`ThrottlingException`: Rate exceeded"
    )]
    #[case::query(
        None,
        "<ErrorResponse><Error><Code>ExpiredToken</Code><Message>too old</Message></Error></ErrorResponse>",
        "`ExpiredToken`: too old"
    )]
    #[case::query_as_json(
        None,
        r#"{"Error":{"Code":"AccessDenied","Message":"no"}}"#,
        "`AccessDenied`: no"
    )]
    #[case::proxy(None, "<html><h1>Bad gateway</h1></html>", "status 400")]
    fn a_refusal_is_understood(
        #[case] header: Option<&str>,
        #[case] body: &str,
        #[case] expected: &str,
    ) {
        assert_eq!(Refusal::of(400, header, body).to_string(), expected);
    }
}
