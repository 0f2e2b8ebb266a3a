//! What lies behind an error, for people and logs.

use std::error::Error as StdError;

/// The causes of an error, without those that say what was said already: stores' clients repeat the text of
/// their causes.
pub fn causes(error: &dyn StdError) -> Vec<String> {
    let mut said = error.to_string();
    let mut causes = Vec::new();
    let mut source = error.source();
    while let Some(cause) = source {
        let message = cause.to_string();
        if !said.contains(&message) {
            said.push('\n');
            said.push_str(&message);
            causes.push(message);
        }
        source = cause.source();
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Link {
        text: &'static str,
        source: Option<Box<Link>>,
    }

    fn link(text: &'static str, source: Option<Link>) -> Link {
        Link { text, source: source.map(Box::new) }
    }

    #[test]
    fn causes_do_not_repeat_themselves() {
        let refused = || link("connection refused", None);
        let repeating = link("GET failed: connection refused", Some(refused()));
        let error = link("reading `x`", Some(repeating));
        assert_eq!(causes(&error), ["GET failed: connection refused"]);
        let error = link("reading `x`", Some(link("GET failed", Some(refused()))));
        assert_eq!(causes(&error), ["GET failed", "connection refused"]);
    }
}
