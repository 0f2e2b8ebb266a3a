//! One object of a store: what a listing says about it, without its bytes.

use std::fs::Metadata;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

/// One object (a file, on disk) as a listing describes it.
///
/// Key, size and etag or time of change together tell a bookmark whether an object is new (R20).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Object {
    /// The path relative to the place or input that was listed, separated by `/`.
    pub key: String,
    /// The size in bytes, as stored (compressed objects count compressed).
    pub size_bytes: u64,
    /// The time of the last change in microseconds since 1970-01-01T00:00:00Z, where it is known.
    pub modified_us: Option<i64>,
    /// The store's fingerprint of the content; `None` on disk.
    pub etag: Option<String>,
}

impl Object {
    /// Whether the object `now` is another one than this, which was listed under the same key before.
    ///
    /// Stores spell one fingerprint in several ways (listings quote it or do not), so that another one
    /// counts only where the size or the time, in whole seconds as headers give it, is another as well.
    pub fn is_replaced_by(&self, now: &Self) -> bool {
        const SECOND_US: i64 = 1_000_000;
        let seconds = |object: &Self| object.modified_us.map(|us| us.div_euclid(SECOND_US));
        let fingerprint =
            |object: &Self| object.etag.as_ref().map(|tag| tag.trim_matches('"').to_owned());
        let is_newer = seconds(self).zip(seconds(now)).is_some_and(|(then, now)| now > then + 1);
        self.size_bytes != now.size_bytes || (is_newer && fingerprint(self) != fingerprint(now))
    }

    /// The object that a store's metadata describe, under a key of our own.
    pub(crate) fn from_store(key: String, meta: object_store::ObjectMeta) -> Self {
        Self {
            key,
            size_bytes: meta.size,
            modified_us: Some(meta.last_modified.timestamp_micros()),
            etag: meta.e_tag,
        }
    }

    /// The object that a file's metadata describe, under a key of our own.
    pub(crate) fn from_disk(key: String, metadata: &Metadata) -> Self {
        Self { key, size_bytes: metadata.len(), modified_us: modified_us(metadata), etag: None }
    }
}

/// Microseconds since 1970, negative before; `None` where the file system keeps no times.
fn modified_us(metadata: &Metadata) -> Option<i64> {
    let modified = metadata.modified().ok()?;
    match modified.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_micros()).ok(),
        Err(before) => i64::try_from(before.duration().as_micros()).ok().map(|micros| -micros),
    }
}

/// Whether a key is not data: one of its parts starts with `.` or `_`.
pub(crate) fn is_hidden(key: &str) -> bool {
    key.split('/').any(|part| part.starts_with(['.', '_']))
}

#[cfg(test)]
mod tests {
    use super::{Object, is_hidden};
    use rstest::rstest;

    fn object(size_bytes: u64, modified_us: i64, etag: &str) -> Object {
        let (modified_us, etag) = (Some(modified_us), Some(etag.to_owned()));
        Object { key: "a.json".to_owned(), size_bytes, modified_us, etag }
    }

    #[rstest]
    #[case::same(object(9, 5_250_000, "\"a\""), false)]
    #[case::spelled_otherwise(object(9, 5_000_000, "a"), false)]
    #[case::rounded_up(object(9, 6_000_000, "b"), false)]
    #[case::touched(object(9, 60_000_000, "\"a\""), false)]
    #[case::written_again(object(9, 60_000_000, "\"b\""), true)]
    #[case::longer(object(10, 5_250_000, "\"a\""), true)]
    fn an_object_that_was_replaced_shows(#[case] now: Object, #[case] replaced: bool) {
        assert_eq!(object(9, 5_250_000, "\"a\"").is_replaced_by(&now), replaced);
    }

    #[rstest]
    #[case::plain("orders/a.json", false)]
    #[case::inner_marks("or_ders/a.b_c.json", false)]
    #[case::dot_file("orders/.a.json", true)]
    #[case::underscore_folder("_solder/manifest.json", true)]
    #[case::deep_folder("orders/_tmp/a.json", true)]
    fn r1_hidden_objects_are_not_data(#[case] key: &str, #[case] hidden: bool) {
        assert_eq!(is_hidden(key), hidden);
    }
}
