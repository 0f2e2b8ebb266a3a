//! Secrets in files: read whole, replaced atomically.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

/// The largest file that is read as a secret, in bytes. Secrets Manager's own limit is 64 KiB.
pub(super) const MAX_SIZE_BYTES: u64 = 1024 * 1024;

/// What a file holds, without the newlines at its end; `None` when it is larger than [`MAX_SIZE_BYTES`].
///
/// # Errors
///
/// The file cannot be read; `InvalidData` when it is not UTF-8.
pub(super) fn read(path: &Path) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_SIZE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_SIZE_BYTES {
        return Ok(None);
    }
    let mut text = String::from_utf8(bytes).map_err(|_| io::ErrorKind::InvalidData)?;
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    Ok(Some(text))
}

/// Puts another text in a file, which is there already, so that each reader sees the old or the new one.
///
/// The new file has the mode, the owner where that is allowed, and the newline at the end of the old one. A
/// link stays, and what it leads to is replaced. When this returns, the text survives a loss of power.
///
/// # Errors
///
/// The file is not there, or the folder or disk refuses. The old file is as it was.
pub(super) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let old = fs::metadata(&path)?;
    // Created with mode 0600, so the text is never open to others, not even for a moment.
    let mut file = tempfile::Builder::new().prefix(".secret-").tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    if ends_with_newline(&path)? {
        file.write_all(b"\n")?;
    }
    keep_owner(file.as_file(), &old);
    file.as_file().set_permissions(old.permissions())?;
    file.as_file().sync_all()?;
    file.persist(&path).map_err(|error| error.error)?;
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    Ok(())
}

fn ends_with_newline(path: &Path) -> io::Result<bool> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_SIZE_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes.ends_with(b"\n"))
}

/// Only root may give files away; for all others the file stays theirs.
#[cfg(unix)]
fn keep_owner(file: &File, old: &fs::Metadata) {
    use std::os::unix::fs::{MetadataExt, fchown};
    let _ = fchown(file, Some(old.uid()), Some(old.gid()));
}

#[cfg(not(unix))]
fn keep_owner(_file: &File, _old: &fs::Metadata) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i2_newlines_at_the_end_of_a_file_are_no_part_of_the_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        fs::write(&path, " a\nb \r\n\n").unwrap();

        assert_eq!(read(&path).unwrap().as_deref(), Some(" a\nb "));
    }

    #[cfg(unix)]
    #[test]
    fn i3_a_replaced_file_keeps_mode_link_and_newline_and_leaves_nothing_behind() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("x"), folder.path().join("link"));
        fs::write(&path, "old\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();

        replace(&link, "new").unwrap();

        assert_eq!(fs::read_to_string(&path).unwrap(), "new\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn i3_a_file_that_is_not_there_is_not_made() {
        let folder = tempfile::tempdir().unwrap();

        let error = replace(&folder.path().join("x"), "new").unwrap_err();

        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
