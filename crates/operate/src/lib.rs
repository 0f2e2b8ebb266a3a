//! What those who operate the programs see: traces, metrics, lineage, task tokens, catalogs.

pub mod doctor;
