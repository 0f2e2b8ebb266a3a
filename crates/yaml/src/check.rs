//! Checks a located tree against the JSON Schema that schemars makes of the types.
//!
//! Known are the words that schemars derives: `$ref`, `oneOf`, `anyOf`, `type`, `properties`,
//! `additionalProperties`, `required`, `items`, `const`, `enum`, `minimum`, `maximum`,
//! and `patternProperties` as far as schemars writes it.

use std::fmt;

use serde_json::Value as Json;
use serde_saphyr::Location;

use super::tree::{Key, Node, Value};

/// Something wrong in a file.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Where.
    pub at: Option<Location>,
    /// The keys that lead to it, as `streams.issues.paginate.type`.
    pub path: String,
    /// What.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(at) = self.at {
            write!(f, "{}:{}: ", at.line(), at.column())?;
        }
        let colon = if self.path.is_empty() { "" } else { ": " };
        write!(f, "{}{colon}{}", self.path, self.message)
    }
}

/// Holds `tree` against a JSON Schema.
///
/// # Errors
///
/// All that is wrong, in the order of the file.
pub fn check(tree: &Node, schema: &Json) -> Result<(), Vec<Problem>> {
    let place = Place { path: String::new(), at: tree.at };
    let mut problems = Checker { root: schema }.node(&place, tree, schema);
    problems.sort_by_key(|it| it.at.map(|at| (at.line(), at.column())));
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// Where a node hangs: the path to it, and its key.
struct Place {
    path: String,
    at: Location,
}

impl Place {
    fn key(&self, key: &Key) -> Place {
        let dot = if self.path.is_empty() { "" } else { "." };
        Place { path: format!("{}{dot}{}", self.path, key.name), at: key.at }
    }

    fn item(&self, index: usize, item: &Node) -> Place {
        Place { path: format!("{}[{index}]", self.path), at: item.at }
    }

    fn problem(&self, at: Location, message: String) -> Problem {
        Problem { at: Some(at), path: self.path.clone(), message }
    }
}

struct Checker<'a> {
    root: &'a Json,
}

impl<'a> Checker<'a> {
    /// The alternatives that a schema allows: references and choices are followed.
    fn alternatives(&self, schema: &'a Json) -> Vec<&'a Json> {
        let target = schema.get("$ref").and_then(Json::as_str);
        if let Some(target) = target.and_then(|it| self.root.pointer(it.strip_prefix('#')?)) {
            return self.alternatives(target);
        }
        match schema.get("oneOf").or_else(|| schema.get("anyOf")).and_then(Json::as_array) {
            Some(choices) => choices.iter().flat_map(|it| self.alternatives(it)).collect(),
            None => vec![schema],
        }
    }

    fn node(&self, place: &Place, node: &Node, schema: &'a Json) -> Vec<Problem> {
        let all = self.alternatives(schema);
        let fit: Vec<_> = all.iter().copied().filter(|it| admits(it, node)).collect();
        if fit.is_empty() {
            return vec![place.problem(node.at, wrong_type(&all, node))];
        }
        match &node.value {
            Value::Scalar(value) => {
                let message = self.scalar(value, &fit);
                message.into_iter().map(|it| place.problem(node.at, it)).collect()
            }
            Value::List(items) => best(&fit, |schema| {
                let Some(schema) = schema.get("items") else { return Vec::new() };
                let items = items.iter().enumerate();
                items.flat_map(|(i, item)| self.node(&place.item(i, item), item, schema)).collect()
            }),
            Value::Map(entries) => match tag(&fit) {
                Some(tag) => self.tagged(place, node, entries, tag, &fit),
                None => best(&fit, |schema| self.map(place, entries, schema)),
            },
        }
    }

    fn scalar(&self, value: &Json, schemas: &[&Json]) -> Option<String> {
        let known: Vec<String> = schemas.iter().flat_map(|it| choices(it)).map(text).collect();
        let problems = schemas.iter().map(|schema| {
            let own = choices(schema);
            if !own.is_empty() && !own.contains(&value) {
                return Some(unknown("value", &text(value), &known));
            }
            let bound = |word| Some((value.as_f64()?, schema.get(word)?.as_f64()?));
            if let Some((_, min)) = bound("minimum").filter(|(number, min)| number < min) {
                return Some(format!("{value} is too small, the least is {min}"));
            }
            if let Some((_, max)) = bound("maximum").filter(|(number, max)| number > max) {
                return Some(format!("{value} is too large, the most is {max}"));
            }
            None
        });
        problems.min_by_key(Option::is_some).flatten()
    }

    /// A mapping whose other keys depend on the value of the key `tag`.
    fn tagged(
        &self,
        place: &Place,
        node: &Node,
        entries: &[(Key, Node)],
        tag: &str,
        schemas: &[&'a Json],
    ) -> Vec<Problem> {
        let kind = |schema: &'a Json| schema.get("properties")?.get(tag)?.get("const");
        let kinds: Vec<String> = schemas.iter().filter_map(|it| kind(it)).map(text).collect();
        let Some((key, Node { at, value })) = node.get(tag) else {
            let message = format!("key `{tag}` is missing: one of {}", kinds.join(", "));
            return vec![place.problem(place.at, message)];
        };
        let Value::Scalar(value) = value else {
            let message = format!("expected one of {}", kinds.join(", "));
            return vec![place.key(key).problem(*at, message)];
        };
        match schemas.iter().find(|it| kind(it) == Some(value)) {
            Some(schema) => self.map(place, entries, schema),
            None => vec![place.key(key).problem(*at, unknown("value", &text(value), &kinds))],
        }
    }

    fn map(&self, place: &Place, entries: &[(Key, Node)], schema: &'a Json) -> Vec<Problem> {
        let keys = schema.get("properties").and_then(Json::as_object);
        let others = schema.get("additionalProperties");
        // schemars knows one pattern only: that of the keys of a map by integers.
        let patterns = schema.get("patternProperties").and_then(Json::as_object);
        let numbered =
            |key: &Key| key.name.parse::<i64>().ok().and_then(|_| patterns?.values().next());
        let has = |name: &str| entries.iter().any(|(key, _)| key.name == name);
        let mut problems = Vec::new();
        for (key, node) in entries {
            let place = place.key(key);
            match keys.and_then(|keys| keys.get(&key.name)).or_else(|| numbered(key)).or(others) {
                Some(Json::Bool(false)) => {
                    let free = keys.iter().flat_map(|it| it.keys()).filter(|name| !has(name));
                    let message = unknown("key", &key.name, &free.cloned().collect::<Vec<_>>());
                    problems.push(place.problem(key.at, message));
                }
                Some(schema) => problems.extend(self.node(&place, node, schema)),
                None => {}
            }
        }
        let required = schema.get("required").and_then(Json::as_array).into_iter().flatten();
        let missing = required.filter_map(Json::as_str).filter(|name| !has(name));
        problems.extend(
            missing.map(|name| place.problem(place.at, format!("key `{name}` is missing"))),
        );
        problems
    }
}

/// What the schema that fits best has against the node.
fn best<'a>(schemas: &[&'a Json], check: impl Fn(&'a Json) -> Vec<Problem>) -> Vec<Problem> {
    schemas.iter().map(|it| check(it)).min_by_key(Vec::len).unwrap_or_default()
}

/// The key that is constant in all the schemas.
fn tag<'a>(schemas: &[&'a Json]) -> Option<&'a str> {
    let is_constant = |schema: &Json, name: &str| schema["properties"][name].get("const").is_some();
    let mut names = schemas.first()?.get("properties")?.as_object()?.keys();
    names.find(|name| schemas.iter().all(|it| is_constant(it, name))).map(String::as_str)
}

fn types(schema: &Json) -> Vec<&str> {
    match schema.get("type") {
        Some(Json::Array(types)) => types.iter().filter_map(Json::as_str).collect(),
        other => other.and_then(Json::as_str).into_iter().collect(),
    }
}

fn choices(schema: &Json) -> Vec<&Json> {
    let listed = schema.get("enum").and_then(Json::as_array).into_iter().flatten();
    schema.get("const").into_iter().chain(listed).collect()
}

fn admits(schema: &Json, node: &Node) -> bool {
    let types = types(schema);
    types.is_empty()
        || types.iter().any(|name| match (&node.value, *name) {
            (Value::Map(_), "object") | (Value::List(_), "array") => true,
            (Value::Scalar(value), "null") => value.is_null(),
            (Value::Scalar(value), "boolean") => value.is_boolean(),
            (Value::Scalar(value), "integer") => value.is_i64() || value.is_u64(),
            (Value::Scalar(value), "number") => value.is_number(),
            (Value::Scalar(value), "string") => value.is_string(),
            _ => false,
        })
}

fn wrong_type(schemas: &[&Json], node: &Node) -> String {
    let (found, may_quote) = match &node.value {
        Value::Map(_) => ("a mapping".to_owned(), false),
        Value::List(_) => ("a list".to_owned(), false),
        Value::Scalar(Json::Null) => ("nothing".to_owned(), false),
        Value::Scalar(Json::String(text)) => (format!("the string `{text}`"), false),
        Value::Scalar(other) => (format!("`{other}`"), true),
    };
    let mut expected: Vec<String> = Vec::new();
    for schema in schemas {
        let choices = choices(schema).into_iter().map(|it| format!("`{}`", text(it)));
        let words = types(schema).into_iter().filter_map(|name| match name {
            "object" => Some("a mapping"),
            "array" => Some("a list"),
            "integer" => Some("a whole number"),
            "number" => Some("a number"),
            "boolean" => Some("true or false"),
            "string" => Some("a string"),
            _ => None,
        });
        let any_of_type = choices.len() == 0;
        expected.extend(choices);
        expected.extend(words.filter(|_| any_of_type).map(str::to_owned));
    }
    let mut seen = std::collections::HashSet::new();
    expected.retain(|it| seen.insert(it.clone()));
    let text_fits =
        schemas.iter().any(|it| types(it).contains(&"string") && choices(it).is_empty());
    let hint = if may_quote && text_fits { " (put it in quotes)" } else { "" };
    format!("expected {}, found {found}{hint}", expected.join(" or "))
}

/// Says that `found` is not known, and what is.
fn unknown(what: &str, found: &str, known: &[String]) -> String {
    let distance = |it: &&String| strsim::damerau_levenshtein(found, it);
    let length = found.chars().count();
    let near = |it: &&String| distance(it) < length && distance(it) <= length.div_ceil(3);
    let hint = known.iter().min_by_key(distance).filter(near);
    let hint = hint.map(|it| format!(", did you mean `{it}`?")).unwrap_or_default();
    let list = match known {
        [] => String::new(),
        _ if what == "key" && !hint.is_empty() => String::new(),
        known => format!(" (known: {})", known.join(", ")),
    };
    format!("unknown {what} `{found}`{hint}{list}")
}

fn text(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
