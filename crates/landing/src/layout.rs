//! What a key says by where it stands (R3).

/// The root table that a key names, or `None` when it names none (R3).
///
/// | key | entity |
/// |---|---|
/// | `data/source=<s>/stream=<t>/…/part-0.ndjson.zst`, the landing layout | `<t>` |
/// | `source=<s>/stream=<t>/…`, `stream=<t>/…`, the same listed from further down | `<t>` |
/// | `dt=<d>/run_id=<id>/…`, `run_id=<id>/…`, listed from inside one stream | none: all one stream |
/// | `<folder>/…` | `<folder>` |
/// | `<file>` | none |
///
/// `key` is relative to the input, separated by `/`, as in [`Object::key`](crate::Object::key).
pub fn entity_of(key: &str) -> Option<&str> {
    let (folders, _file) = key.rsplit_once('/')?;
    if let Some(stream) = stream_of(folders) {
        return Some(stream);
    }
    if is_inside_stream(folders) {
        return None;
    }
    let first = folders.split('/').next()?;
    (!first.is_empty()).then_some(first)
}

/// The `<t>` of a landing layout, however far down the listing began.
fn stream_of(folders: &str) -> Option<&str> {
    let below_data = folders.strip_prefix("data/").unwrap_or(folders);
    let mut parts = below_data.split('/');
    let mut part = parts.next()?;
    if value_of(part, "source=").is_some() {
        part = parts.next()?;
    } else if below_data.len() != folders.len() {
        // A folder that merely happens to be called `data`.
        return None;
    }
    value_of(part, "stream=")
}

/// Whether the folders are the lower end of a landing layout: days and runs of one stream.
fn is_inside_stream(folders: &str) -> bool {
    let mut parts = folders.split('/');
    let first = parts.next().unwrap_or_default();
    let run = match value_of(first, "dt=") {
        Some(_) => parts.next().unwrap_or_default(),
        None => first,
    };
    value_of(run, "run_id=").is_some()
}

/// The value of `name=value`, when it has one.
fn value_of<'a>(part: &'a str, name: &str) -> Option<&'a str> {
    part.strip_prefix(name).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::entity_of;
    use rstest::rstest;

    #[rstest]
    #[case::landing(
        "data/source=shop/stream=orders/dt=2024-05-01/run_id=r1/part-0.ndjson.zst",
        Some("orders")
    )]
    #[case::from_source("source=shop/stream=orders/dt=2024-05-01/run_id=r1/p.json", Some("orders"))]
    #[case::from_stream("stream=orders/dt=2024-05-01/run_id=r1/p.json", Some("orders"))]
    #[case::stream_alone("stream=orders/p.json", Some("orders"))]
    #[case::from_day("dt=2024-05-01/run_id=r1/p.json", None)]
    #[case::from_run("run_id=r1/p.json", None)]
    #[case::day_without_run("dt=2024-05-01/p.json", Some("dt=2024-05-01"))]
    #[case::folder("orders/a.json", Some("orders"))]
    #[case::folder_of_folders("orders/2024/05/a.json", Some("orders"))]
    #[case::stream_further_down("orders/stream=x/a.json", Some("orders"))]
    #[case::data_without_source("data/stream=x/a.json", Some("data"))]
    #[case::source_without_stream("source=shop/a.json", Some("source=shop"))]
    #[case::empty_stream("stream=/a.json", Some("stream="))]
    #[case::file_named_stream("stream=orders", None)]
    #[case::source_then_file("source=shop/stream=orders", Some("source=shop"))]
    #[case::file("a.json", None)]
    #[case::empty("", None)]
    #[case::leading_slash("/a.json", None)]
    fn r3_entity_of_a_key(#[case] key: &str, #[case] entity: Option<&str>) {
        assert_eq!(entity_of(key), entity);
    }
}
