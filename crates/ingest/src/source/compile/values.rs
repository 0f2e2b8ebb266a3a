//! Texts of a source → durations, sizes, rates, names, paths.

use std::time::Duration;

use http::HeaderName;

use super::fault::{Checked, Within, fault};
use crate::cursor::duration;
use crate::page::JsonPath;
use crate::source::document as doc;

pub(super) fn method_of(method: doc::Method) -> http::Method {
    match method {
        doc::Method::Get => http::Method::GET,
        doc::Method::Post => http::Method::POST,
        doc::Method::Put => http::Method::PUT,
    }
}

pub(super) fn header(name: &Option<String>, what: &str) -> Checked<Option<HeaderName>> {
    name.as_deref().map(header_name).transpose().within(what)
}

pub(super) fn header_name(name: &str) -> Checked<HeaderName> {
    name.parse().map_err(|_| fault(format!("`{name}` cannot name a header")))
}

pub(super) fn unsigned(text: &str) -> Checked<Duration> {
    duration(text).map_err(fault)?.try_into().map_err(fault)
}

/// `10/s`, `300/m`, `5000/h`, `100000/d` → the time between two requests.
pub(super) fn interval(text: &str) -> Checked<Duration> {
    let wrong = || fault(format!("`{text}` is no rate such as `10/s`, `300/m` or `5000/h`"));
    let (number, unit) = text.split_once('/').ok_or_else(wrong)?;
    let number: f64 = number.trim().parse().map_err(|_| wrong())?;
    let seconds = match unit.trim() {
        "s" | "sec" | "second" => 1.0,
        "m" | "min" | "minute" => 60.0,
        "h" | "hour" => 3600.0,
        "d" | "day" => 86_400.0,
        _ => return Err(wrong()),
    };
    match number > 0.0 && number.is_finite() {
        true => Duration::try_from_secs_f64(seconds / number).map_err(|_| wrong()),
        false => Err(wrong()),
    }
}

/// `512MiB`, `4GiB`, `1000000`.
pub(super) fn size_bytes(text: &str) -> Checked<u64> {
    let wrong = || fault(format!("`{text}` is no size such as `512MiB` or `4GiB`"));
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
    let factor = match text[digits..].trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(factor).filter(|size| *size > 0).ok_or_else(wrong)
}

pub(crate) fn path(text: &str) -> Checked<JsonPath> {
    text.parse().map_err(fault)
}

/// `, did you mean …?`, where a known name is near.
pub(crate) fn did_you_mean<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    nearest(name, known).map_or_else(String::new, |known| format!(", did you mean `{known}`?"))
}

/// The known name that is nearest, if one is near.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|known| (strsim::jaro_winkler(known, name), known))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}
