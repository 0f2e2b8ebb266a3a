//! The command line, parsed into a generator and a plan of what to write.

use std::path::PathBuf;

use clap::{ArgGroup, Parser, ValueEnum};
use solder_generate::{Generator, Shape};

use crate::output::{Amount, Format, Plan};

/// Make seeded API payloads: the same arguments always give the same bytes.
#[derive(Debug, Parser)]
#[command(version, group(ArgGroup::new("amount").required(true).args(["records", "bytes"])))]
pub(crate) struct Arguments {
    /// What the records look like
    #[arg(long, value_enum)]
    pub(crate) shape: ShapeName,

    /// How many records to write
    #[arg(long, value_name = "N")]
    records: Option<u64>,

    /// Write records until this size is reached, such as 500MB or 2GiB
    #[arg(long, value_name = "SIZE", value_parser = parse_size_bytes)]
    bytes: Option<u64>,

    /// Another seed gives other values of the same shape
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Framing of the records
    #[arg(long, value_enum, default_value = "ndjson")]
    format: FormatName,

    /// Write files into this folder, which must be new or empty, instead of stdout
    #[arg(long, value_name = "FOLDER", required_if_eq("format", "files"))]
    pub(crate) to: Option<PathBuf>,

    /// How many files to cut the records into
    #[arg(long, value_name = "N", default_value_t = 1, requires = "to")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=100_000))]
    files: u64,

    /// Optional columns of the shape `wide`
    #[arg(long, value_name = "N", default_value_t = 200)]
    columns: u32,

    /// Nesting depth of the shape `deep`, the record itself included
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..))]
    depth: u32,

    /// Arrays of the shape `tables`
    #[arg(long, value_name = "N", default_value_t = 20)]
    tables: u32,
}

impl Arguments {
    pub(crate) fn generator(&self) -> Generator {
        let shape = match self.shape {
            ShapeName::Orders => Shape::Orders,
            ShapeName::Wide => Shape::Wide { columns: self.columns },
            ShapeName::Deep => Shape::Deep { depth: self.depth },
            ShapeName::Events => Shape::Events,
            ShapeName::Drift => Shape::Drift,
            ShapeName::Maps => Shape::Maps,
            ShapeName::Tables => Shape::Tables { tables: self.tables },
        };
        Generator::new(shape, self.seed)
    }

    pub(crate) fn plan(&self) -> Plan {
        Plan {
            amount: match self.bytes {
                Some(size_bytes) => Amount::Bytes(size_bytes),
                None => Amount::Records(self.records.unwrap_or_default()),
            },
            format: match self.format {
                FormatName::Ndjson => Format::Ndjson,
                FormatName::Array => Format::Array,
                FormatName::Files => Format::Files,
            },
            num_files: self.files,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ShapeName {
    /// Shop orders: nested customer, items with discounts, tags, rare refunds
    Orders,
    /// Many optional scalar columns, see --columns
    Wide,
    /// Objects and arrays inside each other, see --depth
    Deep,
    /// Clickstream: many strings, few numbers
    Events,
    /// Types that conflict, fields that appear late
    Drift,
    /// Objects with dynamic keys
    Maps,
    /// Many arrays side by side, see --tables
    Tables,
}

impl ShapeName {
    /// The name as typed; it begins the names of files.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Wide => "wide",
            Self::Deep => "deep",
            Self::Events => "events",
            Self::Drift => "drift",
            Self::Maps => "maps",
            Self::Tables => "tables",
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FormatName {
    /// One record a line
    Ndjson,
    /// One top-level array a file
    Array,
    /// One record a file (needs --to; --files does not apply)
    Files,
}

/// Reads `500MB`, `2GiB`, `64k` or a plain number of bytes. Units are decimal unless they say `i`.
fn parse_size_bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let number: u64 = digits
        .trim()
        .parse()
        .map_err(|_| format!("`{text}` does not begin with a whole number"))?;
    let unit: u64 = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        unit => {
            return Err(format!("unit `{unit}` is none of B, kB, MB, GB, KiB, MiB, GiB"));
        }
    };
    number.checked_mul(unit).ok_or_else(|| format!("`{text}` is beyond 64 bits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_consistent() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }

    #[test]
    fn sizes_have_units() {
        for (text, size_bytes) in
            [("17", 17), ("64k", 64_000), ("500MB", 500_000_000), ("2GiB", 2 << 30), ("3 kb", 3000)]
        {
            assert_eq!(parse_size_bytes(text), Ok(size_bytes), "{text}");
        }
        for text in ["", "MB", "1.5GB", "5XB", "99999999999GB", "-1"] {
            assert!(parse_size_bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn files_need_a_folder_and_one_amount() {
        for line in [
            "generate --shape orders",
            "generate --shape orders --records 1 --bytes 1",
            "generate --shape orders --records 1 --format files",
            "generate --shape orders --records 1 --files 2",
            "generate --shape deep --records 1 --depth 0",
        ] {
            assert!(Arguments::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
        assert!(Arguments::try_parse_from("generate --shape drift --records 1".split(' ')).is_ok());
    }

    #[test]
    fn shape_names_are_as_typed() {
        for shape in ShapeName::value_variants() {
            let typed = shape.to_possible_value().map(|value| value.get_name().to_owned());
            assert_eq!(typed.as_deref(), Some(shape.as_str()));
        }
    }
}
