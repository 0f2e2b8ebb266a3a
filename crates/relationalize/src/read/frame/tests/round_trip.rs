//! The same values come back, however they were written.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn value() -> impl Strategy<Value = Value> {
    let text = "[a-c{}\\[\\]\",:\\\\\n\r é\u{1F600}]{0,8}";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(text, inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn record() -> impl Strategy<Value = Value> {
    btree_map("[a-d\"{\\\\]{1,3}", value(), 0..5)
        .prop_map(|members| Value::Object(members.into_iter().collect()))
}

fn written(values: &[Value], pretty: bool, between: &str) -> String {
    let texts: Vec<String> = values
        .iter()
        .map(|value| match pretty {
            true => serde_json::to_string_pretty(value).unwrap(),
            false => value.to_string(),
        })
        .collect();
    texts.join(between)
}

fn read_back(input: &str, options: &FrameOptions) -> Vec<Value> {
    let expected = frame_with(input.as_bytes(), options, usize::MAX, usize::MAX, false);
    for (chunk_bytes, target_bytes) in [(1, 10), (2, 1), (3, 1000), (5, 1), (7, 10), (64, 1)] {
        let found = frame_with(input.as_bytes(), options, chunk_bytes, target_bytes, false);
        assert_eq!(found, expected);
    }
    assert_eq!(expected.rejected, []);
    let mut values = Vec::new();
    for (_, _, bytes) in &expected.records {
        for value in serde_json::Deserializer::from_slice(bytes).into_iter::<Value>() {
            values.push(value.unwrap());
        }
    }
    values
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn every_layout_gives_the_same_records(
        records in vec(record(), 1..6),
        around in value(),
        crlf in any::<bool>(),
    ) {
        let mut layouts = vec![
            (by_content(), written(&records, false, "\n")),
            (by_content(), written(&records, false, "\n\n") + "\n"),
            (by_content(), written(&records, false, "")),
            (by_content(), written(&records, true, "")),
            (by_content(), written(&records, true, "\n")),
            (by_content(), format!("[{}]", written(&records, false, ","))),
            (by_content(), format!("[\n{}\n]\n", written(&records, false, ",\n"))),
            (by_content(), serde_json::to_string_pretty(&records).unwrap()),
            (by_path("$"), written(&records, false, "\n")),
            (by_path("$[*]"), serde_json::to_string_pretty(&records).unwrap()),
        ];
        let lines: String = records.iter().fold(String::new(), |mut lines, record| {
            writeln!(lines, "[{record}]").unwrap();
            lines
        });
        layouts.push((by_content(), lines));
        let envelope = serde_json::json!({"m": around, "data": records, "z": around});
        let two = serde_json::json!({"data": []});
        for pretty in [false, true] {
            let documents = [envelope.clone(), two.clone()];
            layouts.push((by_path("$.data[*]"), written(&documents, pretty, "\n")));
        }
        let nested = serde_json::json!([{"a": {"x y": records}, "m": around}, {"a": {"x y": null}}]);
        layouts.push((by_path("$[*].a['x y'][*]"), nested.to_string()));
        for (options, mut text) in layouts {
            if crlf {
                text = text.replace('\n', "\r\n");
            }
            prop_assert_eq!(&read_back(&text, &options), &records, "R2: {}", text);
            let marked = format!("\u{feff}{text}");
            prop_assert_eq!(&read_back(&marked, &options), &records, "R2: {}", marked);
        }
    }

    /// One record loses its end; the others come back.
    #[test]
    fn a_record_cut_short_takes_no_other_along(
        records in vec(record(), 2..6),
        which in any::<prop::sample::Index>(),
        cut in any::<prop::sample::Index>(),
        pretty in any::<bool>(),
        array in any::<bool>(),
    ) {
        let which = which.index(records.len());
        let mut texts: Vec<String> = records
            .iter()
            .map(|record| match pretty {
                true => serde_json::to_string_pretty(record).unwrap(),
                false => record.to_string(),
            })
            .collect();
        let mut length = 1 + cut.index(texts[which].len() - 1);
        while !texts[which].is_char_boundary(length) {
            length -= 1;
        }
        texts[which].truncate(length);
        let input = match array {
            true => format!("[\n{}\n]\n", texts.join(",\n")),
            false => texts.join("\n"),
        };
        let options = if array { by_content() } else { by_path("$") };
        let outcome = frame_with(input.as_bytes(), &options, 64, 1000, false);
        let found: Vec<Value> = outcome
            .records
            .iter()
            .filter_map(|(_, _, bytes)| serde_json::from_slice(bytes).ok())
            .collect();
        for (index, record) in records.iter().enumerate() {
            prop_assert!(index == which || found.contains(record), "R16: {}", input);
        }
    }

    #[test]
    fn arbitrary_bytes_frame_the_same_at_every_chunk_size(
        input in "[{}\\[\\],:\"\\\\ \n\ra1{\\[\n]{0,60}",
        path in prop::sample::select(vec!["", "$", "$[*]", "$.a[*]", "$[*].a"]),
        max_record_bytes in prop::sample::select(vec![5usize, 20, 1000]),
        max_depth in 1usize..5,
    ) {
        let options = FrameOptions {
            max_record_bytes,
            max_depth,
            ..if path.is_empty() { by_content() } else { by_path(path) }
        };
        frame(&input, &options);
    }
}
