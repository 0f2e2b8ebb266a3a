//! What is right, and yet hardly meant: warnings of `plan` and `check`.

use serde_json::Value;

use super::fault::{Checked, Fault, Within, fault};
use crate::source::document as doc;

/// What people should look at in a document.
pub(super) fn of(document: &doc::Document) -> Vec<Fault> {
    let streams = document.streams.iter();
    streams
        .filter_map(|(name, stream)| {
            let found: Checked<()> = unsorted_offsets(&document.connection, stream);
            found.within("paginate").within(name).within("streams").err()
        })
        .collect()
}

/// Offsets count records: without an order, a record can stand on two pages, and another on none (I4).
fn unsorted_offsets(connection: &doc::Connection, stream: &doc::Stream) -> Checked<()> {
    if !matches!(stream.paginate, doc::Paginate::Offset { .. }) {
        return Ok(());
    }
    let of_query = connection.params.iter().chain(stream.params.iter());
    let mut of_query = of_query.map(|(name, value)| says_order(name, &format!("{value:?}")));
    let of_form = stream.form.iter().flat_map(|form| form.iter());
    let mut of_form = of_form.map(|(name, text)| says_order(name, text));
    let is_in_body = stream.body.as_ref().is_some_and(|body| orders("", body));
    if is_in_body || of_query.any(|is_order| is_order) || of_form.any(|is_order| is_order) {
        return Ok(());
    }
    Err(fault(
        "pages by `offset`, but no parameter says an order (`sort`, `order_by`, …): unless the API has a fixed \
         one, records can come twice or not at all",
    ))
}

fn orders(name: &str, value: &Value) -> bool {
    match value {
        Value::Array(values) => values.iter().any(|value| orders(name, value)),
        Value::Object(map) => map.iter().any(|(name, value)| orders(name, value)),
        Value::String(text) => says_order(name, text),
        _ => says_order(name, ""),
    }
}

/// Whether a parameter is an order, by its name or, in a query language, by its text.
fn says_order(name: &str, text: &str) -> bool {
    let name: String =
        name.chars().filter(|c| c.is_ascii_alphanumeric()).collect::<String>().to_ascii_lowercase();
    let text = text.to_ascii_lowercase();
    name.starts_with("sort")
        || name.ends_with("sort")
        || matches!(
            name.as_str(),
            "order" | "orderby" | "ordering" | "orderfield" | "orderdir" | "orderdirection"
        )
        || text.contains("order by")
        || text.contains("orderby")
}
