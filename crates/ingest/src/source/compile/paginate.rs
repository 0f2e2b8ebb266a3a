//! How one page leads to the next (I4).

use super::fault::{Checked, Within, fault};
use super::values::{header_name, path};
use crate::source::document as doc;
use crate::source::plan::{Paginate, Style, TokenFrom};

pub(super) fn paginate(paginate: &doc::Paginate) -> Checked<Paginate> {
    use doc::Paginate as P;
    let optional =
        |text: &Option<String>, name: &str| text.as_deref().map(path).transpose().within(name);
    let or = |text: &Option<String>, usual: &str| text.as_deref().unwrap_or(usual).to_owned();
    let (style, has_more, max_pages) = match paginate {
        P::None {} => (Style::None, &None, &None),
        P::Page {
            param,
            start,
            size,
            size_param,
            total_pages,
            has_more,
            stop_on,
            place,
            max_pages,
        } => {
            if *stop_on == doc::StopOn::Short && size.is_none() {
                return Err(fault("`short` needs the `size` of a page")).within("stop_on");
            }
            let size = match (size, size_param) {
                (None, Some(_)) => return Err(fault("it needs the `size`")).within("size_param"),
                (None, None) => None,
                (Some(0), _) => return Err(fault("a page has at least one record")).within("size"),
                (Some(size), param) => Some((*size, param.clone())),
            };
            let style = Style::Page {
                param: or(param, "page"),
                start: start.unwrap_or(1),
                size,
                total_pages: optional(total_pages, "total_pages")?,
                stop_on: *stop_on,
                place: *place,
            };
            (style, has_more, max_pages)
        }
        P::Offset {
            param,
            start,
            size,
            size_param,
            total,
            has_more,
            stop_on,
            overlap,
            place,
            max_pages,
        } => {
            let overlap = overlap.unwrap_or(0);
            if *size == 0 || overlap >= *size {
                return Err(fault("a page has at least one record more than its overlap"))
                    .within("size");
            }
            let style = Style::Offset {
                param: or(param, "offset"),
                start: start.unwrap_or(0),
                size: *size,
                size_param: or(size_param, "limit"),
                total: optional(total, "total")?,
                stop_on: *stop_on,
                overlap,
                place: *place,
            };
            (style, has_more, max_pages)
        }
        P::Cursor { from, param, place, has_more, max_pages } => {
            let from = token_from(from).within("from")?;
            let style = Style::Cursor { from, param: param.clone(), place: *place };
            (style, has_more, max_pages)
        }
        P::LinkHeader { rel, max_pages } => {
            (Style::LinkHeader { rel: or(rel, "next") }, &None, max_pages)
        }
        P::NextUrl { from, has_more, max_pages } => {
            (Style::NextUrl { from: path(from).within("from")? }, has_more, max_pages)
        }
    };
    let has_more = match has_more {
        None => None,
        Some(text) => Some(path(text).within("has_more")?),
    };
    Ok(Paginate { style, has_more, max_pages: max_pages.unwrap_or(100_000).max(1) })
}

fn token_from(text: &str) -> Checked<TokenFrom> {
    if let Some(name) = text.strip_prefix("header.") {
        return Ok(TokenFrom::Header(header_name(name)?));
    }
    match text.strip_prefix("last_record.") {
        Some(field) => Ok(TokenFrom::LastRecord(path(field)?)),
        None => Ok(TokenFrom::Body(path(text)?)),
    }
}

/// The parameter that says a page's size: pagination gives it, whatever `params` says.
pub(super) fn page_size(style: &Style) -> Option<String> {
    match style {
        Style::Page { size: Some((_, Some(param))), .. } => Some(param.clone()),
        Style::Offset { size_param, .. } => Some(size_param.clone()),
        _ => None,
    }
}
