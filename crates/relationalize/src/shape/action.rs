//! What a user asked for at a path: `--resolve 'PATH=ACTION'`, in the words of AWS Glue's
//! ResolveChoice (R14).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::kind::ColumnType;

/// How the values at one path are kept, where the default rules are not wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Every scalar is converted to the type; what cannot be goes the way of `--on-cast-error`.
    Cast(ColumnType),
    /// One column per kind of scalar: `price_long`, `price_string`.
    MakeColumns,
    /// One struct column with a field per kind of scalar.
    MakeStruct,
    /// Only scalars of the type are kept, the others become null and are counted.
    Project(ColumnType),
    /// The subtree is kept as JSON text in one column.
    Json,
    /// An array of scalars is kept as a Parquet list.
    List,
    /// The subtree is left out.
    Drop,
}

/// An action that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActionError {
    /// The word is not an action.
    #[error(
        "unknown action `{0}`; there are `cast:TYPE`, `project:TYPE`, `make_cols`, `make_struct`, \
         `json`, `list` and `drop`"
    )]
    Unknown(String),
    /// The type of a cast or projection is none.
    #[error(
        "unknown type `{0}`; there are `string`, `long`, `double`, `boolean`, `timestamp`, `date`, \
         `decimal` and `decimal(PRECISION,SCALE)`"
    )]
    Type(String),
    /// A projection names a type that values never have by themselves.
    #[error("`project:{0}` keeps nothing: JSON has no values of that type, use `cast:{0}`")]
    Projection(String),
}

impl FromStr for Action {
    type Err = ActionError;

    fn from_str(text: &str) -> Result<Self, ActionError> {
        match text.split_once(':') {
            Some(("cast", name)) => Ok(Action::Cast(parse_type(name)?)),
            Some(("project", name)) => match parse_type(name)? {
                ColumnType::Timestamp | ColumnType::Date => {
                    Err(ActionError::Projection(name.to_owned()))
                }
                ColumnType::Decimal { precision: 38, scale: 0 } => {
                    Ok(Action::Project(ColumnType::Decimal { precision: 38, scale: 0 }))
                }
                ColumnType::Decimal { .. } => Err(ActionError::Projection(name.to_owned())),
                column_type => Ok(Action::Project(column_type)),
            },
            _ => match text {
                "make_cols" => Ok(Action::MakeColumns),
                "make_struct" => Ok(Action::MakeStruct),
                "json" => Ok(Action::Json),
                "list" => Ok(Action::List),
                "drop" => Ok(Action::Drop),
                _ => Err(ActionError::Unknown(text.to_owned())),
            },
        }
    }
}

fn parse_type(name: &str) -> Result<ColumnType, ActionError> {
    let unknown = || ActionError::Type(name.to_owned());
    Ok(match name.trim() {
        "string" => ColumnType::String,
        "int" | "integer" | "long" | "bigint" | "int64" => ColumnType::Int64,
        "double" | "float" | "float64" => ColumnType::Float64,
        "boolean" | "bool" => ColumnType::Boolean,
        "timestamp" => ColumnType::Timestamp,
        "date" => ColumnType::Date,
        "decimal" => ColumnType::Decimal { precision: 38, scale: 0 },
        other => {
            let digits = other.strip_prefix("decimal(").and_then(|rest| rest.strip_suffix(')'));
            let (precision, scale) = digits.and_then(|d| d.split_once(',')).ok_or_else(unknown)?;
            let precision: u8 = precision.trim().parse().map_err(|_| unknown())?;
            let scale: i8 = scale.trim().parse().map_err(|_| unknown())?;
            if !(1..=38).contains(&precision) || scale < 0 || scale > precision as i8 {
                return Err(unknown());
            }
            ColumnType::Decimal { precision, scale }
        }
    })
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |column_type: &ColumnType| match column_type {
            ColumnType::Int64 => "long".to_owned(),
            ColumnType::Float64 => "double".to_owned(),
            other => other.to_string(),
        };
        match self {
            Action::Cast(column_type) => write!(f, "cast:{}", name(column_type)),
            Action::Project(column_type) => write!(f, "project:{}", name(column_type)),
            Action::MakeColumns => f.write_str("make_cols"),
            Action::MakeStruct => f.write_str("make_struct"),
            Action::Json => f.write_str("json"),
            Action::List => f.write_str("list"),
            Action::Drop => f.write_str("drop"),
        }
    }
}

impl Serialize for Action {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Action {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    /// R14: every action survives being written and read.
    #[rstest]
    #[case("cast:string")]
    #[case("cast:long")]
    #[case("cast:decimal(10,2)")]
    #[case("project:double")]
    #[case("make_cols")]
    #[case("make_struct")]
    #[case("json")]
    #[case("list")]
    #[case("drop")]
    fn r14_actions_read_and_write(#[case] text: &str) {
        assert_eq!(text.parse::<Action>().unwrap().to_string(), text);
    }

    #[rstest]
    #[case("cast:money")]
    #[case("cast:decimal(40,2)")]
    #[case("project:date")]
    #[case("explode")]
    fn r14_unknown_actions_are_refused(#[case] text: &str) {
        assert!(text.parse::<Action>().is_err());
    }
}
