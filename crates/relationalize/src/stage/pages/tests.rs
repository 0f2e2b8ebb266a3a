//! R19: what is written here is what the library reads.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use arrow_select::concat::concat_batches;
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::statistics::Statistics;
use parquet::file::writer::SerializedFileWriter;
use proptest::prelude::*;

use super::*;
use crate::stage::properties::writer_properties;

/// The rows of some chunks: each row a value or none.
type Chunks<T> = Vec<Vec<Option<T>>>;

/// Writes the chunks as a file of one column, and reads it back; the statistics come along.
fn write_and_read<T: Clone>(
    data_type: DataType,
    values: PageValues,
    page_rows: usize,
    chunks: &Chunks<T>,
    push: impl Fn(&mut PageValues, Vec<T>),
) -> (RecordBatch, Statistics) {
    let schema = Arc::new(Schema::new(vec![Field::new("column", data_type, true)]));
    let parquet_schema = ArrowSchemaConverter::new().convert(&schema).unwrap();
    let mut column = FlatColumn::new(parquet_schema.column(0), values);
    column.page_rows = page_rows;
    for chunk in chunks {
        let mut validity = Validity::default();
        for (row, _) in (0..).zip(chunk).filter(|(_, value)| value.is_some()) {
            validity.push(row);
        }
        push(&mut column.values, chunk.iter().flatten().cloned().collect());
        column.push_rows(&validity, chunk.len() as u32);
        column.end_chunk().unwrap();
    }
    let pages = column.close().unwrap();
    let statistics = pages.close.metadata.statistics().unwrap().clone();
    let properties = Arc::new(writer_properties());
    let root = parquet_schema.root_schema_ptr();
    let mut file = SerializedFileWriter::new(Vec::new(), root, properties).unwrap();
    let mut group = file.next_row_group().unwrap();
    group.append_column(&pages.pages, pages.close).unwrap();
    group.close().unwrap();
    let bytes = Bytes::from(file.into_inner().unwrap());
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    (concat_batches(&schema, &batches).unwrap(), statistics)
}

/// Rows in chunks: values of `value`, and runs of rows with and without one.
fn chunks<T: Clone + std::fmt::Debug>(
    value: impl Strategy<Value = T> + Clone + 'static,
) -> impl Strategy<Value = Chunks<T>> {
    let run = (prop::option::weighted(0.8, value), prop_oneof![Just(1_usize), 1..200_usize])
        .prop_map(|(value, count)| vec![value; count]);
    let chunk = prop::collection::vec(run, 1..20).prop_map(|runs| runs.concat());
    prop::collection::vec(chunk, 1..5)
}

fn integer() -> impl Strategy<Value = i64> + Clone {
    prop_oneof![any::<i64>(), -3..3_i64, Just(i64::MIN), Just(i64::MAX)]
}

fn text() -> impl Strategy<Value = String> + Clone {
    prop_oneof!["[a-c]{0,2}", "\\PC{0,90}", "(shared ){3}[0-9]{2}", "\u{10ffff}{20}"]
}

fn push_texts(values: &mut PageValues, rows: Vec<String>) {
    for run in rows.chunk_by(|a, b| a == b) {
        let text = run.first().map_or("", String::as_str).as_bytes();
        match values {
            PageValues::Texts(texts) => run.iter().for_each(|_| texts.push(text)),
            PageValues::RunTexts(texts) => texts.push_run(text, run.len()),
            _ => unreachable!(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn r19_texts(chunks in chunks(text()), page_rows in 1..2_000_usize, in_runs: bool) {
        let values = match in_runs {
            true => PageValues::RunTexts(RunTexts::default()),
            false => PageValues::Texts(Texts::new()),
        };
        let (batch, statistics) =
            write_and_read(DataType::Utf8, values, page_rows, &chunks, push_texts);
        let found = batch.column(0).as_string::<i32>();
        let rows: Vec<Option<&str>> = found.iter().collect();
        let expected: Vec<Option<&str>> = chunks.iter().flatten().map(Option::as_deref).collect();
        prop_assert_eq!(&rows, &expected);
        prop_assert_eq!(statistics.null_count_opt(), Some(found.null_count() as u64));
        let bounds = (statistics.min_bytes_opt(), statistics.max_bytes_opt());
        for text in expected.into_iter().flatten() {
            prop_assert!(bounds.0.is_some_and(|least| least <= text.as_bytes()));
            // No text of 64 bytes is greater than some.
            prop_assert!(bounds.1.is_none_or(|greatest| greatest >= text.as_bytes()));
        }
    }

    #[test]
    fn r19_integers(
        chunks in chunks(integer()),
        page_rows in 1..2_000_usize,
        tries_dictionary: bool,
    ) {
        let values = PageValues::Numbers(Numbers::new(Physical::Int64, tries_dictionary));
        let (batch, statistics) =
            write_and_read(DataType::Int64, values, page_rows, &chunks, |values, rows| match values {
                PageValues::Numbers(numbers) => numbers.push_integers(rows.into_iter()),
                _ => unreachable!(),
            });
        let expected: Vec<Option<i64>> = chunks.concat();
        let found: Vec<Option<i64>> = batch.column(0).as_primitive::<Int64Type>().iter().collect();
        prop_assert_eq!(found, &*expected);
        let Statistics::Int64(statistics) = statistics else { unreachable!() };
        prop_assert_eq!(statistics.min_opt().copied(), expected.iter().flatten().min().copied());
        prop_assert_eq!(statistics.max_opt().copied(), expected.iter().flatten().max().copied());
    }

    #[test]
    fn r19_positions(
        chunks in chunks(prop_oneof![0..20_i32, 0..=i32::MAX]),
        page_rows in 1..2_000_usize,
        tries_dictionary: bool,
    ) {
        let values = PageValues::Numbers(Numbers::new(Physical::Int32, tries_dictionary));
        let (batch, _) =
            write_and_read(DataType::Int32, values, page_rows, &chunks, |values, rows| match values {
                PageValues::Numbers(numbers) => {
                    numbers.push_integers(rows.into_iter().map(i64::from));
                }
                _ => unreachable!(),
            });
        let found: Vec<Option<i32>> = batch.column(0).as_primitive::<Int32Type>().iter().collect();
        prop_assert_eq!(found, chunks.concat());
    }

    #[test]
    fn r19_floats(
        chunks in chunks(prop_oneof![prop::num::f64::NORMAL, Just(-0.0), Just(0.0), Just(19.99)]),
        page_rows in 1..2_000_usize,
    ) {
        let values = PageValues::Numbers(Numbers::new(Physical::Double, true));
        let (batch, statistics) =
            write_and_read(DataType::Float64, values, page_rows, &chunks, |values, rows| match values {
                PageValues::Numbers(numbers) => numbers.push_floats(rows.into_iter()),
                _ => unreachable!(),
            });
        let bits = |value: Option<f64>| value.map(f64::to_bits);
        let found = batch.column(0).as_primitive::<Float64Type>();
        let found: Vec<Option<u64>> = found.iter().map(bits).collect();
        let expected: Vec<Option<u64>> = chunks.concat().into_iter().map(bits).collect();
        prop_assert_eq!(found, expected);
        let Statistics::Double(statistics) = statistics else { unreachable!() };
        for value in chunks.concat().into_iter().flatten() {
            prop_assert!(statistics.min_opt().is_some_and(|least| *least <= value));
            prop_assert!(statistics.max_opt().is_some_and(|greatest| *greatest >= value));
        }
    }

    #[test]
    fn r19_booleans(chunks in chunks(any::<bool>()), page_rows in 1..2_000_usize) {
        let values = PageValues::Booleans(Booleans::default());
        let (batch, _) =
            write_and_read(DataType::Boolean, values, page_rows, &chunks, |values, rows| match values {
                PageValues::Booleans(booleans) => booleans.push(rows.into_iter()),
                _ => unreachable!(),
            });
        let found: Vec<Option<bool>> = batch.column(0).as_boolean().iter().collect();
        prop_assert_eq!(found, chunks.concat());
    }
}

/// A dictionary that is full stays, and the values behind it are plain.
#[test]
fn r19_full_dictionaries() {
    let row = |at: usize| Some(format!("{:0100}", at % 30_000));
    let chunks: Chunks<String> =
        vec![(0..90_000).map(|at| row(at / 3)).collect(), (0..50_000).map(row).collect()];
    let values = PageValues::Texts(Texts::new());
    let (batch, _) = write_and_read(DataType::Utf8, values, 20_000, &chunks, push_texts);
    let found: Vec<Option<&str>> = batch.column(0).as_string::<i32>().iter().collect();
    assert!(found == chunks.iter().flatten().map(Option::as_deref).collect::<Vec<_>>());
}

/// R19: where the greatest text is cut, what stands for it is not less.
#[test]
fn r19_bounds_of_long_texts() {
    let long = |end: &str| vec![vec![Some("ö".repeat(31) + end)]];
    let bounds = |chunks: Chunks<String>| {
        let values = PageValues::Texts(Texts::new());
        let (_, statistics) = write_and_read(DataType::Utf8, values, 1, &chunks, push_texts);
        let text = |bytes: Option<&[u8]>| bytes.map(|b| String::from_utf8(b.to_vec()).unwrap());
        let exact = (statistics.min_is_exact(), statistics.max_is_exact());
        (text(statistics.min_bytes_opt()), text(statistics.max_bytes_opt()), exact)
    };
    let (least, greatest, exact) = bounds(long("ab"));
    assert_eq!(
        (least, greatest, exact),
        (Some("ö".repeat(31) + "ab"), Some("ö".repeat(31) + "ab"), (true, true))
    );
    let (least, greatest, exact) = bounds(long("abc"));
    assert_eq!(
        (least, greatest, exact),
        (Some("ö".repeat(31) + "ab"), Some("ö".repeat(31) + "ac"), (false, false))
    );
    let (_, greatest, _) = bounds(long("ö\u{10ffff}\u{10ffff}"));
    assert_eq!(greatest, Some("ö".repeat(31) + "÷"));
}
