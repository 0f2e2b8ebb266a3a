//! Document → plan: everything that a run relies on is checked here (I1).
//!
//! ```text
//!   Document ──▶ connection.rs                        ──▶ plan::Connection
//!            └─▶ stream.rs ── request.rs · paginate.rs
//!                          ── incremental.rs · rules.rs ──▶ plan::Stream
//!                values.rs   durations, sizes, rates, names, paths
//!                written_out.rs   credentials in the open
//!                warnings.rs      what is right, and yet not as people will want it
//!                fault.rs    what is wrong, and where
//! ```

mod connection;
mod fault;
mod incremental;
mod paginate;
mod request;
mod rules;
mod stream;
mod values;
mod warnings;
mod written_out;

use solder_landing::raw::StreamName;

use self::connection::connection;
use self::stream::Context;
use super::document::{Document, Scalar};
use super::ordered::Ordered;
use super::plan::{Source, Stream};
use super::template::Params;

pub(crate) use fault::{Checked, Fault, Within, fault};
pub(crate) use values::{did_you_mean, nearest};
pub(crate) use written_out::WRITTEN_OUT;

/// Makes the plan of a document, and says what people should look at in it.
///
/// `file_name` names the source when it has no name of its own; `given` are the values of `--param`.
pub(crate) fn compile(
    document: &Document,
    file_name: &str,
    given: &[(String, String)],
) -> Checked<(Source, Vec<Fault>)> {
    if document.version != 1 {
        return Err(fault(format!("this program reads version 1, not {}", document.version)))
            .within("version");
    }
    let params = parameters(&document.parameters, given).within("parameters")?;
    let name = document.name.as_deref().unwrap_or(file_name).to_owned();
    let connection = connection(&document.connection, &params).within("connection")?;
    if document.streams.is_empty() {
        return Err(fault("a source has at least one stream")).within("streams");
    }
    let names: Vec<&str> = document.streams.iter().map(|(name, _)| name).collect();
    let mut streams = Vec::new();
    for (stream_name, stream) in document.streams.iter() {
        let context = Context { connection: &document.connection, params: &params, names: &names };
        let plan = StreamName::new(&name, stream_name)
            .map_err(fault)
            .and_then(|name| context.stream(name, stream))
            .within(stream_name)
            .within("streams")?;
        streams.push(plan);
    }
    check_parents(&streams)?;
    written_out::check(document, &params)?;
    let warnings = warnings::of(document);
    Ok((Source { name, connection, streams, warnings: Vec::new() }, warnings))
}

fn parameters(declared: &Ordered<Option<Scalar>>, given: &[(String, String)]) -> Checked<Params> {
    for (name, _) in given {
        if declared.get(name).is_none() {
            let known: Vec<&str> = declared.iter().map(|(name, _)| name).collect();
            return Err(fault(match known.as_slice() {
                [] => format!("`--param {name}`: the source declares no parameters"),
                _ => format!("`--param {name}`: the source declares only `{}`", known.join("`, `")),
            }));
        }
    }
    Ok(declared
        .iter()
        .map(|(name, default)| {
            let given = given.iter().rev().find(|(candidate, _)| candidate == name);
            let value = given
                .map(|(_, value)| value.clone())
                .or_else(|| default.as_ref().map(ToString::to_string));
            (name.to_owned(), value)
        })
        .collect())
}

fn check_parents(streams: &[Stream]) -> Checked<()> {
    for stream in streams {
        let mut ancestor = stream;
        for _ in 0..streams.len() {
            match &ancestor.parent {
                None => break,
                Some(parent) => ancestor = &streams[parent.stream],
            }
        }
        if ancestor.parent.is_some() {
            return Err(fault("its parent is, in the end, itself"))
                .within("parent")
                .within(stream.name.stream())
                .within("streams");
        }
    }
    Ok(())
}
