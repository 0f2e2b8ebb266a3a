//! A value that never shows.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

/// A secret text. `Debug` and `Display` print `***`; its memory is wiped with the last copy.
///
/// Copies share one text. What is made from [`Secret::expose`], such as the header of a request, is on its
/// own and is not wiped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<Zeroizing<String>>);

impl Secret {
    /// Takes a text in.
    pub fn new(value: impl Into<String>) -> Self {
        Self(Arc::new(Zeroizing::new(value.into())))
    }

    /// The text itself. Not for logs, errors or manifests.
    pub fn expose(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self::new(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i2_a_secret_prints_as_stars() {
        let secret = Secret::new("hunter22");

        assert_eq!(format!("{secret} {secret:?} {:?}", Some(&secret)), "*** *** Some(***)");
        assert_eq!(secret.expose(), "hunter22");
    }
}
