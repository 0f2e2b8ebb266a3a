//! Which tables can be merged into (M11): those that every reader understands, and those whose only
//! feature beyond that is deletion vectors.

use deltalake_core::kernel::StructType;
use deltalake_core::table::state::DeltaTableState;

const DELETION_VECTORS: &str = "deletionVectors";
/// Features that a table may name though nothing of it makes use of them, or that a merge respects.
const HARMLESS: [&str; 3] = [DELETION_VECTORS, "appendOnly", "invariants"];

pub(super) fn has_deletion_vectors(state: &DeltaTableState) -> bool {
    let features = state.protocol().writer_features().unwrap_or_default();
    features.iter().any(|feature| feature.as_ref() == DELETION_VECTORS)
        && property(state, "delta.enableDeletionVectors") == Some("true")
}

/// Why a table cannot be merged into; `removes_rows` says whether the merge takes rows away.
pub(super) fn check(state: &DeltaTableState, removes_rows: bool) -> Result<(), String> {
    let protocol = state.protocol();
    let (reader, writer) = (protocol.min_reader_version(), protocol.min_writer_version());
    if reader > 3 || writer > 7 {
        return Err(format!(
            "its protocol (reader {reader}, writer {writer}) is newer than this version of Solder knows (3, 7)"
        ));
    }
    let features = protocol.writer_features().unwrap_or_default();
    let unknown = features.iter().map(AsRef::as_ref).find(|feature| !HARMLESS.contains(feature));
    if let Some(feature) = unknown {
        return Err(format!("it uses the Delta feature `{feature}`, which a merge would break"));
    }
    let partitions = state.metadata().partition_columns();
    if !partitions.is_empty() {
        return Err(format!(
            "it is partitioned by `{}`, and only tables without partitions can be merged into",
            partitions.join("`, `")
        ));
    }
    if removes_rows && property(state, "delta.appendOnly") == Some("true") {
        return Err("its property delta.appendOnly forbids to change or delete rows; --mode append adds rows only".to_owned());
    }
    if property(state, "delta.enableChangeDataFeed") == Some("true") {
        return Err("it keeps a change data feed, which a merge does not write; switch delta.enableChangeDataFeed off".to_owned());
    }
    if property(state, "delta.columnMapping.mode").is_some_and(|mode| mode != "none") {
        return Err("its columns are mapped (delta.columnMapping.mode)".to_owned());
    }
    let constraint = state
        .metadata()
        .configuration()
        .keys()
        .find_map(|key| key.strip_prefix("delta.constraints."));
    if let Some(constraint) = constraint {
        return Err(format!("it has the constraint `{constraint}`, which a merge does not check"));
    }
    column_features(&state.schema())
}

fn column_features(schema: &StructType) -> Result<(), String> {
    const UNKNOWN: [&str; 2] = ["delta.invariants", "delta.generationExpression"];
    for field in schema.fields() {
        if let Some(key) = UNKNOWN.iter().find(|key| field.metadata().contains_key(**key)) {
            return Err(format!("its column `{}` has {key}", field.name()));
        }
        if !field.is_nullable() {
            return Err(format!(
                "its column `{}` is declared NOT NULL, which staging cannot promise",
                field.name()
            ));
        }
    }
    Ok(())
}

fn property<'a>(state: &'a DeltaTableState, key: &str) -> Option<&'a str> {
    state.metadata().configuration().get(key).map(String::as_str)
}
