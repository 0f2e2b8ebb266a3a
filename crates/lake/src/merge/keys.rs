//! Which key values staging holds, to leave out what cannot hold them (M9).

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;

use crate::delta::Range;

/// More values than this are known by their bounds alone.
const MAX_VALUES: usize = 1 << 20;

/// The values of one key column, sorted.
#[derive(Clone, Debug)]
pub enum KeyValues {
    /// Integers.
    Int(Vec<i64>),
    /// Texts.
    Text(Vec<String>),
    /// Of another type, by which nothing is left out.
    Other,
}

impl KeyValues {
    /// The values of a column in batches.
    pub fn of<'a>(arrays: impl Iterator<Item = &'a ArrayRef> + Clone) -> KeyValues {
        match arrays.clone().next().map(|array| array.data_type().clone()) {
            Some(DataType::Int64) => {
                let values = arrays.flat_map(|array| array.as_primitive::<Int64Type>().iter());
                KeyValues::Int(bounded(values.flatten().collect()))
            }
            Some(DataType::Int32) => {
                let values = arrays.flat_map(|array| array.as_primitive::<Int32Type>().iter());
                KeyValues::Int(bounded(values.flatten().map(i64::from).collect()))
            }
            Some(DataType::Utf8) => {
                let values = arrays.flat_map(|array| array.as_string::<i32>().iter());
                KeyValues::Text(bounded(values.flatten().map(str::to_owned).collect()))
            }
            None => KeyValues::Int(Vec::new()),
            _ => KeyValues::Other,
        }
    }

    /// Whether a value may lie within bounds; without bounds, any may.
    pub fn may_be_in(&self, range: Option<&Range>) -> bool {
        match (self, range) {
            (KeyValues::Int(values), Some(Range::Int(low, high))) => any_within(values, low, high),
            (KeyValues::Text(values), Some(Range::Text(low, high))) => {
                any_within(values, low, high)
            }
            (KeyValues::Int(values), _) => !values.is_empty(),
            (KeyValues::Text(values), _) => !values.is_empty(),
            (KeyValues::Other, _) => true,
        }
    }
}

/// The values sorted, or only the least and the greatest of too many.
fn bounded<T: Ord>(mut values: Vec<T>) -> Vec<T> {
    values.sort_unstable();
    values.dedup();
    values
}

fn any_within<T: Ord>(values: &[T], low: &T, high: &T) -> bool {
    if values.len() > MAX_VALUES {
        return values.first() <= Some(high) && values.last() >= Some(low);
    }
    values.get(values.partition_point(|value| value < low)).is_some_and(|value| value <= high)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Int64Array, StringArray};

    use super::*;

    #[test]
    fn m9_bounds_without_a_staged_key_are_left_out() {
        let array: ArrayRef = Arc::new(Int64Array::from(vec![Some(40), None, Some(10), Some(20)]));
        let keys = KeyValues::of(std::iter::once(&array));
        assert!(
            keys.may_be_in(Some(&Range::Int(10, 10))) && keys.may_be_in(Some(&Range::Int(15, 25)))
        );
        assert!(
            !keys.may_be_in(Some(&Range::Int(21, 39)))
                && !keys.may_be_in(Some(&Range::Int(41, 99)))
        );
        assert!(keys.may_be_in(None));

        let array: ArrayRef = Arc::new(StringArray::from(vec!["b", "d"]));
        let keys = KeyValues::of(std::iter::once(&array));
        assert!(keys.may_be_in(Some(&Range::Text("a".into(), "b".into()))));
        assert!(!keys.may_be_in(Some(&Range::Text("ba".into(), "cz".into()))));
        assert!(!KeyValues::of(std::iter::empty()).may_be_in(None));
    }
}
