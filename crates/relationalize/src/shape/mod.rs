//! What was seen: the paths of an entity, the kinds of value there, and the rules asked for.

mod action;
mod kind;
mod maps;
mod observed;
pub mod path;
mod plan;
mod registry;

pub use action::{Action, ActionError};
pub use kind::{ColumnType, Kinds};
pub use maps::{Maps, find_maps};
pub use observed::{PathShape, Shape, StoredPath};
pub use path::{JsonPath, Selector, Step};
pub use plan::{KnownPath, OnCastError, PathRule, Plan};
pub use registry::{PathId, Registry};
