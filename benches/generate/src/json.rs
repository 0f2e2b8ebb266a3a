//! Compact JSON, written straight into a byte buffer.
//!
//! The writer puts commas itself: one is due unless the last byte opened a container or ended a
//! key. It trusts its caller for the rest: that containers are closed in order and that text
//! needs no escaping (or is escaped already).

/// Writes one record into a buffer that may hold earlier ones.
pub(crate) struct JsonWriter<'a> {
    bytes: &'a mut Vec<u8>,
}

impl<'a> JsonWriter<'a> {
    pub(crate) fn new(bytes: &'a mut Vec<u8>) -> Self {
        Self { bytes }
    }

    /// Opens the record itself, whatever stands before it.
    pub(crate) fn open_record(&mut self) {
        self.bytes.push(b'{');
    }

    #[inline]
    fn separate(&mut self) {
        if !matches!(self.bytes.last(), Some(b'{' | b'[' | b':')) {
            self.bytes.push(b',');
        }
    }

    /// Writes a key; the value comes next.
    #[inline]
    pub(crate) fn key(&mut self, name: &str) -> &mut Self {
        self.separate();
        self.bytes.push(b'"');
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.extend_from_slice(b"\":");
        self
    }

    /// Writes a key made of a prefix and a zero-padded number.
    pub(crate) fn numbered_key(&mut self, prefix: &str, number: u64, width: usize) -> &mut Self {
        self.open_text().piece(prefix).padded(number, width);
        self.bytes.extend_from_slice(b"\":");
        self
    }

    pub(crate) fn open_object(&mut self) {
        self.separate();
        self.bytes.push(b'{');
    }

    pub(crate) fn close_object(&mut self) {
        self.bytes.push(b'}');
    }

    pub(crate) fn open_array(&mut self) {
        self.separate();
        self.bytes.push(b'[');
    }

    pub(crate) fn close_array(&mut self) {
        self.bytes.push(b']');
    }

    /// Writes a value that is JSON already: `null`, `1.5e3`, `"a\tb"`.
    #[inline]
    pub(crate) fn raw(&mut self, value: &str) {
        self.separate();
        self.bytes.extend_from_slice(value.as_bytes());
    }

    pub(crate) fn boolean(&mut self, value: bool) {
        self.raw(if value { "true" } else { "false" });
    }

    #[inline]
    pub(crate) fn number(&mut self, value: u64) {
        self.separate();
        self.padded(value, 1);
    }

    /// Writes hundredths as a decimal: `1250` becomes `12.50`.
    pub(crate) fn hundredths(&mut self, value: u64) {
        self.separate();
        self.padded(value / 100, 1).piece(".").padded(value % 100, 2);
    }

    /// Writes millionths as a signed decimal: `-1500000` becomes `-1.500000`.
    pub(crate) fn millionths(&mut self, value: i64) {
        self.separate();
        if value < 0 {
            self.bytes.push(b'-');
        }
        let magnitude = value.unsigned_abs();
        self.padded(magnitude / 1_000_000, 1).piece(".").padded(magnitude % 1_000_000, 6);
    }

    #[inline]
    pub(crate) fn text(&mut self, value: &str) {
        self.open_text().piece(value);
        self.close_text();
    }

    /// Begins a string made of pieces; [`Self::close_text`] ends it.
    #[inline]
    pub(crate) fn open_text(&mut self) -> &mut Self {
        self.separate();
        self.bytes.push(b'"');
        self
    }

    #[inline]
    pub(crate) fn close_text(&mut self) {
        self.bytes.push(b'"');
    }

    /// Appends text to an open string.
    #[inline]
    pub(crate) fn piece(&mut self, text: &str) -> &mut Self {
        self.bytes.extend_from_slice(text.as_bytes());
        self
    }

    /// Appends a number with leading zeros up to `width` digits (at most 20).
    #[inline]
    pub(crate) fn padded(&mut self, mut value: u64, width: usize) -> &mut Self {
        let mut digits = [b'0'; 20];
        let mut start = digits.len();
        while value > 0 {
            start -= 1;
            digits[start] = b'0' + (value % 10) as u8;
            value /= 10;
        }
        let start = start.min(digits.len() - width.min(digits.len()));
        self.bytes.extend_from_slice(&digits[start..]);
        self
    }

    /// Appends the lowest `width` hexadecimal digits (at most 16).
    #[inline]
    pub(crate) fn hex(&mut self, value: u64, width: usize) -> &mut Self {
        let mut digits = [0u8; 16];
        for (place, digit) in digits.iter_mut().rev().enumerate() {
            *digit = b"0123456789abcdef"[(value >> (4 * place)) as usize & 15];
        }
        self.bytes.extend_from_slice(&digits[16 - width.min(16)..]);
        self
    }

    /// Writes 128 random bits as a version 4 UUID.
    pub(crate) fn uuid(&mut self, high: u64, low: u64) {
        self.open_text().hex(high >> 32, 8).piece("-").hex(high >> 16, 4).piece("-4").hex(high, 3);
        self.piece("-").hex((low >> 60) & 3 | 8, 1).hex(low >> 48, 3).piece("-").hex(low, 12);
        self.close_text();
    }

    /// Writes milliseconds since 1970 as RFC 3339 in UTC: `"2024-02-29T07:05:09.250Z"`.
    pub(crate) fn timestamp(&mut self, unix_ms: u64) {
        let (year, month, day) = date_of(unix_ms / 86_400_000);
        let second_of_day = unix_ms / 1000 % 86_400;
        self.open_text().padded(year, 4).piece("-").padded(month, 2).piece("-").padded(day, 2);
        self.piece("T").padded(second_of_day / 3600, 2).piece(":");
        self.padded(second_of_day / 60 % 60, 2).piece(":").padded(second_of_day % 60, 2);
        self.piece(".").padded(unix_ms % 1000, 3).piece("Z");
        self.close_text();
    }

    /// Writes days since 1970 as a date: `"2024-02-29"`.
    pub(crate) fn date(&mut self, unix_days: u64) {
        let (year, month, day) = date_of(unix_days);
        self.open_text().padded(year, 4).piece("-").padded(month, 2).piece("-").padded(day, 2);
        self.close_text();
    }
}

/// Year, month and day of a day since 1970, in the Gregorian calendar.
///
/// Years are counted from March, so that the leap day is the last of its year and month lengths
/// follow one line (153 days in five months).
fn date_of(unix_days: u64) -> (u64, u64, u64) {
    const DAYS_FROM_MARCH_OF_YEAR_0: u64 = 719_468;
    const DAYS_IN_400_YEARS: u64 = 146_097;
    let days = unix_days + DAYS_FROM_MARCH_OF_YEAR_0;
    let day_of_era = days % DAYS_IN_400_YEARS;
    let leap_days = day_of_era / 1460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = days / DAYS_IN_400_YEARS * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut JsonWriter<'_>)) -> String {
        let mut bytes = Vec::new();
        let mut json = JsonWriter::new(&mut bytes);
        json.open_record();
        write(&mut json);
        json.close_object();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn commas_stand_between_values_only() {
        let text = written(|json| {
            json.key("a").number(0);
            json.key("b").open_array();
            json.number(u64::MAX);
            json.open_object();
            json.close_object();
            json.text("x");
            json.close_array();
            json.numbered_key("c", 7, 3).raw("null");
        });
        assert_eq!(text, r#"{"a":0,"b":[18446744073709551615,{},"x"],"c007":null}"#);
    }

    #[test]
    fn decimals_keep_their_zeros() {
        let text = written(|json| {
            json.key("a").hundredths(5);
            json.key("b").hundredths(1250);
            json.key("c").millionths(-1_500_000);
            json.key("d").millionths(7);
        });
        assert_eq!(text, r#"{"a":0.05,"b":12.50,"c":-1.500000,"d":0.000007}"#);
    }

    #[test]
    fn dates_follow_the_calendar() {
        for (unix_days, date) in [
            (0, "1970-01-01"),
            (11_016, "2000-02-29"),
            (19_722, "2023-12-31"),
            (19_723, "2024-01-01"),
            (19_782, "2024-02-29"),
            (19_783, "2024-03-01"),
            (47_540, "2100-02-28"),
            (47_541, "2100-03-01"),
        ] {
            assert_eq!(
                written(|json| json.key("d").date(unix_days)),
                format!(r#"{{"d":"{date}"}}"#)
            );
        }
    }

    #[test]
    fn timestamps_are_rfc_3339() {
        let text = written(|json| json.key("t").timestamp(1_709_190_309_250));
        assert_eq!(text, r#"{"t":"2024-02-29T07:05:09.250Z"}"#);
    }

    #[test]
    fn uuids_say_version_4() {
        let text = written(|json| json.key("u").uuid(0x0123_4567_89ab_cdef, u64::MAX));
        assert_eq!(text, r#"{"u":"01234567-89ab-4def-bfff-ffffffffffff"}"#);
    }
}
