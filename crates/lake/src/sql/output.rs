//! Rows for people and for programs.

use std::io::Write;

use arrow_array::RecordBatch;
use datafusion::arrow::csv::WriterBuilder;
use datafusion::arrow::json::WriterBuilder as JsonBuilder;
use datafusion::arrow::json::writer::LineDelimited;
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::prelude::DataFrame;
use futures::TryStreamExt;

use crate::error::Error;

use super::script::Script;

/// Rows that a table shows; the other forms give all.
const SHOWN_ROWS: usize = 1000;

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Columns in line, the first thousand rows.
    Table,
    /// Comma-separated values with a head line.
    Csv,
    /// One JSON object per line, with every column.
    Json,
}

/// Where rows are written, and how.
pub struct Output<'w> {
    format: Format,
    writer: &'w mut (dyn Write + Send),
}

impl<'w> Output<'w> {
    /// Rows in a form, to a writer.
    pub fn new(format: Format, writer: &'w mut (dyn Write + Send)) -> Output<'w> {
        Output { format, writer }
    }
}

/// Runs a statement and writes its rows as they come; returns how many there are.
///
/// # Errors
///
/// The statement fails, or the writer takes no more. A reader that has seen enough is no error.
pub async fn write(
    rows: DataFrame,
    script: &Script,
    output: &mut Output<'_>,
) -> Result<u64, Error> {
    match output.format {
        Format::Table => table(rows, script, output.writer).await,
        Format::Csv => {
            let mut writer = WriterBuilder::new().with_header(true).build(&mut output.writer);
            each(rows, script, &mut |batch| writer.write(batch)).await
        }
        Format::Json => {
            let mut writer = JsonBuilder::new()
                .with_explicit_nulls(true)
                .build::<_, LineDelimited>(&mut output.writer);
            each(rows, script, &mut |batch| writer.write(batch)).await
        }
    }
}

async fn each(
    rows: DataFrame,
    script: &Script,
    write: &mut dyn FnMut(&RecordBatch) -> Result<(), datafusion::arrow::error::ArrowError>,
) -> Result<u64, Error> {
    let empty = RecordBatch::new_empty(rows.schema().inner().clone());
    let mut stream = rows.execute_stream().await.map_err(|error| script.failed(error))?;
    let mut num_rows = 0;
    // A result without rows still has its columns.
    let mut written = write(&empty);
    while let Some(batch) = stream.try_next().await.map_err(|error| script.failed(error))? {
        num_rows += batch.num_rows() as u64;
        written = written.and_then(|()| write(&batch));
        if written.is_err() {
            break;
        }
    }
    match written {
        Err(error) if !is_closed(&error) => Err(unwritten(error)),
        _ => Ok(num_rows),
    }
}

async fn table(
    rows: DataFrame,
    script: &Script,
    writer: &mut (dyn Write + Send),
) -> Result<u64, Error> {
    let empty = RecordBatch::new_empty(rows.schema().inner().clone());
    let mut stream = rows.execute_stream().await.map_err(|error| script.failed(error))?;
    let has_columns = empty.num_columns() > 0;
    let (mut shown, mut num_shown, mut num_rows) = (vec![empty], 0, 0);
    while let Some(batch) = stream.try_next().await.map_err(|error| script.failed(error))? {
        num_rows += batch.num_rows();
        let more = (SHOWN_ROWS - num_shown).min(batch.num_rows());
        num_shown += more;
        if more > 0 {
            shown.push(batch.slice(0, more));
        }
    }
    if !has_columns {
        return Ok(0);
    }
    let text = pretty_format_batches(&shown).map_err(unwritten)?;
    let mut text = format!("{text}\n");
    if num_shown < num_rows {
        text += &format!(
            "the first {num_shown} of {num_rows} rows; --format csv or json gives all of them\n"
        );
    }
    match writer.write_all(text.as_bytes()).and_then(|()| writer.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(unwritten(error.into()))
        }
        _ => Ok(num_rows as u64),
    }
}

fn is_closed(error: &datafusion::arrow::error::ArrowError) -> bool {
    // CSV loses the kind of the error, and keeps its words.
    match error {
        datafusion::arrow::error::ArrowError::IoError(_, source) => {
            source.kind() == std::io::ErrorKind::BrokenPipe
        }
        other => other.to_string().contains("Broken pipe"),
    }
}

fn unwritten(source: datafusion::arrow::error::ArrowError) -> Error {
    Error::Output { source }
}
