//! How Parquet is written: the same for every file (R19).

use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};

/// The properties of every Parquet file that Solder writes: zstd, statistics on.
pub fn writer_properties() -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_created_by(concat!("solder ", env!("CARGO_PKG_VERSION")).to_owned())
        .build()
}
