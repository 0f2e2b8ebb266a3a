//! How Parquet is written: the same for every file (R19).

use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};

use crate::relation::{Column, Role};

/// The properties of every Parquet file that Solder writes: zstd, statistics on.
pub fn writer_properties() -> WriterProperties {
    builder().build()
}

fn builder() -> WriterPropertiesBuilder {
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_created_by(concat!("solder ", env!("CARGO_PKG_VERSION")).to_owned())
}

/// The properties of one column: numbers that the engine counts itself go in small steps, which is
/// what delta encoding is for; looking each of them up in a dictionary costs more and gives less.
pub fn column_properties(column: &Column) -> WriterProperties {
    match column.role {
        Role::Sequence | Role::Index(_) | Role::GlueId | Role::GlueIndex | Role::GlueJoin => {
            builder()
                .set_dictionary_enabled(false)
                .set_encoding(Encoding::DELTA_BINARY_PACKED)
                .build()
        }
        _ => builder().build(),
    }
}
