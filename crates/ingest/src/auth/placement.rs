//! Where a value goes in a request: header, query or cookie.

use http::header::COOKIE;
use http::{HeaderName, HeaderValue};
use serde::Deserialize;
use url::Url;
use url::form_urlencoded;

use crate::http::Request;
use crate::secrets::Secret;

use super::error::AuthError;

/// A part of a request that can carry credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// A header.
    #[default]
    Header,
    /// A parameter of the URL.
    Query,
    /// A cookie.
    Cookie,
}

/// A place with a name that fits.
#[derive(Debug, Clone)]
pub(super) enum Slot {
    Header(HeaderName),
    Query(String),
    Cookie(String),
}

impl Slot {
    /// Checks the name.
    ///
    /// # Errors
    ///
    /// The name cannot be that of a header or cookie, or is empty.
    pub(super) fn new(place: Place, name: &str, setting: &str) -> Result<Self, AuthError> {
        let wrong = |reason| AuthError::setting(setting, reason);
        match place {
            Place::Header => {
                name.parse().map(Self::Header).map_err(|_| wrong("is not the name of a header"))
            }
            Place::Query if name.is_empty() => Err(wrong("is empty")),
            Place::Query => Ok(Self::Query(name.to_owned())),
            // Names of cookies have the characters of names of headers.
            Place::Cookie => match HeaderName::from_bytes(name.as_bytes()) {
                Ok(_) => Ok(Self::Cookie(name.to_owned())),
                Err(_) => Err(wrong("is not the name of a cookie")),
            },
        }
    }

    /// Puts a value in the place, instead of what was there under this name.
    ///
    /// # Errors
    ///
    /// The value has a byte that cannot be sent there. `origin` says where it came from.
    pub(super) fn put(
        &self,
        request: &mut Request,
        value: &Secret,
        origin: &str,
    ) -> Result<(), AuthError> {
        match self {
            Self::Header(name) => put_header(request, name.clone(), value, origin),
            Self::Query(name) => {
                put_query(&mut request.url, name, value.expose());
                Ok(())
            }
            Self::Cookie(name) => put_cookie(request, name, value, origin),
        }
    }
}

/// Puts a value in a header, marked as sensitive, instead of what was there.
///
/// # Errors
///
/// The value has a byte that no header may have. `origin` says where it came from.
pub(super) fn put_header(
    request: &mut Request,
    name: HeaderName,
    value: &Secret,
    origin: &str,
) -> Result<(), AuthError> {
    let mut sent = HeaderValue::from_str(value.expose()).map_err(|_| AuthError::Unsendable {
        origin: origin.to_owned(),
        place: format!("in the header `{name}`"),
        reason: match value.expose().contains(['\r', '\n']) {
            true => "it has a line break",
            false => "it has a character other than visible ASCII and blanks",
        },
    })?;
    sent.set_sensitive(true);
    request.headers.insert(name, sent);
    Ok(())
}

/// All other parameters stay as they are, byte for byte.
fn put_query(url: &mut Url, name: &str, value: &str) {
    let query = url.query().unwrap_or_default();
    let is_other = |pair: &&str| {
        let found = form_urlencoded::parse(pair.as_bytes()).next();
        !pair.is_empty() && found.is_none_or(|(found, _)| found != name)
    };
    let mut pairs: Vec<&str> = query.split('&').filter(is_other).collect();
    let own = form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish();
    pairs.push(&own);
    let query = pairs.join("&");
    url.set_query(Some(&query));
}

fn put_cookie(
    request: &mut Request,
    name: &str,
    value: &Secret,
    origin: &str,
) -> Result<(), AuthError> {
    // RFC 6265 leaves out more; what matters is that the value cannot end the pair.
    let is_allowed = |byte: u8| (0x21..=0x7e).contains(&byte) && byte != b';';
    if !value.expose().bytes().all(is_allowed) {
        return Err(AuthError::Unsendable {
            origin: origin.to_owned(),
            place: format!("in the cookie `{name}`"),
            reason: "it has a blank, a line break, a semicolon or a character beyond ASCII",
        });
    }
    let is_other = |pair: &&str| {
        let found = pair.split_once('=').map_or(*pair, |(found, _)| found);
        !found.is_empty() && found != name
    };
    let lines = request.headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).map(str::trim).filter(is_other);
    let mut pairs: Vec<String> = pairs.map(str::to_owned).collect();
    pairs.push(format!("{name}={}", value.expose()));
    put_header(request, COOKIE, &Secret::new(pairs.join("; ")), origin)
}
