//! Objects that turn out to be used as maps: their keys are data (R10).

use std::collections::HashMap;

use super::kind::Kinds;
use super::observed::Shape;
use super::path::{JsonPath, Step};
use super::plan::Plan;

/// A key is rare when at most one in this many of its objects has it.
const RARE: u64 = 20;
/// Of so many keys in a hundred, that many are rare in a map.
const MANY_PERCENT: usize = 95;

/// The paths below the root whose objects are maps by what the whole input shows: more than
/// `min_keys` keys, nearly each rare, with values of one kind. Maps within maps are found as well.
///
/// Paths whose layout is committed stay as they are; they are returned apart, to be reported.
pub fn find_maps(shape: &Shape, plan: &Plan, min_keys: usize) -> Maps {
    let children = shape.children();
    let mut search = Search { shape, plan, min_keys, children: &children, maps: Maps::default() };
    search.visit(&[0], &JsonPath::default());
    search.maps
}

/// What [`find_maps`] found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Maps {
    /// To be kept as maps.
    pub found: Vec<JsonPath>,
    /// Would be maps, but have columns from an earlier run.
    pub committed: Vec<JsonPath>,
}

struct Search<'a> {
    shape: &'a Shape,
    plan: &'a Plan,
    min_keys: usize,
    children: &'a [Vec<usize>],
    maps: Maps,
}

impl Search<'_> {
    /// Visits paths that are one: several once a map above has made them so.
    fn visit(&mut self, positions: &[usize], path: &JsonPath) {
        let mut by_step: HashMap<&Step, Vec<usize>> = HashMap::new();
        let mut order = Vec::new();
        for &position in positions {
            for &child in self.children.get(position).map_or(&[][..], |children| children) {
                let Some(step) = self.shape.paths().get(child).and_then(|c| c.step.as_ref()) else {
                    continue;
                };
                let same = by_step.entry(step).or_default();
                if same.is_empty() {
                    order.push(step);
                }
                same.push(child);
            }
        }
        let is_root = path.steps().is_empty();
        if !is_root && self.is_map(positions, &by_step) {
            let id = self.plan.registry.resolve(path);
            let known = self.plan.known.get(&id).copied().unwrap_or_default();
            if known.kinds.contains(Kinds::OBJECT) && !known.is_map {
                self.maps.committed.push(path.clone());
            } else {
                self.maps.found.push(path.clone());
                let values: Vec<usize> = order
                    .iter()
                    .filter(|step| matches!(step, Step::Key(_)))
                    .filter_map(|step| by_step.get(*step))
                    .flatten()
                    .copied()
                    .collect();
                self.visit(&values, &path.entry());
                order.retain(|step| !matches!(step, Step::Key(_)));
            }
        }
        for step in order {
            if let Some(positions) = by_step.get(step) {
                self.visit(positions, &path.child(step.clone()));
            }
        }
    }

    fn is_map(&self, positions: &[usize], by_step: &HashMap<&Step, Vec<usize>>) -> bool {
        let keys = || by_step.iter().filter(|(step, _)| matches!(step, Step::Key(_)));
        let num_keys = keys().count();
        if num_keys <= self.min_keys {
            return false;
        }
        let paths = self.shape.paths();
        let num_objects: u64 =
            positions.iter().filter_map(|at| paths.get(*at)).map(|path| path.num_seen).sum();
        let rare = num_objects.div_euclid(RARE).max(1);
        let mut num_rare = 0;
        let mut kinds = Kinds::none();
        for (_, same) in keys() {
            let seen = same.iter().filter_map(|at| paths.get(*at));
            let (num_seen, union) = seen.fold((0, Kinds::none()), |(num_seen, union), path| {
                (num_seen + path.num_seen, union | path.kinds)
            });
            num_rare += usize::from(num_seen <= rare);
            kinds |= union;
        }
        let of_one_kind = [
            kinds.column_type().is_some(),
            kinds.intersects(Kinds::OBJECT | Kinds::MAP),
            kinds.contains(Kinds::ARRAY),
        ];
        num_rare * 100 >= num_keys * MANY_PERCENT
            && of_one_kind.into_iter().filter(|seen| *seen).count() <= 1
    }
}
