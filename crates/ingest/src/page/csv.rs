//! Cuts CSV into records: a row is an object whose values are all strings.
//!
//! | in the file (RFC 4180) | becomes |
//! |---|---|
//! | the first row, when the source names no columns | the keys |
//! | an empty field | `""` |
//! | a field in quotes, with delimiters, line breaks and doubled quotes | its text |
//! | a quote inside a field that does not start with one | itself |
//! | a blank line | nothing |
//! | a row with more or fewer fields than columns, text behind a closing quote, a quote never closed, two columns with one name | a fault |
//!
//! Lines end with LF, CRLF or CR. Bytes that are no UTF-8 are kept; the engine sets such a record aside (trap 18).
//! Memory: the row being read.

use super::Page;
use super::fault::BodyFault;
use super::path::{JsonPath, Step};
use super::records::Records;

#[cfg(test)]
mod tests;

/// A push parser for CSV; see the module.
#[derive(Debug)]
pub(super) struct Rows {
    delimiter: u8,
    max_record_bytes: usize,
    /// What is written before each value: bracket or comma, key, colon and quote. None until the header is read.
    columns: Option<Vec<Vec<u8>>>,
    state: State,
    /// The row being read, as JSON.
    row: Vec<u8>,
    /// The fields of the header being read.
    header: Vec<Vec<u8>>,
    /// Fields of the row that were begun.
    num_fields: usize,
    /// The line of the next byte, and of the row's first.
    line: u64,
    row_line: u64,
    is_after_return: bool,
    num_records: u64,
    /// Offset of the chunk in the body.
    offset: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    RowStart,
    FieldStart,
    Plain,
    Quoted,
    /// Behind a quote inside a field in quotes: its end, or the first of two.
    Quote,
}

impl Rows {
    /// Rows of fields between `delimiter`s; without `columns` the first row names them.
    pub(super) fn new(delimiter: u8, columns: Option<&[String]>, max_record_bytes: usize) -> Self {
        let columns = columns.map(|names| names.iter().enumerate().map(before_value).collect());
        Self {
            delimiter,
            max_record_bytes,
            columns,
            state: State::RowStart,
            row: Vec::new(),
            header: Vec::new(),
            num_fields: 0,
            line: 1,
            row_line: 1,
            is_after_return: false,
            num_records: 0,
            offset: 0,
        }
    }

    pub(super) fn feed(&mut self, chunk: &[u8], into: &mut Records) -> Result<(), BodyFault> {
        let mut at = 0;
        while let Some(&byte) = chunk.get(at) {
            at = self.step(byte, chunk, at, into)?;
        }
        self.offset += chunk.len() as u64;
        Ok(())
    }

    pub(super) fn finish(mut self, into: &mut Records) -> Result<Page, BodyFault> {
        match self.state {
            State::RowStart => {}
            State::FieldStart => {
                self.begin_field();
                self.end_row(into, 0)?;
            }
            State::Plain | State::Quote => self.end_row(into, 0)?,
            State::Quoted => {
                let path = JsonPath::new(vec![Step::Index(self.num_records)]);
                let expected = "a closing quote";
                return Err(BodyFault::CutOff { offset: self.offset, path, expected });
            }
        }
        Ok(Page {
            records_found: self.columns.is_some(),
            num_records: self.num_records,
            num_bytes: self.offset,
            ..Page::default()
        })
    }

    /// One byte, or a run of them inside a field; returns where to go on.
    fn step(
        &mut self,
        byte: u8,
        chunk: &[u8],
        at: usize,
        into: &mut Records,
    ) -> Result<usize, BodyFault> {
        let is_break = byte == b'\n' || byte == b'\r';
        match self.state {
            State::RowStart if is_break => {
                self.count_line(byte);
                return Ok(at + 1);
            }
            State::RowStart => {
                self.is_after_return = false;
                self.row_line = self.line;
                self.num_fields = 0;
                self.row.clear();
                self.state = State::FieldStart;
            }
            State::FieldStart => {
                self.begin_field();
                self.is_after_return = false;
                self.state = if byte == b'"' { State::Quoted } else { State::Plain };
                return Ok(at + usize::from(byte == b'"'));
            }
            State::Quoted if byte == b'"' => {
                self.state = State::Quote;
                return Ok(at + 1);
            }
            State::Quoted => {
                let rest = &chunk[at..];
                let run = &rest[..memchr::memchr(b'"', rest).unwrap_or(rest.len())];
                for at in memchr::memchr2_iter(b'\n', b'\r', run) {
                    self.is_after_return &= at > 0 && run[at - 1] == b'\r' || at == 0;
                    self.count_line(run[at]);
                }
                self.is_after_return &= run.last() == Some(&b'\r');
                self.append(run, at + run.len())?;
                return Ok(at + run.len());
            }
            State::Quote if byte == b'"' => {
                self.append(b"\"", at)?;
                self.is_after_return = false;
                self.state = State::Quoted;
                return Ok(at + 1);
            }
            State::Plain if byte != self.delimiter && !is_break => {
                let rest = &chunk[at..];
                let end = memchr::memchr3(self.delimiter, b'\n', b'\r', rest);
                let run = &rest[..end.unwrap_or(rest.len())];
                self.append(run, at + run.len())?;
                return Ok(at + run.len());
            }
            State::Plain | State::Quote if byte == self.delimiter => {
                self.end_field();
                self.state = State::FieldStart;
                return Ok(at + 1);
            }
            State::Plain | State::Quote if is_break => {
                self.is_after_return = false;
                self.count_line(byte);
                self.end_row(into, at)?;
                self.state = State::RowStart;
                return Ok(at + 1);
            }
            State::Plain | State::Quote => {
                return Err(BodyFault::Quotes {
                    offset: self.offset + at as u64,
                    line: self.row_line,
                    expected: "a delimiter or the end of the line behind a closing quote",
                });
            }
        }
        Ok(at)
    }

    fn count_line(&mut self, line_break: u8) {
        if line_break == b'\r' || !self.is_after_return {
            self.line += 1;
        }
        self.is_after_return = line_break == b'\r';
    }

    fn begin_field(&mut self) {
        match &self.columns {
            None => self.header.push(Vec::new()),
            // Fields without a column are a fault at the end of the row.
            Some(columns) => {
                let before = columns.get(self.num_fields).map_or(&b"\""[..], Vec::as_slice);
                self.row.extend_from_slice(before);
            }
        }
        self.num_fields += 1;
    }

    fn append(&mut self, run: &[u8], at: usize) -> Result<(), BodyFault> {
        let num_bytes = match self.header.last_mut() {
            Some(name) if self.columns.is_none() => {
                name.extend_from_slice(run);
                self.row.len() + name.len()
            }
            _ => {
                escape(run, &mut self.row);
                self.row.len()
            }
        };
        if num_bytes > self.max_record_bytes {
            return Err(self.too_large(at));
        }
        Ok(())
    }

    fn end_field(&mut self) {
        match self.header.last() {
            // Counts the header's bytes for the limit.
            Some(name) if self.columns.is_none() => self.row.extend_from_slice(name),
            _ => self.row.push(b'"'),
        }
    }

    fn end_row(&mut self, into: &mut Records, at: usize) -> Result<(), BodyFault> {
        self.end_field();
        let Some(columns) = &self.columns else {
            self.columns = Some(header_columns(&self.header)?);
            self.header = Vec::new();
            return Ok(());
        };
        if self.num_fields != columns.len() {
            let (expected, found) = (columns.len(), self.num_fields);
            return Err(BodyFault::RaggedRow { line: self.row_line, expected, found });
        }
        self.row.push(b'}');
        if self.row.len() > self.max_record_bytes {
            return Err(self.too_large(at));
        }
        into.push(&self.row);
        self.num_records += 1;
        Ok(())
    }

    fn too_large(&self, at: usize) -> BodyFault {
        BodyFault::RecordTooLarge {
            offset: self.offset + at as u64,
            path: JsonPath::new(vec![Step::Index(self.num_records)]),
            limit_bytes: self.max_record_bytes,
        }
    }
}

fn header_columns(header: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, BodyFault> {
    let mut positions = std::collections::HashMap::new();
    for (index, name) in header.iter().enumerate() {
        if let Some(first) = positions.insert(name, index) {
            return Err(BodyFault::SameColumns { first: first + 1, second: index + 1 });
        }
    }
    Ok(header.iter().enumerate().map(before_value).collect())
}

fn before_value((index, name): (usize, impl AsRef<[u8]>)) -> Vec<u8> {
    let mut before = if index == 0 { b"{\"".to_vec() } else { b",\"".to_vec() };
    escape(name.as_ref(), &mut before);
    before.extend_from_slice(b"\":\"");
    before
}

/// Writes `text` as it stands between the quotes of a JSON string.
fn escape(text: &[u8], into: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)) {
        let byte = rest[at];
        into.extend_from_slice(&rest[..at]);
        match byte {
            b'"' | b'\\' => into.extend_from_slice(&[b'\\', byte]),
            b'\n' => into.extend_from_slice(b"\\n"),
            b'\r' => into.extend_from_slice(b"\\r"),
            b'\t' => into.extend_from_slice(b"\\t"),
            _ => into.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
        }
        rest = &rest[at + 1..];
    }
    into.extend_from_slice(rest);
}
