//! Records to a stream or into the files of a folder, in one pass and in the order of their index.
//!
//! ```text
//! Generator ──▶ buffer of about 1 MiB ──▶ stdout
//!                                    └──▶ orders-00000.ndjson, orders-00001.ndjson, …
//! ```

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use solder_generate::Generator;

/// The buffer is handed on when it has reached this size.
const BUFFER_SIZE_BYTES: usize = 1 << 20;

/// What to write.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) amount: Amount,
    pub(crate) format: Format,
    /// Number of files in a folder; at least one.
    pub(crate) num_files: u64,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Amount {
    Records(u64),
    /// Up to the first record that reaches this size, framing included.
    Bytes(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Ndjson,
    Array,
    Files,
}

/// Why records could not be written.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// The stream refused bytes.
    Stream(io::Error),
    /// A file or folder could not be created or written.
    Path { path: PathBuf, source: io::Error },
    /// Old files would mix with new ones.
    FolderNotEmpty(PathBuf),
}

impl fmt::Display for WriteError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream(_) => write!(formatter, "cannot write to stdout"),
            Self::Path { path, .. } => write!(formatter, "cannot write `{}`", path.display()),
            Self::FolderNotEmpty(path) => {
                write!(formatter, "folder `{}` is not empty", path.display())
            }
        }
    }
}

impl std::error::Error for WriteError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Stream(source) | Self::Path { source, .. } => Some(source),
            Self::FolderNotEmpty(_) => None,
        }
    }
}

/// Where the pass over the records stands.
#[derive(Default)]
struct Progress {
    num_records: u64,
    num_bytes: u64,
}

impl Amount {
    /// Whether `part` of `num_parts` equal shares is not full yet.
    fn wants_more(self, done: &Progress, part: u64, num_parts: u64) -> bool {
        let (done, whole) = match self {
            Self::Records(num_records) => (done.num_records, num_records),
            Self::Bytes(num_bytes) => (done.num_bytes, num_bytes),
        };
        u128::from(done) * u128::from(num_parts) < u128::from(whole) * u128::from(part + 1)
    }
}

/// Writes all records to one stream.
///
/// # Errors
/// [`WriteError::Stream`] when the stream refuses bytes.
pub(crate) fn to_stream(
    generator: &Generator,
    plan: &Plan,
    stream: &mut impl Write,
) -> Result<(), WriteError> {
    write_share(generator, plan, 0, 1, &mut Progress::default(), stream).map_err(WriteError::Stream)
}

/// Writes the records into `folder`, which is made when missing: files named after `name`, each an
/// equal share of the records or bytes; with [`Format::Files`] one file a record.
///
/// # Errors
/// When the folder holds anything already, or a file cannot be written.
pub(crate) fn to_folder(
    generator: &Generator,
    plan: &Plan,
    folder: &Path,
    name: &str,
) -> Result<(), WriteError> {
    create_empty(folder)?;
    let mut progress = Progress::default();
    if plan.format == Format::Files {
        let mut record = Vec::new();
        while plan.amount.wants_more(&progress, 0, 1) {
            record.clear();
            generator.write_record(&mut record, progress.num_records);
            record.push(b'\n');
            let path = folder.join(format!("{name}-{:08}.json", progress.num_records));
            fs::write(&path, &record).map_err(|source| WriteError::Path { path, source })?;
            progress.num_records += 1;
            progress.num_bytes += record.len() as u64;
        }
        return Ok(());
    }
    let extension = if plan.format == Format::Array { "json" } else { "ndjson" };
    for part in 0..plan.num_files {
        let path = folder.join(format!("{name}-{part:05}.{extension}"));
        File::create(&path)
            .and_then(|mut file| {
                write_share(generator, plan, part, plan.num_files, &mut progress, &mut file)
            })
            .map_err(|source| WriteError::Path { path, source })?;
    }
    Ok(())
}

fn create_empty(folder: &Path) -> Result<(), WriteError> {
    let at_folder = |source| WriteError::Path { path: folder.to_owned(), source };
    fs::create_dir_all(folder).map_err(at_folder)?;
    match fs::read_dir(folder).map_err(at_folder)?.next() {
        Some(_) => Err(WriteError::FolderNotEmpty(folder.to_owned())),
        None => Ok(()),
    }
}

/// Writes the next records until share `part` of `num_parts` is full, with their framing.
fn write_share(
    generator: &Generator,
    plan: &Plan,
    part: u64,
    num_parts: u64,
    progress: &mut Progress,
    stream: &mut impl Write,
) -> io::Result<()> {
    let is_array = plan.format == Format::Array;
    let mut buffer = Vec::with_capacity(BUFFER_SIZE_BYTES * 2);
    if is_array {
        buffer.extend_from_slice(b"[\n");
    }
    let mut is_first = true;
    while plan.amount.wants_more(progress, part, num_parts) {
        let start = buffer.len();
        if is_array && !is_first {
            buffer.extend_from_slice(b",\n");
        }
        generator.write_record(&mut buffer, progress.num_records);
        if !is_array {
            buffer.push(b'\n');
        }
        is_first = false;
        progress.num_records += 1;
        progress.num_bytes += (buffer.len() - start) as u64;
        if buffer.len() >= BUFFER_SIZE_BYTES {
            stream.write_all(&buffer)?;
            buffer.clear();
        }
    }
    if is_array {
        buffer.extend_from_slice(b"\n]\n");
    }
    stream.write_all(&buffer)?;
    stream.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use solder_generate::Shape;

    fn plan(amount: Amount, format: Format, num_files: u64) -> Plan {
        Plan { amount, format, num_files }
    }

    fn streamed(plan: &Plan) -> Vec<u8> {
        let mut bytes = Vec::new();
        to_stream(&Generator::new(Shape::Orders, 1), plan, &mut bytes).unwrap();
        bytes
    }

    /// A new path in the system's temporary folder, and what `write` leaves there in name order.
    fn files_of(test: &str, plan: &Plan) -> Vec<Vec<u8>> {
        let folder =
            std::env::temp_dir().join(format!("solder-generate-{}-{test}", std::process::id()));
        let generator = Generator::new(Shape::Orders, 1);
        to_folder(&generator, plan, &folder, "orders").unwrap();
        let again = to_folder(&generator, plan, &folder, "orders");
        assert!(matches!(again, Err(WriteError::FolderNotEmpty(_))));
        let mut paths: Vec<_> =
            fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let contents = paths.iter().map(|path| fs::read(path).unwrap()).collect();
        fs::remove_dir_all(&folder).unwrap();
        contents
    }

    #[test]
    fn files_hold_the_records_of_the_stream() {
        for (amount, test) in [(Amount::Records(100), "records"), (Amount::Bytes(80_000), "bytes")]
        {
            let whole = streamed(&plan(amount, Format::Ndjson, 1));
            let files = files_of(test, &plan(amount, Format::Ndjson, 7));
            assert_eq!(files.len(), 7);
            assert!(files.iter().all(|file| file.len() * 10 > whole.len()));
            assert_eq!(files.concat(), whole);
            let singles = files_of(&format!("{test}-files"), &plan(amount, Format::Files, 1));
            assert_eq!(singles.concat(), whole);
        }
    }

    #[test]
    fn bytes_stop_with_the_record_that_reaches_them() {
        let bytes = streamed(&plan(Amount::Bytes(3_000_000), Format::Ndjson, 1));
        assert!((3_000_000..3_010_000).contains(&bytes.len()));
        assert!(streamed(&plan(Amount::Bytes(0), Format::Ndjson, 1)).is_empty());
    }

    #[test]
    fn arrays_hold_the_lines_of_ndjson() {
        let array =
            String::from_utf8(streamed(&plan(Amount::Records(3), Format::Array, 1))).unwrap();
        let lines =
            String::from_utf8(streamed(&plan(Amount::Records(3), Format::Ndjson, 1))).unwrap();
        assert_eq!(array, format!("[\n{}\n]\n", lines.trim_end().replace('\n', ",\n")));
        assert_eq!(streamed(&plan(Amount::Records(0), Format::Array, 1)), b"[\n\n]\n");
    }
}
