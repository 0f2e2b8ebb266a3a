//! What a run knows about an entity before it reads a record: options per path, and what earlier
//! runs have committed.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use super::action::Action;
use super::kind::Kinds;
use super::path::{JsonPath, Selector};
use super::registry::{PathId, Registry};

/// What becomes of a record that holds a value a cast cannot convert (R14).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnCastError {
    /// The record goes to quarantine.
    #[default]
    Quarantine,
    /// The value becomes null and is counted.
    Null,
}

/// Rules that hold for all records of an entity.
#[derive(Debug, Default)]
pub struct Plan {
    /// The paths seen so far.
    pub registry: Registry,
    /// Name of the root table before collisions; options may name `table.column`.
    pub root_table: String,
    /// The declared key, in order; empty without one (R8).
    pub keys: Vec<Selector>,
    /// `--resolve`, in order; the last one that names a path counts (R14).
    pub rules: Vec<(Selector, Action)>,
    /// Which of them has named a path so far.
    pub rules_met: Vec<AtomicBool>,
    /// `--map` (R10).
    pub maps: Vec<Selector>,
    /// Paths whose layout an earlier run committed (R10, R11), and maps found in this one.
    pub known: HashMap<PathId, KnownPath>,
    /// Look for RFC 3339 timestamps in strings (R12).
    pub timestamps: bool,
    /// Paths at which this run found strings that are no timestamps after it had written timestamps:
    /// read again, all of them stay as they are spelled.
    pub texts: HashSet<PathId>,
    /// Keep decimals that float64 would round as text (R13).
    pub exact_numbers: bool,
    /// What becomes of values that a cast cannot convert (R14).
    pub on_cast_error: OnCastError,
    /// Count arrays for the join keys of the Glue profile (R7).
    pub glue_keys: bool,
    /// Nesting levels allowed in a record (R17).
    pub max_depth: usize,
    /// Records may be scalars or arrays, since `--records` picked them (R16).
    pub any_record: bool,
}

/// The layout that a path already has.
#[derive(Clone, Copy, Debug, Default)]
pub struct KnownPath {
    /// The kinds committed.
    pub kinds: Kinds,
    /// The action committed.
    pub action: Option<Action>,
    /// Objects here are maps.
    pub is_map: bool,
}

/// What the shredder must know about a path, asked once per path and thread.
#[derive(Clone, Copy, Debug, Default)]
pub struct PathRule {
    /// The action that a user asked for.
    pub action: Option<Action>,
    /// Objects here become rows of a child table with `_key` columns.
    pub is_map: bool,
    /// Position in the declared key.
    pub key: Option<usize>,
    /// Strings here may be timestamps.
    pub timestamps: bool,
}

impl Plan {
    /// The rule for a path.
    pub fn rule(&self, id: PathId) -> PathRule {
        let known = self.known.get(&id).copied().unwrap_or_default();
        let mut rule = PathRule {
            action: known.action,
            is_map: known.is_map,
            key: None,
            timestamps: (self.timestamps || known.kinds.contains(Kinds::TIMESTAMP))
                && !self.texts.contains(&id),
        };
        if self.rules.is_empty() && self.maps.is_empty() && self.keys.is_empty() {
            // Writing paths out is what costs here, with millions of them.
            return rule;
        }
        let path = self.registry.path(id);
        // A rule that gives this very path goes before one that only gives its column's name.
        let rules = || self.rules.iter().enumerate().rev();
        let asked = rules()
            .find(|(_, (selector, _))| *selector.path() == path)
            .or_else(|| rules().find(|(_, (selector, _))| self.names(selector, &path)));
        if let Some((at, (_, action))) = asked {
            rule.action = Some(*action);
            if let Some(met) = self.rules_met.get(at) {
                met.store(true, Ordering::Relaxed);
            }
        }
        let committed_object = known.kinds.contains(Kinds::OBJECT);
        rule.is_map |= !committed_object && self.maps.iter().any(|map| self.names(map, &path));
        rule.key = self.keys.iter().position(|key| self.names(key, &path));
        rule
    }

    /// Whether part `key` of the declared key is given as this very path, rather than by the name of
    /// a column that several paths may share (`id`, `ID`).
    pub fn is_key_path(&self, key: usize, id: PathId) -> bool {
        self.keys.get(key).is_some_and(|key| *key.path() == self.registry.path(id))
    }

    fn names(&self, selector: &Selector, path: &JsonPath) -> bool {
        selector.matches_column(path, &self.root_table)
    }
}
