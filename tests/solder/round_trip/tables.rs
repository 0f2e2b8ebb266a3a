//! Committed tables, read back for comparison.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_select::concat::concat_batches;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use solder_relationalize::Crew;
use solder_relationalize::curated::{Curated, DataFile};
use solder_relationalize::relation::{Column, arrow_schema};

use super::ByName;

/// The tables of a place, without what speaks of files rather than of records.
pub(super) struct Tables {
    /// Path of every table, the table above it, and the names of its columns in order.
    pub column_names: BTreeMap<String, (String, Option<String>, Vec<String>)>,
    /// What every column means and holds, all rows in order.
    pub columns: ByName<(Column, ArrayRef)>,
    /// The bytes of the bad records, in order.
    pub quarantine: Vec<Vec<u8>>,
}

impl Tables {
    /// Reads the tables of a place. The files of a table have one schema, which is that of its
    /// layout (R19), and as many rows as the manifest says.
    pub(super) fn read(folder: &Path, crew: &Crew, with_key: bool) -> Tables {
        let place = folder.join("curated");
        let curated = Curated::open(crew.io.clone(), place.to_str().unwrap()).unwrap();
        let manifest = curated.latest().unwrap();
        let mut tables = Tables {
            column_names: BTreeMap::new(),
            columns: BTreeMap::new(),
            quarantine: Vec::new(),
        };
        for entity in manifest.entities.values() {
            let layout = curated.shape(entity).unwrap().layout;
            // Parquet without columns does not know how many rows it has.
            for table in layout.tables.iter().filter(|table| !table.columns.is_empty()) {
                let schema = arrow_schema(table);
                let batches = entity.tables[&table.name].iter().flat_map(|file| {
                    let batches = read(&place, file);
                    batches
                        .iter()
                        .for_each(|batch| assert_eq!(batch.schema().fields(), schema.fields()));
                    batches
                });
                let batches: Vec<RecordBatch> = batches
                    .map(|batch| {
                        RecordBatch::try_new(schema.clone(), batch.columns().to_vec()).unwrap()
                    })
                    .collect();
                let rows = concat_batches(&schema, &batches).unwrap();
                let mut names = Vec::new();
                for (column, values) in table.columns.iter().zip(rows.columns()) {
                    names.push(column.name.clone());
                    let of_file = ["_row_id", "_root_row_id"].contains(&column.name.as_str());
                    if with_key || !of_file {
                        let name = (table.name.clone(), column.name.clone());
                        tables.columns.insert(name, (column.clone(), values.clone()));
                    }
                }
                let parent = table.parent.map(|parent| layout.tables[parent].name.clone());
                tables.column_names.insert(table.name.clone(), (table.path.clone(), parent, names));
            }
        }
        for file in &manifest.quarantine {
            for batch in read(&place, file) {
                let raw = batch.column_by_name("raw").unwrap().as_binary::<i32>().clone();
                tables.quarantine.extend((0..raw.len()).map(|row| raw.value(row).to_vec()));
            }
        }
        tables
    }
}

fn read(place: &Path, file: &DataFile) -> Vec<RecordBatch> {
    let opened = File::open(place.join(&file.key)).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(opened).unwrap().build().unwrap();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    let num_rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(num_rows as u64, file.num_rows);
    batches
}
