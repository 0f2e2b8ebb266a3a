//! The shape of an entity: every path that was ever observed, in order of first appearance, and the
//! kinds of value there. It only widens (R11).

use serde::{Deserialize, Serialize};

use super::action::Action;
use super::kind::Kinds;
use super::path::{JsonPath, Step};
use super::plan::{KnownPath, Plan};
use super::registry::PathId;

/// Every path of an entity that was observed.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    paths: Vec<PathShape>,
    /// Position in `paths` by path number.
    by_id: Vec<Option<usize>>,
    /// How often it has widened.
    version: u64,
}

/// What was observed at one path.
#[derive(Clone, Debug)]
pub struct PathShape {
    /// The path.
    pub id: PathId,
    /// Position of the parent path in the shape; `None` for the root.
    pub parent: Option<usize>,
    /// The last step; `None` for the root.
    pub step: Option<Step>,
    /// The kinds seen.
    pub kinds: Kinds,
    /// How often the path was present.
    pub num_seen: u64,
    /// The action that decides how values are kept (R14).
    pub action: Option<Action>,
}

/// A path of a shape as the manifest keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredPath {
    /// The path written out.
    pub path: String,
    /// The kinds seen.
    pub kinds: Kinds,
    /// The action, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// How often the path was present, over all runs.
    pub num_seen: u64,
}

impl Shape {
    /// The paths in order of first appearance, parents before children.
    pub fn paths(&self) -> &[PathShape] {
        &self.paths
    }

    /// The shape at a path.
    pub fn get(&self, id: PathId) -> Option<&PathShape> {
        let position = self.by_id.get(id.index()).copied().flatten()?;
        self.paths.get(position)
    }

    /// Adds what was seen at a path. Callers add in the order of the input.
    pub fn add(&mut self, plan: &Plan, id: PathId, kinds: Kinds, num_seen: u64) {
        let position = self.position(plan, id);
        if let Some(path) = self.paths.get_mut(position) {
            self.version += u64::from(!path.kinds.contains(kinds));
            path.kinds |= kinds;
            path.num_seen += num_seen;
        }
    }

    /// Tells whether the shape has widened: it is greater then.
    pub fn version(&self) -> u64 {
        self.version
    }

    fn position(&mut self, plan: &Plan, id: PathId) -> usize {
        if let Some(position) = self.by_id.get(id.index()).copied().flatten() {
            return position;
        }
        // A parent is seen before its children, so this goes one level deep at most.
        let (parent, step) = plan.registry.parent(id).unzip();
        let parent = parent.map(|parent| self.position(plan, parent));
        let position = self.paths.len();
        let action = plan.rule(id).action;
        let kinds = Kinds::none();
        self.version += 1;
        self.paths.push(PathShape { id, parent, step, kinds, num_seen: 0, action });
        if self.by_id.len() <= id.index() {
            self.by_id.resize(id.index() + 1, None);
        }
        if let Some(slot) = self.by_id.get_mut(id.index()) {
            *slot = Some(position);
        }
        position
    }

    /// The children of every path, by position, in order of first appearance.
    pub fn children(&self) -> Vec<Vec<usize>> {
        let mut children = vec![Vec::new(); self.paths.len()];
        for (position, path) in self.paths.iter().enumerate() {
            if let Some(siblings) = path.parent.and_then(|parent| children.get_mut(parent)) {
                siblings.push(position);
            }
        }
        children
    }

    /// The shape as the manifest keeps it.
    pub fn store(&self, plan: &Plan) -> Vec<StoredPath> {
        let store = |path: &PathShape| StoredPath {
            path: plan.registry.path(path.id).to_string(),
            kinds: path.kinds,
            action: path.action,
            num_seen: path.num_seen,
        };
        self.paths.iter().map(store).collect()
    }

    /// The shape of earlier runs; `plan` learns the layout of every path.
    pub fn restore(
        stored: &[StoredPath],
        plan: &mut Plan,
    ) -> Result<Shape, super::path::PathError> {
        let mut ids = Vec::with_capacity(stored.len());
        for stored in stored {
            let id = plan.registry.resolve(&stored.path.parse::<JsonPath>()?);
            let is_map = stored.kinds.contains(Kinds::MAP);
            plan.known.insert(id, KnownPath { kinds: stored.kinds, action: stored.action, is_map });
            ids.push(id);
        }
        let mut shape = Shape::default();
        for (stored, id) in stored.iter().zip(ids) {
            shape.add(plan, id, stored.kinds, stored.num_seen);
        }
        Ok(shape)
    }
}
