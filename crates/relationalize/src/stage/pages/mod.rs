//! A flat column as Parquet pages, straight from packed values.
//!
//! ```text
//!   values, one per valid row ──▶ numbers of a dictionary ──┐
//!                                 or deltas, or plain bytes ├──▶ page ──▶ zstd ──▶ column chunk
//!   which rows are valid ───────▶ definition levels ────────┘
//! ```
//!
//! The Parquet library takes Arrow arrays, a slot for every row, and looks every value up by a hash of
//! its own: half of the time of a run. Here a value is looked at once, and rows without a value cost a
//! bit. Lists, structs and decimals still go through the library, and so do files and their metadata.

mod bits;
mod dictionary;
mod levels;
#[cfg(test)]
mod tests;
mod values;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read};

use bytes::{Buf, Bytes};
use parquet::basic::{Compression, Encoding, PageType, ZstdLevel};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, OffsetIndexBuilder, PageEncodingStats};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

use crate::shred::Validity;

use levels::Levels;
pub use values::{Booleans, Numbers, Physical, RunTexts, Texts};

/// A page ends behind the chunk that brings it to so many rows,
const PAGE_ROWS: usize = 20_000;
/// or to so many bytes before compression.
const PAGE_BYTES: usize = 256 << 10;

/// Values on their way into the pages of one column chunk.
pub struct FlatColumn {
    descriptor: ColumnDescPtr,
    levels: Levels,
    /// The values.
    pub values: PageValues,
    /// Pages that are complete.
    pages: Vec<WrittenPage>,
    pages_bytes: usize,
    page_rows: usize,
    num_rows: usize,
    num_nulls: usize,
}

/// A page as it lies in a file, its header first.
struct WrittenPage {
    bytes: Bytes,
    /// Its size before compression, header included.
    uncompressed_bytes: usize,
    page_type: PageType,
    encoding: Encoding,
    num_rows: usize,
}

/// The values of a column by their physical type.
pub enum PageValues {
    /// Strings.
    Texts(Texts),
    /// Strings that come in runs.
    RunTexts(RunTexts),
    /// Integers, floats and timestamps.
    Numbers(Numbers),
    /// Booleans.
    Booleans(Booleans),
}

/// A column chunk as it lies in a file.
pub struct EncodedPages {
    /// Pages with their headers, the dictionary first.
    pub pages: PageChain,
    /// What the file says of them.
    pub close: ColumnCloseResult,
}

/// Pages one after another, never brought together in memory.
pub struct PageChain(Vec<Bytes>);

impl Length for PageChain {
    fn len(&self) -> u64 {
        self.0.iter().map(|page| page.len() as u64).sum()
    }
}

impl ChunkReader for PageChain {
    type T = Chained;

    fn get_read(&self, start: u64) -> Result<Chained, ParquetError> {
        let mut rest: VecDeque<Bytes> = self.0.iter().cloned().collect();
        let mut skipped = start as usize;
        while let Some(page) = rest.front_mut() {
            let length = page.len().min(skipped);
            page.advance(length);
            skipped -= length;
            if !page.is_empty() {
                break;
            }
            rest.pop_front();
        }
        Ok(Chained(rest))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let mut bytes = Vec::with_capacity(length);
        self.get_read(start)?.take(length as u64).read_to_end(&mut bytes).map_err(external)?;
        Ok(bytes.into())
    }
}

/// Reads a [`PageChain`].
pub struct Chained(VecDeque<Bytes>);

impl Read for Chained {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(page) = self.0.front_mut() else { return Ok(0) };
        let length = page.len().min(buffer.len());
        page.copy_to_slice(buffer.get_mut(..length).unwrap_or_default());
        if page.is_empty() {
            self.0.pop_front();
        }
        Ok(length)
    }
}

impl FlatColumn {
    /// A column without rows.
    pub fn new(descriptor: ColumnDescPtr, values: PageValues) -> FlatColumn {
        FlatColumn {
            descriptor,
            levels: Levels::default(),
            values,
            pages: Vec::new(),
            pages_bytes: 0,
            page_rows: PAGE_ROWS,
            num_rows: 0,
            num_nulls: 0,
        }
    }

    /// Adds rows without a value.
    pub fn push_nulls(&mut self, num_rows: usize) {
        self.levels.push_run(false, num_rows);
    }

    /// Says which of `num_rows` rows hold the values that are pushed for them.
    pub fn push_rows(&mut self, validity: &Validity, num_rows: u32) {
        self.levels.push_validity(validity, num_rows);
    }

    /// Says that `num_rows` rows hold the values that are pushed for them.
    pub fn push_valid_rows(&mut self, num_rows: usize) {
        self.levels.push_run(true, num_rows);
    }

    /// Ends a page where it is large enough; called where levels and values agree.
    ///
    /// # Errors
    ///
    /// The page cannot be compressed.
    pub fn end_chunk(&mut self) -> Result<(), ParquetError> {
        if self.levels.num_rows() >= self.page_rows || self.values.page_bytes() >= PAGE_BYTES {
            self.end_page()?;
        }
        Ok(())
    }

    fn end_page(&mut self) -> Result<(), ParquetError> {
        let num_rows = self.levels.num_rows();
        if num_rows == 0 {
            return Ok(());
        }
        self.num_rows += num_rows;
        self.num_nulls += num_rows - self.levels.num_valid();
        let page = with_scratch(|plain, compressor| {
            self.levels.flush(plain);
            let encoding = self.values.end_page(plain);
            let page = Page::DataPage {
                buf: compressor.compress(plain)?,
                num_values: num_rows as u32,
                encoding,
                def_level_encoding: Encoding::RLE,
                rep_level_encoding: Encoding::RLE,
                statistics: None,
            };
            WrittenPage::new(CompressedPage::new(page, plain.len()), num_rows)
        })?;
        self.pages_bytes += page.bytes.len();
        self.pages.push(page);
        Ok(())
    }

    /// Bytes of memory that pages and dictionary take.
    pub fn memory_bytes(&self) -> usize {
        self.levels.memory_bytes() + self.values.memory_bytes() + self.pages_bytes
    }

    /// The column chunk.
    ///
    /// # Errors
    ///
    /// The last pages cannot be compressed.
    pub fn close(mut self) -> Result<EncodedPages, ParquetError> {
        self.end_page()?;
        let dictionary = with_scratch(|plain, compressor| {
            let Some(num_values) = self.values.write_dictionary(plain) else { return Ok(None) };
            let page = Page::DictionaryPage {
                buf: compressor.compress(plain)?,
                num_values: num_values as u32,
                encoding: Encoding::PLAIN,
                is_sorted: false,
            };
            WrittenPage::new(CompressedPage::new(page, plain.len()), 0).map(Some)
        })?;
        let dictionary_offset = dictionary.as_ref().map(|_| 0);
        let data_offset = dictionary.as_ref().map_or(0, |page| page.bytes.len() as i64);
        let mut encodings = vec![Encoding::RLE];
        let mut page_stats: Vec<PageEncodingStats> = Vec::new();
        let mut index = OffsetIndexBuilder::new();
        let (mut size_bytes, mut uncompressed_bytes) = (0, 0);
        let mut pages = Vec::with_capacity(self.pages.len() + 1);
        for page in dictionary.into_iter().chain(self.pages) {
            let WrittenPage { page_type, encoding, .. } = page;
            if !encodings.contains(&encoding) {
                encodings.push(encoding);
            }
            let same = |stats: &&mut PageEncodingStats| {
                (stats.page_type, stats.encoding) == (page_type, encoding)
            };
            match page_stats.iter_mut().find(same) {
                Some(stats) => stats.count += 1,
                None => page_stats.push(PageEncodingStats { page_type, encoding, count: 1 }),
            }
            if page_type == PageType::DATA_PAGE {
                index.append_offset_and_size(size_bytes as i64, page.bytes.len() as i32);
                index.append_row_count(page.num_rows as i64);
            }
            size_bytes += page.bytes.len();
            uncompressed_bytes += page.uncompressed_bytes;
            pages.push(page.bytes);
        }
        let metadata = ColumnChunkMetaData::builder(self.descriptor)
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_encodings(encodings)
            .set_page_encoding_stats(page_stats)
            .set_total_compressed_size(size_bytes as i64)
            .set_total_uncompressed_size(uncompressed_bytes as i64)
            .set_num_values(self.num_rows as i64)
            .set_data_page_offset(data_offset)
            .set_dictionary_page_offset(dictionary_offset)
            .set_statistics(self.values.statistics(self.num_nulls as u64))
            .build()?;
        let close = ColumnCloseResult {
            bytes_written: size_bytes as u64,
            rows_written: self.num_rows as u64,
            metadata,
            bloom_filter: None,
            column_index: None,
            offset_index: Some(index.build()),
        };
        Ok(EncodedPages { pages: PageChain(pages), close })
    }
}

impl WrittenPage {
    fn new(page: CompressedPage, num_rows: usize) -> Result<WrittenPage, ParquetError> {
        let (page_type, encoding) = (page.page_type(), page.encoding());
        let mut file = TrackedWrite::new(Vec::with_capacity(page.compressed_size() + HEADER_BYTES));
        let mut writer = SerializedPageWriter::new(&mut file);
        let written = writer.write_page(page)?;
        writer.close()?;
        Ok(WrittenPage {
            bytes: file.into_inner()?.into(),
            uncompressed_bytes: written.uncompressed_size,
            page_type,
            encoding,
            num_rows,
        })
    }
}

/// Room for the header of a page.
const HEADER_BYTES: usize = 64;

impl PageValues {
    fn page_bytes(&self) -> usize {
        match self {
            PageValues::Texts(texts) => texts.page_bytes(),
            PageValues::RunTexts(texts) => texts.page_bytes(),
            PageValues::Numbers(numbers) => numbers.page_bytes(),
            PageValues::Booleans(booleans) => booleans.page_bytes(),
        }
    }

    /// Appends the values of the page, and forgets them.
    fn end_page(&mut self, out: &mut Vec<u8>) -> Encoding {
        match self {
            PageValues::Texts(texts) => texts.end_page(out),
            PageValues::RunTexts(texts) => texts.end_page(out),
            PageValues::Numbers(numbers) => numbers.end_page(out),
            PageValues::Booleans(booleans) => booleans.end_page(out),
        }
    }

    fn memory_bytes(&self) -> usize {
        match self {
            PageValues::Texts(texts) => texts.memory_bytes(),
            PageValues::RunTexts(texts) => texts.memory_bytes(),
            PageValues::Numbers(numbers) => numbers.memory_bytes(),
            PageValues::Booleans(booleans) => booleans.page_bytes(),
        }
    }

    /// Appends the dictionary, where there is one; returns its number of entries.
    fn write_dictionary(&self, out: &mut Vec<u8>) -> Option<usize> {
        match self {
            PageValues::Texts(texts) => texts.write_dictionary(out),
            PageValues::Numbers(numbers) => numbers.write_dictionary(out),
            PageValues::RunTexts(_) | PageValues::Booleans(_) => None,
        }
    }

    fn statistics(&self, num_nulls: u64) -> parquet::file::statistics::Statistics {
        match self {
            PageValues::Texts(texts) => texts.statistics(num_nulls),
            PageValues::RunTexts(texts) => texts.statistics(num_nulls),
            PageValues::Numbers(numbers) => numbers.statistics(num_nulls),
            PageValues::Booleans(booleans) => booleans.statistics(num_nulls),
        }
    }
}

/// zstd at the level that the properties of the files say.
struct Compressor(zstd::bulk::Compressor<'static>);

impl Compressor {
    fn compress(&mut self, plain: &[u8]) -> Result<Bytes, ParquetError> {
        self.0.compress(plain).map(Bytes::from).map_err(external)
    }
}

/// What a thread keeps from page to page.
struct Scratch {
    plain: Vec<u8>,
    compressor: Compressor,
}

/// Lets `work` fill a buffer and compress it.
fn with_scratch<T>(
    work: impl FnOnce(&mut Vec<u8>, &mut Compressor) -> Result<T, ParquetError>,
) -> Result<T, ParquetError> {
    thread_local! {
        static SCRATCH: RefCell<Option<Scratch>> = const { RefCell::new(None) };
    }
    SCRATCH.with_borrow_mut(|kept| {
        let scratch = match kept {
            Some(scratch) => scratch,
            None => {
                let level = ZstdLevel::default().compression_level();
                let compressor = zstd::bulk::Compressor::new(level).map_err(external)?;
                kept.insert(Scratch { plain: Vec::new(), compressor: Compressor(compressor) })
            }
        };
        scratch.plain.clear();
        let result = work(&mut scratch.plain, &mut scratch.compressor);
        scratch.plain.shrink_to(KEPT_BYTES);
        result
    })
}

/// Of the buffer for pages, when one was huge.
const KEPT_BYTES: usize = 8 << 20;

fn external(error: io::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}
