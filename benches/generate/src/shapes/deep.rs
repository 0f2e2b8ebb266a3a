//! ```text
//! {id, label, node: {label, nodes: [[{label, nodes: [{label, node: {…}}]}]]}}
//! ```
//! One path down to the depth asked for. Which container stands at which depth is fixed, so a
//! path never conflicts with itself; an array that is the deepest holds numbers.

use crate::json::JsonWriter;
use crate::random::Random;
use crate::words;

/// The containers below one another, over and over: object, array of arrays of objects, array of
/// objects. True where the container is an array.
const IS_ARRAY: [bool; 6] = [false, false, true, true, false, true];

fn is_array(depth: u32) -> bool {
    IS_ARRAY[(depth as usize - 1) % IS_ARRAY.len()]
}

/// Writes the record at `index`, `deepest` containers deep.
pub(crate) fn write(json: &mut JsonWriter<'_>, random: &mut Random, index: u64, deepest: u32) {
    json.key("id").number(index.wrapping_add(1));
    json.key("label").text(random.pick(words::TAGS));
    for depth in 2..=deepest {
        if !is_array(depth - 1) {
            json.key(if is_array(depth) { "nodes" } else { "node" });
        }
        if is_array(depth) {
            json.open_array();
        } else {
            json.open_object();
            json.key("label").text(random.pick(words::TAGS));
            json.key("weight").number(u64::from(random.below(1000)));
        }
    }
    if deepest > 1 && is_array(deepest) {
        for _ in 0..random.below(4) {
            json.number(u64::from(random.below(1000)));
        }
    }
    for depth in (2..=deepest).rev() {
        if is_array(depth) {
            json.close_array();
        } else {
            json.close_object();
        }
    }
}
