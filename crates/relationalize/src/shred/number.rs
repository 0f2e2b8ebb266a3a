//! Numbers: where they end, what they are worth, and how they are written.

use super::tape::{Kind, Part, SyntaxError, SyntaxErrorKind};

/// Finds the end of the number at byte `start`, which is a minus or a digit: the offset behind it
/// and whether it is an `Int` or a `Float`.
#[inline(always)]
pub(super) fn scan_number(text: &[u8], start: usize) -> Result<(usize, Kind), SyntaxError> {
    let first = start + usize::from(text.get(start) == Some(&b'-'));
    let mut at = first;
    while text.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    if at == first {
        return Err(SyntaxError::at(text, at, Part::Number, SyntaxErrorKind::ExpectedDigit));
    }
    if at > first + 1 && text.get(first) == Some(&b'0') {
        return Err(SyntaxError::new(first, SyntaxErrorKind::LeadingZero));
    }
    match text.get(at) {
        Some(b'.' | b'e' | b'E') => Ok((scan_fraction(text, at)?, Kind::Float)),
        _ => Ok((at, Kind::Int)),
    }
}

/// The offset behind a number whose decimal point or exponent is at byte `at`.
fn scan_fraction(text: &[u8], mut at: usize) -> Result<usize, SyntaxError> {
    if text.get(at) == Some(&b'.') {
        at = scan_digits(text, at + 1)?;
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        let has_sign = matches!(text.get(at + 1), Some(b'+' | b'-'));
        at = scan_digits(text, at + 1 + usize::from(has_sign))?;
    }
    Ok(at)
}

/// The offset behind the digits at byte `first`, of which there must be one.
#[inline(always)]
fn scan_digits(text: &[u8], first: usize) -> Result<usize, SyntaxError> {
    let mut at = first;
    while text.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    if at == first {
        return Err(SyntaxError::at(text, at, Part::Number, SyntaxErrorKind::ExpectedDigit));
    }
    Ok(at)
}

/// The value of an integer, by the column type that holds it (R12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Integer {
    /// Fits int64.
    Small(i64),
    /// Beyond int64, at most 38 digits: fits decimal(38).
    Big(i128),
    /// More than 38 digits: only its text holds it.
    Huge,
}

/// The most digits that cannot overflow 64 bits.
pub(super) const MAX_SMALL_DIGITS: usize = 18;

/// The most digits of a decimal(38).
const MAX_BIG_DIGITS: usize = 38;

/// The value of an `Int` token's text; `-0` is 0. Text that is not all digits is [`Integer::Huge`].
#[must_use]
pub fn parse_int(text: &[u8]) -> Integer {
    let (digits, is_negative) = match text {
        [b'-', digits @ ..] => (digits, true),
        digits => (digits, false),
    };
    if digits.is_empty() || digits.len() > MAX_BIG_DIGITS {
        return Integer::Huge;
    }
    if digits.len() <= MAX_SMALL_DIGITS {
        let mut value = 0_i64;
        for &digit in digits {
            let digit = digit.wrapping_sub(b'0');
            if digit > 9 {
                return Integer::Huge;
            }
            value = value * 10 + i64::from(digit);
        }
        return Integer::Small(if is_negative { -value } else { value });
    }
    let mut value = 0_i128;
    for &digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return Integer::Huge;
        }
        value = value * 10 + i128::from(digit);
    }
    let value = if is_negative { -value } else { value };
    i64::try_from(value).map_or(Integer::Big(value), Integer::Small)
}

/// The float64 nearest to a number's text, and what was lost on the way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Float {
    /// The nearest float64; infinite or 0 where `overflow` is set.
    pub value: f64,
    /// Whether the shortest text of `value`, as [`write_number`] writes it, is the same
    /// decimal number as the text that was read; if not, digits were rounded away (R13).
    pub exact: bool,
    /// Whether the number is beyond float64 (`1e400`), or is not 0 and yet too small for it
    /// (`1e-400`): only its text holds it (R13). `exact` is false then.
    pub overflow: bool,
}

/// Decimal numbers of up to 15 digits survive the way through float64.
const MAX_SURE_DIGITS: u32 = 15;

/// Numbers below have at most [`MAX_SURE_DIGITS`] digits.
const MAX_SURE_MANTISSA: u64 = 10_u64.pow(MAX_SURE_DIGITS);

/// The powers of ten that float64 holds exactly.
const POWERS_OF_TEN: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// The value of a `Float` (or `Int`) token's text; for text that is no JSON number the result means
/// nothing.
///
/// Up to 15 significant digits with a small exponent cost one multiplication or division; only
/// other numbers are rendered again and compared.
#[must_use]
pub fn parse_float(text: &[u8]) -> Float {
    match parse_short(text) {
        Some(value) => Float { value, exact: true, overflow: false },
        None => parse_long(text),
    }
}

/// The value where both the digits and the power of ten are exact in float64, so that the one
/// operation between them rounds correctly (and what it gives is exact in the sense of
/// [`Float::exact`]); none where they are not.
#[inline]
fn parse_short(text: &[u8]) -> Option<f64> {
    let (digits, is_negative) = match text {
        [b'-', digits @ ..] => (digits, true),
        digits => (digits, false),
    };
    let mut mantissa = 0_u64;
    let mut num_significant = 0;
    let mut num_fraction = 0_i64;
    let mut fraction_step = 0;
    let mut exponent = 0;
    let mut rest = digits;
    while let [byte, behind @ ..] = rest {
        match byte {
            b'0'..=b'9' => {
                mantissa = mantissa * 10 + u64::from(byte - b'0');
                num_significant += u32::from(mantissa != 0);
                num_fraction += fraction_step;
                if num_significant > MAX_SURE_DIGITS {
                    return None;
                }
            }
            b'.' => fraction_step = 1,
            b'e' | b'E' => {
                exponent = parse_short_exponent(behind)?;
                break;
            }
            _ => return None,
        }
        rest = behind;
    }
    // Exact: at most 15 digits, below 2^53.
    let value = mantissa as f64;
    let power = exponent - num_fraction;
    let scale = POWERS_OF_TEN.get(usize::try_from(power.unsigned_abs()).ok()?)?;
    let value = if power < 0 { value / scale } else { value * scale };
    Some(if is_negative { -value } else { value })
}

/// `mantissa` with so many of its digits behind the point, where both it and the power of ten are exact in
/// float64, so that the one division between them rounds correctly; none where they are not.
#[inline(always)]
pub(super) fn short_float(mantissa: u64, num_fraction: usize) -> Option<f64> {
    let scale = POWERS_OF_TEN.get(num_fraction)?;
    (mantissa < MAX_SURE_MANTISSA).then(|| mantissa as f64 / scale)
}

/// An exponent of at most three digits.
fn parse_short_exponent(text: &[u8]) -> Option<i64> {
    let (digits, is_negative) = match text {
        [b'-', digits @ ..] => (digits, true),
        [b'+', digits @ ..] => (digits, false),
        digits => (digits, false),
    };
    if digits.is_empty() || digits.len() > 3 {
        return None;
    }
    let mut exponent = 0;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        exponent = exponent * 10 + i64::from(digit - b'0');
    }
    Some(if is_negative { -exponent } else { exponent })
}

/// The value of any number, its shortest text compared with the text that was read.
fn parse_long(text: &[u8]) -> Float {
    let parsed = std::str::from_utf8(text).ok().and_then(|text| text.parse::<f64>().ok());
    let value = parsed.unwrap_or(f64::INFINITY);
    let read = Decimal::of(text);
    let is_zero = read.digits().next().is_none();
    let overflow = !value.is_finite() || (value == 0.0 && !is_zero);
    let exact =
        !overflow && read.equals(&Decimal::of(ryu::Buffer::new().format_finite(value).as_bytes()));
    Float { value, exact, overflow }
}

/// The magnitude of a decimal number, as its text has it.
struct Decimal<'a> {
    integer: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

impl<'a> Decimal<'a> {
    fn of(text: &'a [u8]) -> Self {
        let text = text.strip_prefix(b"-").unwrap_or(text);
        let end = text.iter().position(|byte| matches!(byte, b'e' | b'E')).unwrap_or(text.len());
        let (mantissa, exponent) = text.split_at(end);
        let point = mantissa.iter().position(|&byte| byte == b'.').unwrap_or(mantissa.len());
        Self {
            integer: &mantissa[..point],
            fraction: mantissa.get(point + 1..).unwrap_or_default(),
            exponent: parse_exponent(exponent.get(1..).unwrap_or_default()),
        }
    }

    /// The digits from the first one that is not 0.
    fn digits(&self) -> impl Iterator<Item = u8> {
        self.integer.iter().chain(self.fraction).copied().skip_while(|&digit| digit == b'0')
    }

    /// The power of ten of the first digit that is not 0.
    fn magnitude(&self) -> i64 {
        let num_zeros =
            self.integer.iter().chain(self.fraction).take_while(|&&digit| digit == b'0').count();
        self.exponent.saturating_add(self.integer.len() as i64 - num_zeros as i64)
    }

    fn equals(&self, other: &Self) -> bool {
        let (mut left, mut right) = (self.digits().peekable(), other.digits().peekable());
        // 0 has no magnitude.
        if left.peek().is_some() && right.peek().is_some() && self.magnitude() != other.magnitude()
        {
            return false;
        }
        loop {
            match (left.next(), right.next()) {
                (None, None) => return true,
                (left, right) if left.unwrap_or(b'0') != right.unwrap_or(b'0') => return false,
                _ => {}
            }
        }
    }
}

/// An exponent of any length, held at the ends of its range.
fn parse_exponent(text: &[u8]) -> i64 {
    let (digits, is_negative) = match text {
        [b'-', digits @ ..] => (digits, true),
        [b'+', digits @ ..] => (digits, false),
        digits => (digits, false),
    };
    let mut exponent = 0_i64;
    for digit in digits {
        exponent = exponent.saturating_mul(10).saturating_add(i64::from(digit.wrapping_sub(b'0')));
    }
    if is_negative { -exponent } else { exponent }
}

/// The largest magnitude below which every integer is a float64.
pub const MAX_EXACT_INTEGER: f64 = 9_007_199_254_740_992.0;

/// Appends the canonical JSON text of `value`: integers up to 2^53 as plain digits (`10`, and `0`
/// for -0.0), else the shortest text that reads back as the same float64. What is not finite has no
/// JSON text and is written as `null`.
pub fn write_number(value: f64, out: &mut Vec<u8>) {
    if !value.is_finite() {
        out.extend_from_slice(b"null");
    } else if value.abs() <= MAX_EXACT_INTEGER && value.trunc() == value {
        write_integer(value as i64, out);
    } else {
        out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
    }
}

/// Appends the decimal digits of `value`.
pub(super) fn write_integer(value: i64, out: &mut Vec<u8>) {
    // 19 digits and a minus.
    let mut digits = [0_u8; 20];
    let mut first = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        first -= 1;
        digits[first] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        first -= 1;
        digits[first] = b'-';
    }
    out.extend_from_slice(&digits[first..]);
}
