//! The database that an option names.

use std::fmt;
use std::str::FromStr;

use super::error::Error;

/// A database of the Glue Data Catalog of this account and region, written `glue://NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    name: String,
}

impl Database {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Refuses a place whose tables the catalog cannot hold (G1).
    ///
    /// # Errors
    ///
    /// The place is not in S3.
    pub fn check_place(&self, place: &str) -> Result<(), Error> {
        let scheme = place.split_once("://").map(|(scheme, _)| scheme);
        match scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("s3")) {
            true => Ok(()),
            false => Err(Error::NotInS3 { place: place.to_owned() }),
        }
    }
}

impl FromStr for Database {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        const MAX_LENGTH: usize = 255;
        let is_allowed =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-' | '.');
        let name = text.strip_prefix("glue://").map(|name| name.strip_suffix('/').unwrap_or(name));
        match name {
            Some(name)
                if (1..=MAX_LENGTH).contains(&name.len()) && name.chars().all(is_allowed) =>
            {
                Ok(Self { name: name.to_owned() })
            }
            _ => Err(Error::NoDatabaseName { text: text.to_owned() }),
        }
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "glue://{}", self.name)
    }
}
