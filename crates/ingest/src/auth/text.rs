//! A text of the settings that may hold references to secrets.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use crate::secrets::{ReferenceError, Secret, SecretError, SecretRef, Vault};

const OPEN: &str = "${secret:";

/// A text with references to secrets: `Bearer ${secret:env:TOKEN}`.
///
/// `$${` stands for `${`. Any other `${…}` is an error, as a reference with a slip would be sent otherwise.
/// `Display` gives the text back, with references and without values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Text {
    parts: Vec<Part>,
}

/// A piece of a [`Text`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// As it stands, with escapes undone.
    Literal(String),
    /// In its place comes a secret.
    Secret(SecretRef),
}

/// Why a text cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// A reference that does not end.
    #[error("a `${{` has no `}}` (write `$${{` for the characters themselves)")]
    Unclosed,

    /// A placeholder of another kind. It may be a secret that somebody wrote there, so only its place shows.
    #[error(
        "at character {position} is a `${{` that does not begin `${{secret:…}}` (write `$${{` for the characters themselves)"
    )]
    Unknown {
        /// Where, counted from 1.
        position: usize,
    },

    /// A reference that cannot be understood.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
}

impl Text {
    /// A text that has no references.
    pub fn literal(text: impl Into<String>) -> Self {
        let text = text.into();
        match text.is_empty() {
            true => Self::default(),
            false => Self { parts: vec![Part::Literal(text)] },
        }
    }

    /// The pieces, in order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The references, in order.
    pub fn references(&self) -> impl Iterator<Item = &SecretRef> {
        self.parts.iter().filter_map(|part| match part {
            Part::Secret(reference) => Some(reference),
            Part::Literal(_) => None,
        })
    }

    /// The reference, when the text is one and nothing else.
    pub fn as_reference(&self) -> Option<&SecretRef> {
        match self.parts.as_slice() {
            [Part::Secret(reference)] => Some(reference),
            _ => None,
        }
    }

    /// The text with the secrets in their places.
    ///
    /// # Errors
    ///
    /// As [`Vault::get`].
    pub async fn resolve(&self, vault: &Vault) -> Result<Secret, SecretError> {
        if let Some(reference) = self.as_reference() {
            return vault.get(reference).await;
        }
        let mut resolved = Zeroizing::new(String::new());
        for part in &self.parts {
            match part {
                Part::Literal(text) => resolved.push_str(text),
                Part::Secret(reference) => resolved.push_str(vault.get(reference).await?.expose()),
            }
        }
        Ok(Secret::new(std::mem::take(&mut *resolved)))
    }

    /// The references for people, to say where a value came from.
    pub(super) fn origin(&self) -> String {
        let references: Vec<String> =
            self.references().map(|reference| format!("`{reference}`")).collect();
        match references.is_empty() {
            true => "the settings".to_owned(),
            false => references.join(" and "),
        }
    }
}

impl FromStr for Text {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let (before, here) = rest.split_at(at);
            if let Some(before) = before.strip_suffix('$') {
                literal.push_str(before);
                literal.push_str("${");
                rest = here.get(2..).unwrap_or_default();
                continue;
            }
            literal.push_str(before);
            let Some(inside) = here.strip_prefix(OPEN) else {
                let offset = text.len() - here.len();
                let position = text.get(..offset).unwrap_or_default().chars().count() + 1;
                return Err(TextError::Unknown { position });
            };
            let (reference, behind) = inside.split_once('}').ok_or(TextError::Unclosed)?;
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(Part::Secret(reference.parse()?));
            rest = behind;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self { parts })
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Literal(text) => f.write_str(&text.replace("${", "$${"))?,
                Part::Secret(reference) => write!(f, "{OPEN}{reference}}}")?,
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|error: TextError| {
            // serde has no place for a source, so the reason joins the message.
            match std::error::Error::source(&error) {
                Some(source) => serde::de::Error::custom(format_args!("{error}: {source}")),
                None => serde::de::Error::custom(error),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn secret(text: &str) -> Part {
        Part::Secret(text.parse().unwrap())
    }

    fn literal(text: &str) -> Part {
        Part::Literal(text.into())
    }

    #[rstest]
    #[case::empty("", vec![])]
    #[case::plain("a{b}$c", vec![literal("a{b}$c")])]
    #[case::one("${secret:env:X}", vec![secret("env:X")])]
    #[case::prefix("Bearer ${secret:env:X#a.b}", vec![literal("Bearer "), secret("env:X#a.b")])]
    #[case::two("${secret:env:X}:${secret:env:Y}!", vec![secret("env:X"), literal(":"), secret("env:Y"), literal("!")])]
    #[case::escaped("a$${secret:env:X}", vec![literal("a${secret:env:X}")])]
    #[case::escaped_then_not("$${${secret:env:X}", vec![literal("${"), secret("env:X")])]
    fn i2_texts_are_read_and_given_back(#[case] text: &str, #[case] parts: Vec<Part>) {
        let read: Text = text.parse().unwrap();

        assert_eq!(read.parts(), parts);
        assert_eq!(read.to_string(), text);
    }

    #[rstest]
    #[case::unclosed("${secret:env:X", "a `${` has no `}`")]
    #[case::other("ä ${env:X}", "at character 3 is a `${` that does not begin `${secret:…}`")]
    #[case::no_reference("${secret:X}", "`X` is not a reference to a secret")]
    fn i2_a_wrong_text_says_so(#[case] text: &str, #[case] says: &str) {
        let message = text.parse::<Text>().unwrap_err().to_string();

        assert!(message.contains(says), "{message}");
    }
}
