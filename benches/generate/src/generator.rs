//! The one entry point: which shape, and the record at an index.

use crate::json::JsonWriter;
use crate::random::Random;
use crate::shapes::{deep, drift, events, maps, orders, tables, wide};

/// What the records look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shape {
    /// Shop orders: a nested customer, items with discounts, tags, rare refunds. About 850 bytes a
    /// record and six tables.
    Orders,
    /// One flat object with many optional columns of every scalar type.
    Wide {
        /// Number of optional columns beside `id`.
        columns: u32,
    },
    /// Objects and arrays inside each other, down to one exact depth.
    Deep {
        /// Nesting depth in containers; the record itself is the first, so 0 counts as 1.
        depth: u32,
    },
    /// Clickstream events: many strings, few numbers.
    Events,
    /// Types that conflict at one path, and fields that appear only from a later index on.
    Drift,
    /// Objects used as maps, with keys from large pools.
    Maps,
    /// Many arrays side by side, each a child table.
    Tables {
        /// Number of arrays below the root.
        tables: u32,
    },
}

/// Makes the records of one shape from one seed. Cheap to share between threads.
#[derive(Debug, Clone)]
pub struct Generator {
    kind: Kind,
    seed: u64,
}

/// A shape with what is worth preparing once.
#[derive(Debug, Clone)]
enum Kind {
    Orders,
    Wide(Vec<wide::Column>),
    Deep(u32),
    Events,
    Drift,
    Maps,
    Tables(Vec<String>),
}

impl Generator {
    /// Prepares `shape`; the same shape and seed always give the same records.
    #[must_use]
    pub fn new(shape: Shape, seed: u64) -> Self {
        let kind = match shape {
            Shape::Orders => Kind::Orders,
            Shape::Wide { columns } => Kind::Wide(wide::columns(columns)),
            Shape::Deep { depth } => Kind::Deep(depth),
            Shape::Events => Kind::Events,
            Shape::Drift => Kind::Drift,
            Shape::Maps => Kind::Maps,
            Shape::Tables { tables } => Kind::Tables(tables::names(tables)),
        };
        Self { kind, seed }
    }

    /// Appends record `index` to `bytes` as compact JSON, without a newline.
    pub fn write_record(&self, bytes: &mut Vec<u8>, index: u64) {
        let mut random = Random::for_record(self.seed, index);
        let mut json = JsonWriter::new(bytes);
        json.open_record();
        match &self.kind {
            Kind::Orders => orders::write(&mut json, &mut random, index),
            Kind::Wide(columns) => wide::write(&mut json, &mut random, index, columns),
            Kind::Deep(depth) => deep::write(&mut json, &mut random, index, *depth),
            Kind::Events => events::write(&mut json, &mut random, index),
            Kind::Drift => drift::write(&mut json, &mut random, index),
            Kind::Maps => maps::write(&mut json, &mut random, index),
            Kind::Tables(names) => tables::write(&mut json, &mut random, index, names),
        }
        json.close_object();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPES: [Shape; 9] = [
        Shape::Orders,
        Shape::Wide { columns: 60 },
        Shape::Deep { depth: 0 },
        Shape::Deep { depth: 23 },
        Shape::Events,
        Shape::Drift,
        Shape::Maps,
        Shape::Tables { tables: 12 },
        Shape::Tables { tables: 0 },
    ];

    fn records(shape: Shape, seed: u64, indexes: std::ops::Range<u64>) -> Vec<u8> {
        let generator = Generator::new(shape, seed);
        let mut bytes = Vec::new();
        for index in indexes {
            generator.write_record(&mut bytes, index);
            bytes.push(b'\n');
        }
        bytes
    }

    #[test]
    fn same_seed_gives_same_bytes() {
        for shape in SHAPES {
            assert_eq!(records(shape, 7, 0..200), records(shape, 7, 0..200), "{shape:?}");
        }
    }

    #[test]
    fn another_seed_gives_other_bytes() {
        for shape in [Shape::Orders, Shape::Events, Shape::Drift, Shape::Maps] {
            assert_ne!(records(shape, 7, 0..20), records(shape, 8, 0..20), "{shape:?}");
        }
    }

    #[test]
    fn any_split_gives_the_same_records() {
        for shape in SHAPES {
            let whole = records(shape, 3, 0..300);
            for cut in [0, 1, 137, 299, 300] {
                let mut parts = records(shape, 3, 0..cut);
                parts.extend(records(shape, 3, cut..300));
                assert_eq!(parts, whole, "{shape:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_record_is_one_line_of_utf8() {
        for shape in SHAPES {
            let bytes = records(shape, 11, 0..500);
            let text = std::str::from_utf8(&bytes).unwrap();
            assert_eq!(text.lines().count(), 500, "{shape:?}");
            assert!(text.lines().all(|line| line.starts_with('{') && line.ends_with('}')));
        }
    }

    #[test]
    fn brackets_close_in_order_and_nothing_dangles() {
        for shape in SHAPES {
            for line in records(shape, 5, 0..300).split(|&byte| byte == b'\n') {
                assert_balanced(line);
            }
        }
    }

    #[test]
    fn deep_reaches_exactly_its_depth() {
        for depth in [1, 2, 3, 4, 5, 6, 7, 12, 512] {
            let bytes = records(Shape::Deep { depth }, 1, 0..1);
            assert_eq!(assert_balanced(&bytes), depth as usize, "{depth}");
        }
    }

    #[test]
    fn orders_are_about_850_bytes() {
        let mean_bytes = records(Shape::Orders, 1, 0..10_000).len() / 10_000;
        assert!((750..=950).contains(&mean_bytes), "{mean_bytes}");
    }

    /// Checks brackets and commas outside strings; returns the greatest depth.
    fn assert_balanced(line: &[u8]) -> usize {
        let (mut open, mut deepest) = (Vec::new(), 0);
        let (mut in_string, mut escaped, mut previous) = (false, false, b'\n');
        for &byte in line {
            if in_string {
                in_string = escaped || byte != b'"';
                escaped = !escaped && byte == b'\\';
                continue;
            }
            match byte {
                b'"' => in_string = true,
                b'{' | b'[' => open.push(byte + 2),
                b'}' | b']' => {
                    assert_eq!(open.pop(), Some(byte));
                    assert!(previous != b',' && previous != b':');
                }
                b',' => assert!(!matches!(previous, b',' | b':' | b'{' | b'[')),
                _ => {}
            }
            deepest = deepest.max(open.len());
            previous = byte;
        }
        assert!(open.is_empty() && !in_string);
        deepest
    }
}
