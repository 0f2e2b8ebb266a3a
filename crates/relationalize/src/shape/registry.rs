//! One number for every JSON path of an entity, shared by all threads.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{PoisonError, RwLock};

use hashbrown::HashTable;

use super::path::{JsonPath, Step};

/// A JSON path of an entity. Numbers are given in the order in which threads happen to ask, so they
/// identify a path within one run and order nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PathId(u32);

impl PathId {
    /// The record itself, `$`.
    pub const ROOT: PathId = PathId(0);

    /// The position of this path in a table indexed by paths.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// The paths of one entity.
#[derive(Debug, Default)]
pub struct Registry {
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Parent and last step of path `n + 1`; the root has neither.
    steps: Vec<(PathId, Step)>,
    /// All but the root, found by their steps, which stand once: there may be millions.
    ids: HashTable<PathId>,
    hasher: RandomState,
    /// Paths that were asked for as texts.
    texts: HashMap<Box<str>, PathId>,
}

impl Inner {
    fn find(&self, key: &(PathId, Step)) -> Option<PathId> {
        let is_same = |id: &PathId| self.step(*id) == Some(key);
        self.ids.find(self.hasher.hash_one(key), is_same).copied()
    }

    fn add(&mut self, key: (PathId, Step)) -> PathId {
        let Inner { steps, ids, hasher, .. } = self;
        let hash = hasher.hash_one(&key);
        steps.push(key);
        let id = PathId(u32::try_from(steps.len()).unwrap_or(u32::MAX));
        ids.insert_unique(hash, id, |id| hasher.hash_one(&steps[id.index() - 1]));
        id
    }

    /// Parent and last step; `None` for the root.
    fn step(&self, id: PathId) -> Option<&(PathId, Step)> {
        id.index().checked_sub(1).and_then(|index| self.steps.get(index))
    }
}

impl Registry {
    /// The path that lies one step below `parent`, registered when new.
    pub fn child(&self, parent: PathId, step: Step) -> PathId {
        let key = (parent, step);
        let found = self.inner.read().unwrap_or_else(PoisonError::into_inner).find(&key);
        found.unwrap_or_else(|| {
            let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
            inner.find(&key).unwrap_or_else(|| inner.add(key))
        })
    }

    /// The path of `path` from the root, registered when new.
    pub fn resolve(&self, path: &JsonPath) -> PathId {
        path.steps().iter().fold(PathId::ROOT, |parent, step| self.child(parent, step.clone()))
    }

    /// The path that `text` spells, as a layout has it; remembered, for long paths of wide tables are asked
    /// for again and again. The root, when it is no path.
    pub fn resolve_text(&self, text: &str) -> PathId {
        let known = {
            let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
            inner.texts.get(text).copied()
        };
        known.unwrap_or_else(|| {
            // Paths of a layout were written from registered ones.
            let id = text.parse().map_or(PathId::ROOT, |path: JsonPath| self.resolve(&path));
            let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
            inner.texts.insert(text.into(), id);
            id
        })
    }

    /// Parent and last step of a path; `None` for the root.
    pub fn parent(&self, id: PathId) -> Option<(PathId, Step)> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.step(id).cloned()
    }

    /// The path written out.
    pub fn path(&self, id: PathId) -> JsonPath {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let mut steps = Vec::new();
        let mut at = id;
        while let Some((parent, step)) = inner.step(at) {
            steps.push(step.clone());
            at = *parent;
        }
        steps.reverse();
        JsonPath::from_steps(steps)
    }
}
