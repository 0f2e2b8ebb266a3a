//! The reference of the format in Markdown, from the same schema that editors use.

use serde_json::Value;

/// The tables of docs/sources.md: each kind of mapping with its keys.
pub fn reference() -> String {
    let schema = super::schema();
    let mut text = String::new();
    section(&mut text, "A source", &schema, &schema);
    let definitions = schema.get("$defs").and_then(Value::as_object);
    for (name, definition) in definitions.into_iter().flatten() {
        section(&mut text, name, definition, &schema);
    }
    text
}

fn section(text: &mut String, name: &str, schema: &Value, root: &Value) {
    let description = words(schema);
    let kinds = schema.get("oneOf").and_then(Value::as_array);
    if schema.get("properties").is_none() && kinds.is_none() {
        return;
    }
    text.push_str(&format!("\n### {name}\n\n{description}\n"));
    if schema.get("properties").is_some() {
        table(text, schema, root, None);
    }
    for kind in kinds.into_iter().flatten() {
        let tag = kind.pointer("/properties/type/const").and_then(Value::as_str);
        match tag {
            Some(tag) => {
                text.push_str(&format!("\n**`type: {tag}`** {}\n", words(kind)));
                table(text, kind, root, Some("type"));
            }
            None => {
                let values: Vec<String> = kind
                    .get("enum")
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
                    .chain(kind.get("const"))
                    .map(|value| format!("`{}`", value.as_str().unwrap_or_default()))
                    .collect();
                text.push_str(&format!("\n- {} {}", values.join(", "), words(kind)));
            }
        }
    }
    if kinds.is_some() {
        text.push('\n');
    }
}

fn table(text: &mut String, schema: &Value, root: &Value, without: Option<&str>) {
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let properties = schema.get("properties").and_then(Value::as_object);
    let rows: Vec<_> = properties
        .into_iter()
        .flatten()
        .filter(|(name, _)| Some(name.as_str()) != without)
        .collect();
    if rows.is_empty() {
        return;
    }
    text.push_str("\n| key | takes | what it says |\n|---|---|---|\n");
    for (name, property) in rows {
        let mark = if required.contains(&name.as_str()) { " (needed)" } else { "" };
        let takes = kind(property, root).replace('|', "or");
        text.push_str(&format!("| `{name}`{mark} | {takes} | {} |\n", words(property)));
    }
}

fn words(schema: &Value) -> String {
    let description = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    description.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// What a value may be, in words.
fn kind(schema: &Value, root: &Value) -> String {
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        let name = target.rsplit('/').next().unwrap_or_default();
        let definition = root.pointer(target.trim_start_matches('#'));
        let is_mapping = definition
            .is_some_and(|one| one.get("properties").is_some() || one.get("oneOf").is_some());
        return match (is_mapping, definition) {
            (true, _) => format!("[{name}](#{})", name.to_lowercase()),
            (false, Some(definition)) => kind(definition, root),
            (false, None) => name.to_owned(),
        };
    }
    for choice in ["anyOf", "oneOf"] {
        if let Some(choices) = schema.get(choice).and_then(Value::as_array) {
            let mut kinds: Vec<String> = choices
                .iter()
                .map(|choice| kind(choice, root))
                .filter(|kind| kind != "nothing")
                .collect();
            kinds.dedup();
            return kinds.join(", ");
        }
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        let values: Vec<_> =
            values.iter().map(|v| format!("`{}`", v.as_str().unwrap_or(""))).collect();
        return values.join(", ");
    }
    if let Some(value) = schema.get("const").and_then(Value::as_str) {
        return format!("`{value}`");
    }
    let types: Vec<&str> = match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => return "anything".to_owned(),
    };
    let named = types.iter().filter(|name| **name != "null").map(|name| match *name {
        "string" => "text".to_owned(),
        "integer" => "whole number".to_owned(),
        "boolean" => "true or false".to_owned(),
        "array" => match schema.get("items") {
            Some(items) => format!("list of {}", kind(items, root)),
            None => "list".to_owned(),
        },
        "object" => match schema.get("additionalProperties") {
            Some(values) if values.is_object() => format!("names with {}", kind(values, root)),
            _ => "mapping".to_owned(),
        },
        other => other.to_owned(),
    });
    let named: Vec<String> = named.collect();
    if named.is_empty() { "nothing".to_owned() } else { named.join(", ") }
}
