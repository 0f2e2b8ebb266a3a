//! The text for a place, taken apart.

use std::path::PathBuf;

use super::connect::Service;
use crate::PlaceError;

/// What a text for a place says, before anything is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// A path on the local disk.
    Disk(PathBuf),
    /// A prefix in an object store.
    Store {
        /// Which kind of store.
        service: Service,
        /// Scheme and bucket: `s3://bucket`.
        root: String,
        /// The prefix below the bucket as written, without the slash at its begin.
        prefix: String,
    },
}

impl Address {
    /// Takes apart a local path or a URL.
    ///
    /// Keys in store URLs are taken literally, as the stores' own tools do; only `file://` URLs are
    /// percent-decoded. `~` is not expanded: that is the shell's work.
    ///
    /// # Errors
    ///
    /// Empty text, an unknown scheme, no or no possible bucket, credentials inside the URL.
    pub(crate) fn parse(text: &str) -> Result<Self, PlaceError> {
        if text.is_empty() {
            return Err(PlaceError::Empty);
        }
        let invalid = |reason| PlaceError::InvalidAddress { text: text.to_owned(), reason };
        let Some((scheme, rest)) = split_scheme(text) else {
            return Ok(Self::Disk(PathBuf::from(text)));
        };
        let (bucket, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let service = match scheme.to_ascii_lowercase().as_str() {
            "file" => {
                if !bucket.is_empty() && bucket != "localhost" {
                    return Err(invalid("a file URL is `file:///` and an absolute path"));
                }
                let decoded = percent_decode(path)
                    .ok_or_else(|| invalid("its percent-encoding does not give UTF-8"))?;
                if decoded.is_empty() {
                    return Err(invalid("a file URL is `file:///` and an absolute path"));
                }
                return Ok(Self::Disk(PathBuf::from(decoded)));
            }
            "s3" | "s3a" => Service::S3,
            "gs" => Service::Gcs,
            "az" | "azure" | "adl" | "abfs" | "abfss" => Service::Azure,
            "memory" => Service::Memory,
            _ => {
                return Err(PlaceError::UnknownScheme { scheme: scheme.to_owned() });
            }
        };
        // `container@account` is Azure's way to name an account; elsewhere an `@` follows a password.
        let has_user = bucket.contains(':') || (bucket.contains('@') && service != Service::Azure);
        if has_user || path.contains("sig=") || path.contains("X-Amz-Signature=") {
            return Err(PlaceError::CredentialsInUrl { scheme: scheme.to_owned() });
        }
        if bucket.is_empty() && service != Service::Memory {
            return Err(invalid("it names no bucket"));
        }
        if bucket.contains(GLOB_CHARACTERS) {
            return Err(invalid("a bucket cannot be a glob"));
        }
        Ok(Self::Store {
            service,
            root: format!("{}://{bucket}", scheme.to_ascii_lowercase()),
            prefix: path.strip_prefix('/').unwrap_or(path).to_owned(),
        })
    }
}

/// The characters that make a path a glob.
pub(crate) const GLOB_CHARACTERS: [char; 4] = ['*', '?', '[', '{'];

/// Where in a text the path begins: 0 for a local path, the slash behind the bucket for a URL.
pub(crate) fn path_start(text: &str) -> usize {
    match split_scheme(text) {
        Some((scheme, rest)) => scheme.len() + "://".len() + rest.find('/').unwrap_or(rest.len()),
        None => 0,
    }
}

/// A part of a text as it is spelled in keys: decoded in a `file://` URL, literal elsewhere.
pub(crate) fn part_of(text: &str, part: &str) -> String {
    match split_scheme(text) {
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("file") => {
            percent_decode(part).unwrap_or_else(|| part.to_owned())
        }
        _ => part.to_owned(),
    }
}

/// Scheme and rest of a URL; `None` for a local path.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    is_scheme.then_some((scheme, rest))
}

/// Replaces every `%XX`; a `%` that no two hex digits follow stays. `None` when the bytes are not UTF-8.
fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'%'
            && let Some(&[high, low]) = tail.first_chunk::<2>()
            && let (Some(high), Some(low)) = (hex_digit(high), hex_digit(low))
        {
            bytes.push(high << 4 | low);
            rest = &tail[2..];
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn store(service: Service, root: &str, prefix: &str) -> Address {
        Address::Store { service, root: root.into(), prefix: prefix.into() }
    }

    #[rstest]
    #[case::relative("raw/orders", Address::Disk("raw/orders".into()))]
    #[case::here(".", Address::Disk(".".into()))]
    #[case::absolute("/srv/raw", Address::Disk("/srv/raw".into()))]
    #[case::tilde_stays("~/raw", Address::Disk("~/raw".into()))]
    #[case::colon_in_a_name("12:30/raw", Address::Disk("12:30/raw".into()))]
    #[case::not_a_scheme("a b://x", Address::Disk("a b://x".into()))]
    #[case::percent_in_a_path("50%25", Address::Disk("50%25".into()))]
    #[case::file_url("file:///srv/raw", Address::Disk("/srv/raw".into()))]
    #[case::file_localhost("file://localhost/srv", Address::Disk("/srv".into()))]
    #[case::file_encoded("file:///a%20b%C3%A4%zz", Address::Disk("/a bä%zz".into()))]
    #[case::s3("s3://b/raw/orders", store(Service::S3, "s3://b", "raw/orders"))]
    #[case::s3_root("s3://b", store(Service::S3, "s3://b", ""))]
    #[case::s3_slash("s3://b/raw/", store(Service::S3, "s3://b", "raw/"))]
    #[case::s3_literal_percent("s3://b/a%20b", store(Service::S3, "s3://b", "a%20b"))]
    #[case::s3_question_mark("s3://b/a?.json", store(Service::S3, "s3://b", "a?.json"))]
    #[case::upper_case("S3://b/x", store(Service::S3, "s3://b", "x"))]
    #[case::gs("gs://b/x", store(Service::Gcs, "gs://b", "x"))]
    #[case::az("az://c/x", store(Service::Azure, "az://c", "x"))]
    #[case::abfss(
        "abfss://c@a.dfs.core.windows.net/x",
        store(Service::Azure, "abfss://c@a.dfs.core.windows.net", "x")
    )]
    #[case::memory("memory://", store(Service::Memory, "memory://", ""))]
    #[case::memory_named("memory://t/raw", store(Service::Memory, "memory://t", "raw"))]
    fn r1_text_names_an_address(#[case] text: &str, #[case] address: Address) {
        assert_eq!(Address::parse(text).unwrap(), address);
    }

    #[rstest]
    #[case::empty("", "a place needs a path or a URL, not an empty text")]
    #[case::no_bucket("s3:///raw", "`s3:///raw` is not a place: it names no bucket")]
    #[case::glob_bucket("s3://b*/raw", "`s3://b*/raw` is not a place: a bucket cannot be a glob")]
    #[case::file_host(
        "file://host/x",
        "`file://host/x` is not a place: a file URL is `file:///` and an absolute path"
    )]
    #[case::file_not_utf8(
        "file:///%FF",
        "`file:///%FF` is not a place: its percent-encoding does not give UTF-8"
    )]
    #[case::scheme(
        "ftp://x/y",
        "unknown store `ftp://`: expected a path, file://, s3://, gs://, az://, abfss:// or memory://"
    )]
    #[case::password(
        "s3://key:secret@b/x",
        "a `s3://` URL must not hold credentials: the environment gives them"
    )]
    #[case::signature(
        "az://c/x?sv=1&sig=abc",
        "a `az://` URL must not hold credentials: the environment gives them"
    )]
    fn r1_text_that_names_nothing(#[case] text: &str, #[case] message: &str) {
        assert_eq!(Address::parse(text).unwrap_err().to_string(), message);
    }

    #[rstest]
    #[case("raw/x", 0)]
    #[case("s3://b/raw", 6)]
    #[case("s3://b", 6)]
    #[case("file:///x", 7)]
    fn a_path_begins_behind_the_bucket(#[case] text: &str, #[case] start: usize) {
        assert_eq!(path_start(text), start);
    }
}
