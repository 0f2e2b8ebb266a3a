//! Conversions that `--resolve 'PATH=cast:TYPE'` asks for (R14). Strict: what does not convert
//! without loss does not convert.

use crate::shape::{ColumnType, Kinds};

use super::column::Scalar;
use super::number::{Integer, parse_float, parse_int, write_integer, write_number};
use super::time::{parse_date, parse_timestamp};

/// A scalar as the record spells it.
#[derive(Clone, Copy, Debug)]
pub enum Spelled<'a> {
    /// `true`, `false`.
    Boolean(bool),
    /// An integer without fraction or exponent.
    Int(&'a [u8]),
    /// Any other number.
    Float(&'a [u8]),
    /// A string, unescaped.
    String(&'a [u8]),
}

impl<'a> Spelled<'a> {
    fn text(self) -> &'a [u8] {
        match self {
            Spelled::Boolean(true) => b"true",
            Spelled::Boolean(false) => b"false",
            Spelled::Int(text) | Spelled::Float(text) | Spelled::String(text) => text,
        }
    }
}

/// `value` as a `to`, or `None` when it does not convert. `scratch` holds rewritten text.
pub fn cast<'a>(
    value: Spelled<'a>,
    to: ColumnType,
    scratch: &'a mut Vec<u8>,
) -> Option<Scalar<'a>> {
    match to {
        ColumnType::String | ColumnType::Json | ColumnType::Mixed | ColumnType::Number => {
            Some(Scalar::String(Kinds::STRING, value.text()))
        }
        ColumnType::Boolean => to_boolean(value).map(Scalar::Boolean),
        ColumnType::Int32 | ColumnType::Int64 => to_integer(value).map(Scalar::Integer),
        ColumnType::Float64 => to_float(value).map(Scalar::Float),
        ColumnType::Timestamp => match value {
            Spelled::String(text) if parse_timestamp(text).is_some() => {
                Some(Scalar::String(Kinds::TIMESTAMP, text))
            }
            _ => None,
        },
        ColumnType::Date => match value {
            Spelled::String(text) if parse_date(text).is_some() => {
                Some(Scalar::String(Kinds::STRING, text))
            }
            _ => None,
        },
        ColumnType::Decimal { precision, scale } => {
            let text = match value {
                Spelled::Boolean(_) => return None,
                other => other.text(),
            };
            let unscaled = parse_decimal(text, precision, scale)?;
            scratch.clear();
            write_decimal(unscaled, scale, scratch);
            Some(Scalar::Number(Kinds::NUMBER, scratch))
        }
    }
}

fn to_boolean(value: Spelled<'_>) -> Option<bool> {
    match value {
        Spelled::Boolean(value) => Some(value),
        other => match other.text() {
            b"1" => Some(true),
            b"0" => Some(false),
            text if text.eq_ignore_ascii_case(b"true") => Some(true),
            text if text.eq_ignore_ascii_case(b"false") => Some(false),
            _ => None,
        },
    }
}

fn to_integer(value: Spelled<'_>) -> Option<i64> {
    match value {
        Spelled::Boolean(value) => Some(i64::from(value)),
        Spelled::Int(text) => match parse_int(text) {
            Integer::Small(value) => Some(value),
            Integer::Big(_) | Integer::Huge => None,
        },
        Spelled::Float(text) | Spelled::String(text) => {
            let unscaled = parse_decimal(text, 38, 0)?;
            i64::try_from(unscaled).ok()
        }
    }
}

fn to_float(value: Spelled<'_>) -> Option<f64> {
    match value {
        Spelled::Boolean(value) => Some(f64::from(u8::from(value))),
        other => {
            let text = other.text();
            // Only numbers as JSON spells them: no `inf`, no `0x10`, no blanks.
            let digits = text.first().is_some_and(|byte| byte.is_ascii_digit() || *byte == b'-');
            if !digits || !text.iter().all(|b| b.is_ascii_digit() || b"+-.eE".contains(b)) {
                return None;
            }
            std::str::from_utf8(text).ok()?.parse::<f64>().ok()?;
            let float = parse_float(text);
            (!float.overflow).then_some(float.value)
        }
    }
}

/// The unscaled value of a decimal number with `scale` digits after the point; `None` when it needs
/// more, exceeds `precision` digits, or is no number.
pub fn parse_decimal(text: &[u8], precision: u8, scale: i8) -> Option<i128> {
    let (negative, rest) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        (b'+', rest) => (false, rest),
        _ => (false, text),
    };
    let (mantissa, exponent) = match rest.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => {
            let (mantissa, exponent) = rest.split_at(at);
            let exponent = std::str::from_utf8(exponent.get(1..)?).ok()?;
            (mantissa, exponent.parse::<i32>().ok()?)
        }
        None => (rest, 0),
    };
    let (whole, fraction) = match mantissa.iter().position(|byte| *byte == b'.') {
        Some(at) => (mantissa.get(..at)?, mantissa.get(at + 1..)?),
        None => (mantissa, [].as_slice()),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    // value = digits * 10^power
    let mut power = exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let mut digits: Vec<u8> = whole.iter().chain(fraction).copied().collect();
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    while digits.len() > 1 && digits.last() == Some(&b'0') {
        digits.pop();
        power = power.checked_add(1)?;
    }
    let digits: &[u8] = {
        let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
        digits.get(zeros..).unwrap_or_default()
    };
    if digits.is_empty() {
        return Some(0);
    }
    let shift = power.checked_add(i32::from(scale))?;
    let length = i32::try_from(digits.len()).ok()?.checked_add(shift)?;
    if shift < 0 || length > i32::from(precision) {
        return None;
    }
    let value = digits.iter().fold(0i128, |value, digit| value * 10 + i128::from(digit - b'0'));
    let value = value * 10i128.pow(u32::try_from(shift).ok()?);
    Some(if negative { -value } else { value })
}

/// The text of a decimal.
pub fn write_decimal(unscaled: i128, scale: i8, out: &mut Vec<u8>) {
    let digits = unscaled.unsigned_abs().to_string();
    let scale = usize::try_from(scale).unwrap_or(0);
    if unscaled < 0 {
        out.push(b'-');
    }
    if scale == 0 {
        out.extend_from_slice(digits.as_bytes());
        return;
    }
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    out.extend_from_slice(whole.as_bytes());
    out.push(b'.');
    out.extend_from_slice(fraction.as_bytes());
}

/// Appends the text that a column of strings holds for a number or boolean.
pub fn write_scalar(value: Scalar<'_>, out: &mut Vec<u8>) {
    match value {
        Scalar::Boolean(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
        Scalar::Integer(value) => write_integer(value, out),
        Scalar::Float(value) => write_number(value, out),
        Scalar::Number(_, text) | Scalar::String(_, text) => out.extend_from_slice(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("12.50", 10, 2, Some(1250))]
    #[case("-12.5", 10, 2, Some(-1250))]
    #[case("12.505", 10, 2, None)]
    #[case("1e3", 10, 2, Some(100_000))]
    #[case("1.5e-1", 10, 2, Some(15))]
    #[case("99999999.99", 10, 2, Some(9_999_999_999))]
    #[case("100000000.00", 10, 2, None)]
    #[case("0.000", 10, 2, Some(0))]
    #[case("1e400", 38, 0, None)]
    #[case("abc", 38, 0, None)]
    #[case("", 38, 0, None)]
    #[case(".", 38, 0, None)]
    fn r14_decimals(
        #[case] text: &str,
        #[case] p: u8,
        #[case] s: i8,
        #[case] expected: Option<i128>,
    ) {
        assert_eq!(parse_decimal(text.as_bytes(), p, s), expected);
    }

    #[rstest]
    #[case(1250, 2, "12.50")]
    #[case(-5, 2, "-0.05")]
    #[case(7, 0, "7")]
    fn decimals_are_written(#[case] unscaled: i128, #[case] scale: i8, #[case] expected: &str) {
        let mut out = Vec::new();
        write_decimal(unscaled, scale, &mut out);
        assert_eq!(out, expected.as_bytes());
    }

    #[rstest]
    #[case(Spelled::String(b"42"), ColumnType::Int64, true)]
    #[case(Spelled::String(b"4 2"), ColumnType::Int64, false)]
    #[case(Spelled::Float(b"42.0"), ColumnType::Int64, true)]
    #[case(Spelled::Float(b"42.5"), ColumnType::Int64, false)]
    #[case(Spelled::Int(b"9223372036854775808"), ColumnType::Int64, false)]
    #[case(Spelled::String(b"nan"), ColumnType::Float64, false)]
    #[case(Spelled::String(b"1e3"), ColumnType::Float64, true)]
    #[case(Spelled::String(b"TRUE"), ColumnType::Boolean, true)]
    #[case(Spelled::String(b"yes"), ColumnType::Boolean, false)]
    #[case(Spelled::String(b"2024-01-01"), ColumnType::Date, true)]
    #[case(Spelled::Int(b"20240101"), ColumnType::Date, false)]
    fn r14_strict_casts(
        #[case] value: Spelled<'_>,
        #[case] to: ColumnType,
        #[case] converts: bool,
    ) {
        assert_eq!(cast(value, to, &mut Vec::new()).is_some(), converts);
    }
}
