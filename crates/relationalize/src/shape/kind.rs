//! What was seen at a JSON path, and the column type that holds all of it (R12, R13).

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

use serde::{Deserialize, Serialize};

/// A set of the kinds of JSON value seen at one path; grows only.
///
/// Numbers are told apart by what it takes to hold them without loss.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Kinds(u16);

impl Kinds {
    /// `null`.
    pub const NULL: Kinds = Kinds(1);
    /// `true`, `false`.
    pub const BOOLEAN: Kinds = Kinds(1 << 1);
    /// An integer that float64 holds exactly, whatever its neighbours: |x| <= 2^53.
    pub const INTEGER: Kinds = Kinds(1 << 2);
    /// An integer within int64, but beyond 2^53.
    pub const LONG: Kinds = Kinds(1 << 3);
    /// An integer beyond int64, of at most 38 digits.
    pub const BIG: Kinds = Kinds(1 << 4);
    /// A number with a fraction or an exponent.
    pub const FLOAT: Kinds = Kinds(1 << 5);
    /// A number that no numeric type here holds: more than 38 digits, 1e400.
    pub const NUMBER: Kinds = Kinds(1 << 6);
    /// A string.
    pub const STRING: Kinds = Kinds(1 << 7);
    /// A string that is an RFC 3339 timestamp, where `--timestamps` looks for them.
    pub const TIMESTAMP: Kinds = Kinds(1 << 8);
    /// An object whose members became columns.
    pub const OBJECT: Kinds = Kinds(1 << 9);
    /// An array.
    pub const ARRAY: Kinds = Kinds(1 << 10);
    /// An object used as a map (R10).
    pub const MAP: Kinds = Kinds(1 << 11);

    const NUMBERS: Kinds =
        Kinds(Self::INTEGER.0 | Self::LONG.0 | Self::BIG.0 | Self::FLOAT.0 | Self::NUMBER.0);
    const STRINGS: Kinds = Kinds(Self::STRING.0 | Self::TIMESTAMP.0);
    const SCALARS: Kinds = Kinds(Self::BOOLEAN.0 | Self::NUMBERS.0 | Self::STRINGS.0);

    const NAMES: [(Kinds, &'static str); 12] = [
        (Self::NULL, "null"),
        (Self::BOOLEAN, "boolean"),
        (Self::INTEGER, "integer"),
        (Self::LONG, "long"),
        (Self::BIG, "big_integer"),
        (Self::FLOAT, "float"),
        (Self::NUMBER, "number"),
        (Self::STRING, "string"),
        (Self::TIMESTAMP, "timestamp"),
        (Self::OBJECT, "object"),
        (Self::ARRAY, "array"),
        (Self::MAP, "map"),
    ];

    /// The empty set.
    pub const fn none() -> Kinds {
        Kinds(0)
    }

    /// Whether every kind of `other` is in this set.
    pub const fn contains(self, other: Kinds) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any kind of `other` is in this set.
    pub const fn intersects(self, other: Kinds) -> bool {
        self.0 & other.0 != 0
    }

    /// The scalar kinds of this set, null aside.
    pub const fn scalars(self) -> Kinds {
        Kinds(self.0 & Self::SCALARS.0)
    }

    /// Names of the kinds, in a fixed order, as the manifest writes them.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(kind, _)| self.contains(*kind)).map(|(_, name)| name)
    }

    /// The narrowest type that holds every scalar of the set without loss (R13).
    ///
    /// `None` when no scalar was seen (only null, objects or arrays).
    pub fn column_type(self) -> Option<ColumnType> {
        let scalars = self.scalars();
        let has_numbers = scalars.intersects(Self::NUMBERS);
        let has_strings = scalars.intersects(Self::STRINGS);
        let has_booleans = scalars.intersects(Self::BOOLEAN);
        Some(match (has_booleans, has_numbers, has_strings) {
            (false, false, false) => return None,
            (true, false, false) => ColumnType::Boolean,
            (false, false, true) if scalars == Self::TIMESTAMP => ColumnType::Timestamp,
            (false, false, true) => ColumnType::String,
            (false, true, false) => Self::number_type(scalars),
            _ => ColumnType::Mixed,
        })
    }

    fn number_type(scalars: Kinds) -> ColumnType {
        let float = scalars.intersects(Self::FLOAT);
        let beyond_float = scalars.intersects(Kinds(Self::LONG.0 | Self::BIG.0));
        if scalars.intersects(Self::NUMBER) || (float && beyond_float) {
            ColumnType::Number
        } else if float {
            ColumnType::Float64
        } else if scalars.intersects(Self::BIG) {
            ColumnType::Decimal { precision: 38, scale: 0 }
        } else {
            ColumnType::Int64
        }
    }
}

impl BitOr for Kinds {
    type Output = Kinds;
    fn bitor(self, other: Kinds) -> Kinds {
        Kinds(self.0 | other.0)
    }
}

impl BitOrAssign for Kinds {
    fn bitor_assign(&mut self, other: Kinds) {
        self.0 |= other.0;
    }
}

impl fmt::Debug for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

impl Serialize for Kinds {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.names())
    }
}

impl<'de> Deserialize<'de> for Kinds {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut kinds = Kinds::none();
        for name in Vec::<String>::deserialize(deserializer)? {
            let known = Self::NAMES.into_iter().find(|(_, known)| *known == name);
            let (kind, _) = known.ok_or_else(|| {
                serde::de::Error::custom(format_args!("unknown kind of value `{name}`"))
            })?;
            kinds |= kind;
        }
        Ok(kinds)
    }
}

/// The type of a column that holds scalars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    /// `true`, `false`.
    Boolean,
    /// 32-bit signed integers; only generated columns have them (positions, lengths).
    Int32,
    /// 64-bit signed integers.
    Int64,
    /// Decimals of `precision` digits, `scale` of them after the point.
    Decimal {
        /// Digits in all, at most 38.
        precision: u8,
        /// Digits after the point.
        scale: i8,
    },
    /// 64-bit binary floating point.
    Float64,
    /// Strings.
    String,
    /// Numbers kept as their text, since no numeric type holds them all.
    Number,
    /// Scalars of several kinds as text, with a `__type` column beside them.
    Mixed,
    /// Microseconds since 1970-01-01T00:00:00Z.
    Timestamp,
    /// Days since 1970-01-01.
    Date,
    /// A subtree kept as JSON text.
    Json,
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ColumnType::Boolean => f.write_str("boolean"),
            ColumnType::Int32 => f.write_str("int32"),
            ColumnType::Int64 => f.write_str("int64"),
            ColumnType::Decimal { precision, scale } => write!(f, "decimal({precision},{scale})"),
            ColumnType::Float64 => f.write_str("float64"),
            ColumnType::String => f.write_str("string"),
            ColumnType::Number => f.write_str("number (as text)"),
            ColumnType::Mixed => f.write_str("mixed (as text)"),
            ColumnType::Timestamp => f.write_str("timestamp"),
            ColumnType::Date => f.write_str("date"),
            ColumnType::Json => f.write_str("json (as text)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    /// R12, R13: the table of types that meet.
    #[rstest]
    #[case(Kinds::NULL, None)]
    #[case(Kinds::NULL | Kinds::OBJECT, None)]
    #[case(Kinds::NULL | Kinds::BOOLEAN, Some(ColumnType::Boolean))]
    #[case(Kinds::INTEGER, Some(ColumnType::Int64))]
    #[case(Kinds::INTEGER | Kinds::LONG, Some(ColumnType::Int64))]
    #[case(Kinds::INTEGER | Kinds::BIG, Some(ColumnType::Decimal { precision: 38, scale: 0 }))]
    #[case(Kinds::INTEGER | Kinds::FLOAT, Some(ColumnType::Float64))]
    #[case(Kinds::LONG | Kinds::FLOAT, Some(ColumnType::Number))]
    #[case(Kinds::BIG | Kinds::FLOAT, Some(ColumnType::Number))]
    #[case(Kinds::FLOAT | Kinds::NUMBER, Some(ColumnType::Number))]
    #[case(Kinds::STRING, Some(ColumnType::String))]
    #[case(Kinds::TIMESTAMP, Some(ColumnType::Timestamp))]
    #[case(Kinds::TIMESTAMP | Kinds::STRING, Some(ColumnType::String))]
    #[case(Kinds::STRING | Kinds::INTEGER, Some(ColumnType::Mixed))]
    #[case(Kinds::BOOLEAN | Kinds::INTEGER, Some(ColumnType::Mixed))]
    #[case(Kinds::BOOLEAN | Kinds::STRING, Some(ColumnType::Mixed))]
    #[case(Kinds::TIMESTAMP | Kinds::FLOAT, Some(ColumnType::Mixed))]
    fn r13_types_that_meet(#[case] kinds: Kinds, #[case] expected: Option<ColumnType>) {
        assert_eq!(kinds.column_type(), expected);
    }
}
