//! Page → next request, or the end (I4).

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use http::{HeaderName, HeaderValue, header};
use serde_json::Value;

use super::page::Page;
use super::render::set_query;
use crate::http::{AnswerHead, Guard, Request};
use crate::page::{JsonPath, find, text_of};
use crate::shown;
use crate::source::document::{PagePlace, StopOn};
use crate::source::plan::{Paginate, Style, TokenFrom};

/// Walks the pages of one slice.
pub(crate) struct Pager<'a> {
    plan: &'a Paginate,
    /// The request without what pagination adds.
    base: Request,
    /// The number of the page or record to ask for.
    number: u64,
    num_pages: u64,
    asked: HashSet<u64>,
    /// The content of the page before.
    content: Option<u64>,
}

/// Why pages do not end as they should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PagerError {
    /// An endless walk.
    #[error(
        "page {num_pages} leads to a request that was sent before: the API would give the same pages for ever"
    )]
    AskedBefore { num_pages: u64 },
    /// An API that gives the last page for every number beyond it.
    #[error(
        "page {num_pages} has the same records as the page before: the API would give the same page for ever"
    )]
    SameContent { num_pages: u64 },
    /// An end that the API does not announce.
    #[error(
        "page {num_pages} is empty after {num_records} records, and the API announces {announced}: ending here would lose the rest; where that is no count of these records, leave it out of `paginate`"
    )]
    Empty { num_pages: u64, num_records: u64, announced: String },
    /// More pages than allowed.
    #[error("there are more than {max_pages} pages: see `paginate.max_pages`")]
    TooMany { max_pages: u64 },
    /// A next URL that is none.
    #[error("page {num_pages} has no URL for the next page, but `{text}`")]
    NoUrl { num_pages: u64, text: String },
    /// A next URL that leads elsewhere.
    #[error(transparent)]
    Foreign(Box<dyn std::error::Error + Send + Sync>),
    /// A parameter cannot be put where the source says.
    #[error("the parameter `{param}` of the next page cannot be put into the {place}")]
    Place { param: String, place: &'static str },
}

impl<'a> Pager<'a> {
    pub(crate) fn new(plan: &'a Paginate, base: Request) -> Self {
        let number = match &plan.style {
            Style::Page { start, .. } | Style::Offset { start, .. } => *start,
            _ => 0,
        };
        Self { plan, base, number, num_pages: 0, asked: HashSet::new(), content: None }
    }

    /// The paths of a page's body that decide how it goes on.
    pub(crate) fn watched(plan: &Paginate) -> Vec<JsonPath> {
        let of_style = match &plan.style {
            Style::Page { total_pages, .. } => total_pages.clone(),
            Style::Offset { total, .. } => total.clone(),
            Style::Cursor { from: TokenFrom::Body(path), .. } => Some(path.clone()),
            Style::NextUrl { from } => Some(from.clone()),
            _ => None,
        };
        of_style.into_iter().chain(plan.has_more.clone()).collect()
    }

    /// The first request.
    pub(crate) fn first(&mut self) -> Result<Request, PagerError> {
        let mut request = self.base.clone();
        match &self.plan.style {
            Style::Page { param, size, place, .. } => {
                put(&mut request, param, &self.number.to_string(), *place)?;
                if let Some((size, Some(param))) = size {
                    put(&mut request, param, &size.to_string(), *place)?;
                }
            }
            Style::Offset { param, size, size_param, place, .. } => {
                put(&mut request, param, &self.number.to_string(), *place)?;
                put(&mut request, size_param, &size.to_string(), *place)?;
            }
            _ => {}
        }
        // From now on, this is what the numbers and tokens are put into.
        self.base = request.clone();
        self.remember(&request)?;
        Ok(request)
    }

    /// The request after a page, `None` when it was the last.
    pub(crate) fn next(
        &mut self,
        page: &Page,
        head: &AnswerHead,
        guard: &Guard,
    ) -> Result<Option<Request>, PagerError> {
        self.num_pages += 1;
        if page.num_records > 0 {
            if self.content == Some(page.content) && !matches!(self.plan.style, Style::None) {
                return Err(PagerError::SameContent { num_pages: self.num_pages });
            }
            self.content = Some(page.content);
        }
        let says = self.plan.has_more.as_ref().and_then(|path| page.text(path));
        if says.as_deref().is_some_and(is_no) {
            return Ok(None);
        }
        let says_more = says.is_some();
        let Some(request) = self.following(page, says_more, head, guard)? else { return Ok(None) };
        if self.num_pages >= self.plan.max_pages {
            return Err(PagerError::TooMany { max_pages: self.plan.max_pages });
        }
        self.remember(&request)?;
        Ok(Some(request))
    }

    fn following(
        &mut self,
        page: &Page,
        says_more: bool,
        head: &AnswerHead,
        guard: &Guard,
    ) -> Result<Option<Request>, PagerError> {
        let mut request = self.base.clone();
        match &self.plan.style {
            Style::None => return Ok(None),
            Style::Page { param, start, size, total_pages, stop_on, place, .. } => {
                let total = total_pages.as_ref().and_then(|path| page.number(path));
                let num_done = self.number + 1 - start;
                let is_short = *stop_on == StopOn::Short
                    && size.as_ref().is_some_and(|(size, _)| page.num_records < *size);
                // A page may be empty or short where more are announced: of records that this account may not
                // see, or since the API gives fewer than it is asked for.
                let is_last = match total {
                    Some(total) => num_done >= total,
                    None => !says_more && (page.num_records == 0 || is_short),
                };
                if is_last {
                    return Ok(None);
                }
                self.number += 1;
                put(&mut request, param, &self.number.to_string(), *place)?;
            }
            Style::Offset { param, start, size, total, stop_on, overlap, place, .. } => {
                let total = total.as_ref().and_then(|path| page.number(path));
                let end = self.number + page.num_records;
                let is_short = *stop_on == StopOn::Short && page.num_records < *size;
                // Nothing beyond what the page before had already.
                let has_none = page.num_records <= *overlap;
                let is_last = match total {
                    Some(total) => end >= start + total,
                    None => !says_more && (has_none || is_short),
                };
                if is_last {
                    return Ok(None);
                }
                if has_none {
                    // The next request would be this one.
                    let announced = match total {
                        Some(total) => format!("{total} records in all"),
                        None => "more".to_owned(),
                    };
                    let (num_pages, num_records) = (self.num_pages, end - start);
                    return Err(PagerError::Empty { num_pages, num_records, announced });
                }
                self.number = end - overlap;
                put(&mut request, param, &self.number.to_string(), *place)?;
            }
            Style::Cursor { from, param, place } => {
                let token = match from {
                    TokenFrom::Body(path) => page.text(path),
                    TokenFrom::Header(name) => head
                        .headers
                        .get(name)
                        .and_then(|value| value.to_str().ok())
                        .map(|text| text.trim().to_owned()),
                    TokenFrom::LastRecord(path) => page.last_record.as_deref().and_then(|record| {
                        find(record, path).and_then(text_of).map(|text| text.into_owned())
                    }),
                };
                let Some(token) = token.filter(|token| !token.is_empty()) else { return Ok(None) };
                put(&mut request, param, &token, *place)?;
            }
            Style::LinkHeader { rel } => {
                let values = head.headers.get_all(header::LINK);
                let target = values
                    .iter()
                    .filter_map(|value| value.to_str().ok())
                    .find_map(|value| link(value, rel));
                let Some(target) = target else { return Ok(None) };
                self.follow(&mut request, &target, head, guard, "the `Link` header")?;
            }
            Style::NextUrl { from } => {
                let Some(target) = page.text(from).filter(|text| !text.is_empty()) else {
                    return Ok(None);
                };
                self.follow(&mut request, &target, head, guard, "the next URL")?;
            }
        }
        Ok(Some(request))
    }

    /// Puts the URL that an answer names into the next request. It has its own parameters.
    fn follow(
        &self,
        request: &mut Request,
        target: &str,
        head: &AnswerHead,
        guard: &Guard,
        what: &'static str,
    ) -> Result<(), PagerError> {
        let no_url = || PagerError::NoUrl { num_pages: self.num_pages, text: shown(target) };
        let mut url = head.url.join(target.trim()).map_err(|_| no_url())?;
        // Behind a proxy that ends TLS, APIs often write http:// for themselves.
        if url.scheme() == "http" && self.base.url.scheme() == "https" {
            let mut secure = url.clone();
            if secure.set_scheme("https").is_ok() && secure.origin() == self.base.url.origin() {
                url = secure;
            }
        }
        guard.check(&url, what).map_err(|error| PagerError::Foreign(error.into()))?;
        if !guard.is_home(&url) {
            request.headers.clear();
            request.body = None;
        }
        request.url = url;
        Ok(())
    }

    fn remember(&mut self, request: &Request) -> Result<(), PagerError> {
        let mut hasher = DefaultHasher::new();
        (request.method.as_str(), request.url.as_str(), request.body.as_deref()).hash(&mut hasher);
        // Tokens may go in a header.
        for (name, value) in &request.headers {
            (name.as_str(), value.as_bytes()).hash(&mut hasher);
        }
        match self.asked.insert(hasher.finish()) {
            true => Ok(()),
            false => Err(PagerError::AskedBefore { num_pages: self.num_pages }),
        }
    }
}

fn is_no(text: &str) -> bool {
    matches!(text, "false" | "0" | "" | "no" | "False")
}

/// Puts a parameter into a request.
fn put(
    request: &mut Request,
    param: &str,
    value: &str,
    place: PagePlace,
) -> Result<(), PagerError> {
    let failed = |place| PagerError::Place { param: param.to_owned(), place };
    match place {
        PagePlace::Query => set_query(&mut request.url, param, value),
        PagePlace::Header => {
            let name: HeaderName = param.parse().map_err(|_| failed("headers"))?;
            let value = HeaderValue::from_str(value).map_err(|_| failed("headers"))?;
            request.headers.insert(name, value);
        }
        PagePlace::Body => {
            let body = request.body.as_deref().unwrap_or_default();
            let is_form = request
                .headers
                .get(header::CONTENT_TYPE)
                .is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-www-form"));
            let body = match is_form {
                true => put_into_form(body, param, value),
                false => put_into_json(body, param, value).ok_or_else(|| failed("body"))?,
            };
            request.body = Some(body.into());
            request
                .headers
                .entry(header::CONTENT_TYPE)
                .or_insert(HeaderValue::from_static("application/json"));
        }
    }
    Ok(())
}

fn put_into_form(body: &[u8], param: &str, value: &str) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(url::form_urlencoded::parse(body).filter(|(name, _)| name != param));
    form.append_pair(param, value);
    form.finish()
}

/// `a.b` names the key `b` of the object `a`; objects that are not there are made.
fn put_into_json(body: &[u8], param: &str, value: &str) -> Option<String> {
    let mut whole: Value = match body {
        [] => Value::Object(serde_json::Map::new()),
        _ => serde_json::from_slice(body).ok()?,
    };
    let mut at = &mut whole;
    let mut names = param.trim_start_matches("$.").split('.').peekable();
    while let Some(name) = names.next() {
        if at.is_null() {
            *at = Value::Object(serde_json::Map::new());
        }
        let slot = at.as_object_mut()?.entry(name).or_insert(Value::Null);
        if names.peek().is_none() {
            // Numbers stay numbers.
            *slot = match value.parse::<u64>() {
                Ok(number) if number.to_string() == value => number.into(),
                _ => value.into(),
            };
            return Some(whole.to_string());
        }
        at = slot;
    }
    None
}

/// The target of a relation in a `Link` header (RFC 8288).
fn link(text: &str, rel: &str) -> Option<String> {
    let mut rest = text;
    while let Some((_, behind)) = rest.split_once('<') {
        let (target, params) = behind.split_once('>')?;
        let end = end_of_link(params);
        let fits = params[..end].split(';').any(|param| {
            let (name, value) = param.split_once('=').unwrap_or((param, ""));
            let mut names = value.trim().trim_matches('"').split_ascii_whitespace();
            name.trim().eq_ignore_ascii_case("rel")
                && names.any(|name| name.eq_ignore_ascii_case(rel))
        });
        if fits {
            return Some(target.to_owned());
        }
        rest = &params[end..];
    }
    None
}

/// Where the parameters of a link end: at a comma outside of quotes.
fn end_of_link(params: &str) -> usize {
    let mut is_quoted = false;
    for (at, byte) in params.bytes().enumerate() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b',' if !is_quoted => return at,
            _ => {}
        }
    }
    params.len()
}

impl Page {
    /// The text at a watched path.
    fn text(&self, path: &JsonPath) -> Option<String> {
        self.value(path).and_then(text_of).map(|text| text.into_owned())
    }

    /// The number at a watched path.
    fn number(&self, path: &JsonPath) -> Option<u64> {
        self.text(path)?.trim().parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::one("<https://a/b?page=2>; rel=\"next\"", Some("https://a/b?page=2"))]
    #[case::second("<u1>; rel=\"prev\", <u2>; rel=\"next\"", Some("u2"))]
    #[case::bare("<u1>; rel=next", Some("u1"))]
    #[case::several("<u1>; rel=\"last next\"", Some("u1"))]
    #[case::comma_inside("<u1>; title=\"a, <b>\"; rel=prev, <u2,x>; rel=next", Some("u2,x"))]
    #[case::case("<u1>; Rel=\"NEXT\"", Some("u1"))]
    #[case::none("<u1>; rel=\"prev\"", None)]
    #[case::broken("<u1; rel=next", None)]
    fn i4_link_headers(#[case] text: &str, #[case] target: Option<&str>) {
        assert_eq!(link(text, "next").as_deref(), target);
    }

    #[rstest]
    #[case("", "after", "x", r#"{"after":"x"}"#)]
    #[case(
        r#"{"query":"q","variables":{"a":1}}"#,
        "variables.after",
        "x",
        r#"{"query":"q","variables":{"a":1,"after":"x"}}"#
    )]
    #[case(r#"{"page":1}"#, "page", "2", r#"{"page":2}"#)]
    #[case("{}", "page", "007", r#"{"page":"007"}"#)]
    fn i4_tokens_in_bodies(
        #[case] body: &str,
        #[case] param: &str,
        #[case] value: &str,
        #[case] expected: &str,
    ) {
        assert_eq!(put_into_json(body.as_bytes(), param, value).as_deref(), Some(expected));
    }
}
