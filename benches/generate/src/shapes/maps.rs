//! ```text
//! {id, measured_at,
//!  stock: {"<warehouse>": 12, …},                        scalars under dynamic keys
//!  metrics: {"<sku>": {views, clicks, revenue?}, …},     objects under dynamic keys
//!  watchers?: {"<uuid>": ["tag", …], …},                 arrays under dynamic keys
//!  titles: {de?, en, fr?}}                               a real object, for contrast
//! ```
//! `stock` and `metrics` draw from pools far over the default of 512 keys (R10), each key rare.

use super::moment_ms;
use crate::json::JsonWriter;
use crate::random::Random;
use crate::words;

const NUM_WAREHOUSES: u32 = 4_000;
const NUM_SKUS: u32 = 100_000;

/// Writes the record at `index`.
pub(crate) fn write(json: &mut JsonWriter<'_>, random: &mut Random, index: u64) {
    json.key("id").number(index.wrapping_add(1));
    json.key("measured_at").timestamp(moment_ms(index, 60_000));
    json.key("stock").open_object();
    for warehouse in distinct(random, 7, NUM_WAREHOUSES) {
        let quantity = u64::from(random.below(1000));
        json.numbered_key("WH-", warehouse, 4).number(quantity);
    }
    json.close_object();
    json.key("metrics").open_object();
    for sku in distinct(random, 6, NUM_SKUS) {
        json.numbered_key("SKU-", sku, 5).open_object();
        json.key("views").number(u64::from(random.below(10_000)));
        json.key("clicks").number(u64::from(random.below(500)));
        if random.chance(50) {
            json.key("revenue").hundredths(u64::from(random.below(1_000_000)));
        }
        json.close_object();
    }
    json.close_object();
    if random.chance(30) {
        write_watchers(json, random);
    }
    json.key("titles").open_object();
    json.key("en").text(random.pick(words::PRODUCTS));
    for language in ["de", "fr"] {
        if random.chance(50) {
            json.key(language).text(random.pick(words::PRODUCTS));
        }
    }
    json.close_object();
}

fn write_watchers(json: &mut JsonWriter<'_>, random: &mut Random) {
    json.key("watchers").open_object();
    for _ in 0..random.below(3) {
        json.uuid(random.next(), random.next());
        json.piece(":").open_array();
        for _ in 0..random.below(3) {
            json.text(random.pick(words::TAGS));
        }
        json.close_array();
    }
    json.close_object();
}

/// Up to `most` numbers below `bound`, all different: JSON wants unique keys.
fn distinct(random: &mut Random, most: u32, bound: u32) -> impl Iterator<Item = u64> + use<> {
    let count = random.below(most + 1);
    let start = random.below(bound);
    // Stays under one turn around the pool, so no number comes twice.
    let stride = 1 + random.below(bound / (most + 1) - 1);
    (0..count).map(move |step| u64::from((start + step * stride) % bound))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_one_map_differ() {
        for index in 0..2000 {
            let mut keys: Vec<u64> =
                distinct(&mut Random::for_record(1, index), 7, NUM_WAREHOUSES).collect();
            let num_keys = keys.len();
            keys.sort_unstable();
            keys.dedup();
            assert_eq!(keys.len(), num_keys);
        }
    }
}
