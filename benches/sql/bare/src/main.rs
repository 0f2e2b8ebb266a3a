//! DataFusion and nothing else: registers the Parquet files of every folder below a place as a table, runs one
//! statement, and prints the rows. What `engine sql` is measured against: the same engine, compiled the same way,
//! with the allocator of DataFusion's own command line, and as a process.
//!
//! `bare-datafusion FOLDER THREADS STATEMENT`

#![expect(clippy::print_stdout, reason = "this is the program's output")]

use std::error::Error;
use std::fs;

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, threads, statement] = arguments.as_slice() else {
        return Err("usage: bare-datafusion FOLDER THREADS STATEMENT".into());
    };
    let threads = threads.parse()?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    for batch in runtime.block_on(query(folder, threads, statement))? {
        print(&batch)?;
    }
    Ok(())
}

async fn query(
    folder: &str,
    threads: usize,
    statement: &str,
) -> Result<Vec<RecordBatch>, Box<dyn Error>> {
    let session =
        SessionContext::new_with_config(SessionConfig::new().with_target_partitions(threads));
    for entry in fs::read_dir(folder)? {
        let (name, path) = entry.map(|entry| (entry.file_name(), entry.path()))?;
        let (name, path) = (name.to_string_lossy(), path.to_string_lossy());
        if !name.starts_with('_') {
            session.register_parquet(&*name, &*path, ParquetReadOptions::default()).await?;
        }
    }
    Ok(session.sql(statement).await?.collect().await?)
}

/// The rows, with tabs between values.
fn print(batch: &RecordBatch) -> Result<(), Box<dyn Error>> {
    let options = FormatOptions::default();
    let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options));
    let columns: Vec<_> = columns.collect::<Result<_, _>>()?;
    for row in 0..batch.num_rows() {
        let values: Vec<String> =
            columns.iter().map(|column| column.value(row).to_string()).collect();
        println!("{}", values.join("\t"));
    }
    Ok(())
}
