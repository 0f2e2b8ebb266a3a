//! One object of a store: what a listing says about it, without its bytes.

use std::fs::Metadata;
use std::time::UNIX_EPOCH;

/// One object (a file, on disk) as a listing describes it.
///
/// Key, size and etag or time of change together tell a bookmark whether an object is new (R20).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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
    use super::is_hidden;
    use rstest::rstest;

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
