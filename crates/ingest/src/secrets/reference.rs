//! What stands inside `${secret:…}`: where a secret is, and which part of it is meant.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::json_key::{JsonKey, JsonKeyError};

/// Where a secret is, without the key inside it. One source is fetched once, however many keys are used.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// `env:NAME`: an environment variable.
    Environment(String),
    /// `file:path`: a text file; a relative path begins at the vault's folder.
    File(PathBuf),
    /// `aws-sm://name`: AWS Secrets Manager, by name or ARN.
    SecretsManager(String),
    /// `ssm://name`: AWS Systems Manager Parameter Store, decrypted; by name or ARN.
    Parameter(String),
}

/// A reference to a secret: the inside of `${secret:…}`.
///
/// | text | secret |
/// |---|---|
/// | `env:NAME` | environment variable |
/// | `file:/path`, `file:relative/path` | file; newlines at its end are not part of the secret |
/// | `aws-sm://name`, `aws-sm://arn:aws:secretsmanager:…` | AWS Secrets Manager |
/// | `ssm://name`, `ssm:///prod/name`, `ssm://arn:aws:ssm:…` | AWS Parameter Store |
///
/// Each may end with `#key`, a dotted path into a secret that is JSON (see [`JsonKey`]). The first `#`
/// begins the key, so names and paths have none. `Display` gives the text back.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretRef {
    source: Source,
    key: Option<JsonKey>,
}

/// Why a text is no reference to a secret. The texts are names of secrets, never values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReferenceError {
    /// No known kind of store.
    #[error(
        "`{text}` is not a reference to a secret: expected `env:NAME`, `file:PATH`, `aws-sm://NAME` or `ssm://NAME`, each with an optional `#json.key`"
    )]
    UnknownKind {
        /// The text.
        text: String,
    },

    /// The kind is right, the name is not.
    #[error("`{text}` is not a reference to a secret: {expected}")]
    InvalidName {
        /// The text.
        text: String,
        /// What a name of this kind is like.
        expected: &'static str,
    },

    /// What follows `#`.
    #[error("`{text}` is not a reference to a secret: what follows `#` is no key")]
    InvalidKey {
        /// The text.
        text: String,
        /// What is wrong with the key.
        source: JsonKeyError,
    },
}

impl Source {
    /// The kind of place, in a word.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Environment(_) => "variable",
            Self::File(_) => "file",
            Self::SecretsManager(_) => "secret",
            Self::Parameter(_) => "parameter",
        }
    }

    /// What a role needs to be allowed for reading it; `None` outside AWS.
    pub(crate) fn action(&self) -> Option<&'static str> {
        match self {
            Self::Environment(_) | Self::File(_) => None,
            Self::SecretsManager(_) => Some("secretsmanager:GetSecretValue"),
            Self::Parameter(_) => Some("ssm:GetParameter"),
        }
    }
}

impl SecretRef {
    /// Whether it is in AWS.
    pub(crate) fn is_in_aws(&self) -> bool {
        self.source.action().is_some()
    }

    /// Where the secret is.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Which part of a JSON secret is meant.
    pub fn key(&self) -> Option<&JsonKey> {
        self.key.as_ref()
    }
}

impl FromStr for SecretRef {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, key) = match text.split_once('#') {
            Some((name, key)) => (name, Some(key)),
            None => (text, None),
        };
        let source = parse_source(text, name)?;
        let key = key.map(str::parse).transpose();
        let key =
            key.map_err(|source| ReferenceError::InvalidKey { text: text.to_owned(), source })?;
        Ok(Self { source, key })
    }
}

fn parse_source(text: &str, name: &str) -> Result<Source, ReferenceError> {
    let invalid = |expected| ReferenceError::InvalidName { text: text.to_owned(), expected };
    // The two with slashes come first: people write `env://X` too, and deserve a word about it.
    if let Some(name) = name.strip_prefix("aws-sm://") {
        return match is_aws_name(name, "/_+=.@-!") {
            true => Ok(Source::SecretsManager(name.to_owned())),
            false => Err(invalid(
                "a name in Secrets Manager has letters, digits and `/_+=.@-`, or is an ARN",
            )),
        };
    }
    if let Some(name) = name.strip_prefix("ssm://") {
        if !is_aws_name(name, "/_.-:") {
            return Err(invalid(
                "a name in Parameter Store has letters, digits and `/_.-`, or is an ARN",
            ));
        }
        if !name.starts_with(['/']) && !name.starts_with("arn:") && name.contains('/') {
            return Err(invalid(
                "a name with slashes in Parameter Store begins with one: `ssm:///prod/name`",
            ));
        }
        return Ok(Source::Parameter(name.to_owned()));
    }
    if let Some(name) = name.strip_prefix("env:") {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        return match !name.is_empty()
            && name.chars().all(is_name)
            && !name.starts_with(|c: char| c.is_ascii_digit())
        {
            true => Ok(Source::Environment(name.to_owned())),
            false => Err(invalid(
                "after `env:` comes the name of a variable: letters, digits and `_`, no digit first",
            )),
        };
    }
    if let Some(path) = name.strip_prefix("file:") {
        return match path.is_empty() || path.starts_with("//") || path.contains(char::is_control) {
            true => {
                Err(invalid("after `file:` comes a path: `file:/run/secrets/x` or `file:x.json`"))
            }
            false => Ok(Source::File(path.into())),
        };
    }
    Err(ReferenceError::UnknownKind { text: text.to_owned() })
}

fn is_aws_name(name: &str, marks: &str) -> bool {
    let is_arn = name.starts_with("arn:");
    let allowed = |c: char| c.is_ascii_alphanumeric() || marks.contains(c) || (is_arn && c == ':');
    !name.is_empty() && name.chars().all(allowed)
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::SecretsManager(name) => write!(f, "aws-sm://{name}"),
            Self::Parameter(name) => write!(f, "ssm://{name}"),
        }
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.source)?;
        match &self.key {
            Some(key) => write!(f, "#{key}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("env:API_KEY", Source::Environment("API_KEY".into()), None)]
    #[case("env:BLOB#a.b", Source::Environment("BLOB".into()), Some("a.b"))]
    #[case("file:/run/secrets/x", Source::File("/run/secrets/x".into()), None)]
    #[case("file:secrets/x.json#a", Source::File("secrets/x.json".into()), Some("a"))]
    #[case("aws-sm://prod/github#token", Source::SecretsManager("prod/github".into()), Some("token"))]
    #[case(
        "aws-sm://arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/x-AbCdEf#a.b-c",
        Source::SecretsManager("arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/x-AbCdEf".into()),
        Some("a.b-c")
    )]
    #[case("ssm://plain", Source::Parameter("plain".into()), None)]
    #[case("ssm:///prod/x", Source::Parameter("/prod/x".into()), None)]
    #[case("ssm:///prod/x:3#k", Source::Parameter("/prod/x:3".into()), Some("k"))]
    #[case(
        "ssm://arn:aws:ssm:eu-west-1:123456789012:parameter/prod/x",
        Source::Parameter("arn:aws:ssm:eu-west-1:123456789012:parameter/prod/x".into()),
        None
    )]
    fn i2_references_are_read_and_given_back(
        #[case] text: &str,
        #[case] source: Source,
        #[case] key: Option<&str>,
    ) {
        let reference: SecretRef = text.parse().unwrap();

        assert_eq!(reference.source(), &source);
        assert_eq!(reference.key().map(ToString::to_string).as_deref(), key);
        assert_eq!(reference.to_string(), text);
    }

    #[rstest]
    #[case::nothing("", "expected `env:NAME`, `file:PATH`, `aws-sm://NAME` or `ssm://NAME`")]
    #[case::kind("vault://x", "expected `env:NAME`")]
    #[case::one_colon("aws-sm:x", "expected `env:NAME`")]
    #[case::env_slashes("env://X", "after `env:` comes the name of a variable")]
    #[case::env_empty("env:", "after `env:` comes the name of a variable")]
    #[case::env_digit("env:1X", "no digit first")]
    #[case::file_empty("file:#a", "after `file:` comes a path")]
    #[case::file_url("file:///a", "after `file:` comes a path")]
    #[case::sm_empty("aws-sm://", "Secrets Manager has letters")]
    #[case::sm_colon("aws-sm://a:b", "Secrets Manager has letters")]
    #[case::ssm_relative("ssm://prod/x", "begins with one: `ssm:///prod/name`")]
    #[case::key_empty("env:X#", "what follows `#` is no key")]
    #[case::key_parts("env:X#a..b", "what follows `#` is no key")]
    fn i2_a_wrong_reference_says_what_is_allowed(#[case] text: &str, #[case] says: &str) {
        let message = text.parse::<SecretRef>().unwrap_err().to_string();

        assert!(message.contains(says), "{message}");
        assert!(message.starts_with(&format!("`{text}`")), "{message}");
    }
}
