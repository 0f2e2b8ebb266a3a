//! Body → lines: what is kept of a page, and how.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use async_trait::async_trait;
use xxhash_rust::xxh3::xxh3_128;

use super::known::{Fingerprint, Known, Seen, shorten};
use super::slices::{ParentRecord, parent_record};
use super::spool::Spool;
use super::unit::Oddities;
use crate::cursor::{Cursor, CursorRange};
use crate::http::{AnswerHead, Reader};
use crate::http::{Body, ReadError};
use crate::page::{Decoder, JsonPath, Limits, Records, find, text_of};
use crate::secrets::Redactor;
use crate::source::plan::{Parent, Stream};

/// The longest record.
const MAX_RECORD_BYTES: usize = 256 << 20;
/// Lines that are written to the spool at one time.
const BUFFER_BYTES: usize = 256 << 10;

/// What a page is read by.
pub(crate) struct PageRules<'a> {
    pub(crate) stream: &'a Stream,
    /// The paths of the body that pagination and rules ask for.
    pub(crate) watched: Vec<JsonPath>,
    pub(crate) redactor: &'a Redactor,
    pub(crate) max_body_bytes: u64,
    /// Streams whose parent this one is.
    pub(crate) children: &'a [(usize, Parent)],
    /// Older records are left out, where the server cannot be asked to.
    pub(crate) not_before: Option<Cursor>,
    /// What begins each record: `"_repo":"apache/arrow",`.
    pub(crate) added: Vec<u8>,
}

/// A page that was read.
pub(crate) struct Page {
    /// The lines that are kept.
    pub(crate) lines: Spool,
    pub(crate) num_records: u64,
    pub(crate) num_kept: u64,
    pub(crate) oddities: Oddities,
    /// The lowest and the highest cursor that were met.
    pub(crate) cursors: Option<CursorRange>,
    /// And those of the lines that are kept.
    pub(crate) kept_cursors: Option<CursorRange>,
    /// The records met, with their cursors; of streams with a key, or those with a cursor.
    pub(crate) met: Vec<Seen>,
    /// Those of them that were known, where they are counted.
    pub(crate) repeated: HashMap<Fingerprint, u64>,
    pub(crate) last_record: Option<Vec<u8>>,
    pub(crate) parents: Vec<(usize, ParentRecord)>,
    pub(crate) records_found: bool,
    /// A hash of all records.
    pub(crate) content: u64,
    watched: Vec<(JsonPath, Option<Box<[u8]>>)>,
}

impl Page {
    pub(crate) fn empty() -> Self {
        Self {
            lines: Spool::default(),
            num_records: 0,
            num_kept: 0,
            oddities: Oddities::default(),
            cursors: None,
            kept_cursors: None,
            met: Vec::new(),
            repeated: HashMap::new(),
            last_record: None,
            parents: Vec::new(),
            records_found: false,
            content: 0,
            watched: Vec::new(),
        }
    }

    /// The raw JSON at a watched path.
    pub(crate) fn value(&self, path: &JsonPath) -> Option<&[u8]> {
        let watched = self.watched.iter().find(|(other, _)| other == path);
        watched.and_then(|(_, value)| value.as_deref())
    }
}

/// Reads pages, one attempt after the other.
pub(crate) struct PageReader<'a> {
    rules: &'a PageRules<'a>,
    known: &'a Known,
    page: Page,
    buffer: Vec<u8>,
    hasher: DefaultHasher,
}

impl<'a> PageReader<'a> {
    pub(crate) fn new(rules: &'a PageRules<'a>, known: &'a Known) -> Self {
        let hasher = DefaultHasher::new();
        Self { rules, known, page: Page::empty(), buffer: Vec::new(), hasher }
    }

    pub(crate) fn into_page(self) -> Page {
        self.page
    }

    fn take(&mut self, records: &Records) -> Result<(), ReadError> {
        for record in records.iter() {
            self.take_record(record)?;
            if self.buffer.len() >= BUFFER_BYTES {
                self.flush()?;
            }
        }
        if let Some(last) = records.last() {
            self.page.last_record = Some(last.to_vec());
        }
        Ok(())
    }

    fn take_record(&mut self, record: &[u8]) -> Result<(), ReadError> {
        let stream = self.rules.stream;
        self.page.num_records += 1;
        let fingerprint = xxh3_128(record);
        fingerprint.hash(&mut self.hasher);
        let cursor = self.cursor(record)?;
        if let Some(cursor) = &cursor {
            if self.rules.not_before.as_ref().is_some_and(|start| cursor < start) {
                self.page.oddities.num_older += 1;
                return Ok(());
            }
            CursorRange::include(&mut self.page.cursors, cursor);
        }
        // Without a key, a record that cannot be placed in time may be another of the same bytes.
        if !stream.primary_key.is_empty() || cursor.is_some() {
            let num_on_page = self.page.repeated.get(&fingerprint).copied().unwrap_or(0);
            let is_known = self.known.contains(fingerprint, num_on_page);
            let met = &mut self.page.met;
            met.push((fingerprint, cursor.clone()));
            shorten(met);
            if is_known {
                if stream.primary_key.is_empty() {
                    *self.page.repeated.entry(fingerprint).or_default() += 1;
                }
                self.page.oddities.num_repeated += 1;
                return Ok(());
            }
        }
        if let Some(cursor) = &cursor {
            CursorRange::include(&mut self.page.kept_cursors, cursor);
        }
        for (child, parent) in self.rules.children {
            self.page.parents.push((*child, parent_record(parent, record)));
        }
        self.page.num_kept += 1;
        let begin = self.buffer.len();
        self.write(record);
        if let Some(clean) = self.rules.redactor.clean_bytes(&self.buffer[begin..]) {
            self.page.oddities.num_redacted += 1;
            self.buffer.truncate(begin);
            self.buffer.extend_from_slice(&clean);
        }
        self.buffer.push(b'\n');
        Ok(())
    }

    /// The record's own bytes, with the added fields at its beginning.
    fn write(&mut self, record: &[u8]) {
        let added = &self.rules.added;
        match record.strip_prefix(b"{") {
            Some(rest) if !added.is_empty() => {
                self.buffer.push(b'{');
                let is_empty = rest.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'}');
                let comma = usize::from(is_empty);
                self.buffer.extend_from_slice(&added[..added.len() - comma]);
                self.buffer.extend_from_slice(rest);
            }
            _ => self.buffer.extend_from_slice(record),
        }
    }

    fn cursor(&self, record: &[u8]) -> Result<Option<Cursor>, ReadError> {
        let Some(incremental) = &self.rules.stream.incremental else { return Ok(None) };
        let Some(text) = find(record, &incremental.cursor).and_then(text_of) else {
            return Ok(None);
        };
        let cursor = incremental.format.parse(&text).map_err(|source| ReadError::Cursor {
            number: self.page.num_records,
            path: incremental.cursor.to_string(),
            source,
        })?;
        Ok(Some(cursor))
    }

    fn flush(&mut self) -> Result<(), ReadError> {
        self.page.lines.append(&self.buffer).map_err(ReadError::Spool)?;
        self.buffer.clear();
        Ok(())
    }
}

#[async_trait]
impl Reader for PageReader<'_> {
    async fn read(&mut self, _: &AnswerHead, body: &mut dyn Body) -> Result<(), ReadError> {
        self.page = Page::empty();
        self.buffer.clear();
        self.hasher = DefaultHasher::new();
        let limits = Limits {
            max_body_bytes: self.rules.max_body_bytes,
            max_record_bytes: MAX_RECORD_BYTES,
        };
        let stream = self.rules.stream;
        let mut decoder =
            Decoder::new(&stream.format, &stream.records, &self.rules.watched, limits);
        let mut records = Records::default();
        while let Some(chunk) = body.chunk().await? {
            decoder.feed(&chunk, &mut records, &mut |full| -> Result<(), ReadError> {
                self.take(full)?;
                full.clear();
                Ok(())
            })?;
            self.take(&records)?;
            records.clear();
        }
        let end = decoder.finish(&mut records)?;
        self.take(&records)?;
        self.flush()?;
        self.page.records_found = end.records_found;
        self.page.content = self.hasher.finish();
        self.page.watched = self.rules.watched.iter().cloned().zip(end.watched).collect();
        Ok(())
    }

    fn value(&self, path: &JsonPath) -> Option<Vec<u8>> {
        self.page.value(path).map(<[u8]>::to_vec)
    }
}
