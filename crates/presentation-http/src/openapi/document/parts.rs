//! The small pieces documents are put together from: JSON values, path templates, parameters, references.

use serde_json::{Map, Value, json};

use crate::openapi::collector::MARK;

/// A member of an object; null when there is none.
pub(super) fn member<'a>(value: &'a Value, name: &str) -> &'a Value {
    value.get(name).unwrap_or(&Value::Null)
}

pub(super) fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

pub(super) fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// `/files/{path:.*}` as `/files/{path}`. A closing brace too many is what paperclip leaves of a pattern with braces.
pub(super) fn plain_template(template: &str) -> String {
    let (mut plain, mut depth, mut in_pattern) = (String::with_capacity(template.len()), 0, false);
    for character in template.chars() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => continue,
            '}' => depth -= 1,
            ':' if depth == 1 => in_pattern = true,
            _ => {}
        }
        if depth == 0 {
            in_pattern = false;
        }
        if !in_pattern {
            plain.push(character);
        }
    }
    plain
}

/// The names in braces, in order.
pub(super) fn names_in(path: &str) -> impl Iterator<Item = &str> {
    path.split('{')
        .skip(1)
        .filter_map(|rest| rest.split('}').next())
}

/// The places in a text such as `fragment:1 fragment:2`.
pub(super) fn fragment_numbers(marks: &str) -> impl Iterator<Item = usize> {
    marks
        .split(' ')
        .filter_map(|mark| mark.strip_prefix(MARK)?.parse().ok())
}

/// A name for operations that have none: `get_api_v1_sessions_id`.
pub(super) fn operation_id(method: &str, path: &str) -> String {
    let words = path
        .split(|character: char| !character.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty());
    std::iter::once(method)
        .chain(words)
        .collect::<Vec<_>>()
        .join("_")
}

/// Adds what `from` has and `into` has not, into nested objects too: two media types of one status.
pub(super) fn merge(into: &mut Map<String, Value>, from: &Value) {
    for (key, value) in object(from) {
        match (into.get_mut(key), value) {
            (Some(Value::Object(known)), Value::Object(_)) => merge(known, value),
            (Some(_), _) => {}
            (None, value) => {
                into.insert(key.clone(), value.clone());
            }
        }
    }
}

/// The parameters a schema's properties stand for.
pub(super) fn query_parameters(schema: &Value) -> impl Iterator<Item = Value> {
    let required: Vec<&str> = array(member(schema, "required")).map(text).collect();
    object(member(schema, "properties")).map(move |(name, schema)| {
        parameter(
            "query",
            name,
            required.contains(&name.as_str()),
            without_null(schema.clone()),
        )
    })
}

/// The schema without `null`, which no query can say: a parameter is left out instead.
fn without_null(mut schema: Value) -> Value {
    let Some(members) = schema.as_object_mut() else {
        return schema;
    };
    if let Some(Value::Array(types)) = members.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            members.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(values)) = members.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    if let Some(Value::Array(options)) = members.get_mut("anyOf") {
        options.retain(|option| member(option, "type") != "null");
        if let [Value::Object(only)] = options.as_slice() {
            let only = only.clone();
            members.remove("anyOf");
            members.extend(only);
        }
    }
    schema
}

/// The parameter in the `place`-th braces of a path.
pub(super) fn path_parameter(schema: &Value, place: usize, name: &str) -> Value {
    let named = member(schema, "properties").get(name);
    let in_order = member(schema, "prefixItems").get(place);
    let only = (place == 0
        && matches!(
            text(member(schema, "type")),
            "string" | "integer" | "boolean"
        ))
    .then_some(schema);
    let found = named.or(in_order).or(only);
    let schema = found
        .cloned()
        .unwrap_or_else(|| json!({ "type": "string" }));
    parameter("path", name, true, schema)
}

/// A parameter object; the schema's description becomes the parameter's.
pub(super) fn parameter(place: &str, name: &str, required: bool, mut schema: Value) -> Value {
    let about = schema
        .as_object_mut()
        .and_then(|schema| schema.remove("description"));
    let mut parameter = Map::new();
    parameter.insert("in".to_owned(), place.into());
    parameter.insert("name".to_owned(), name.into());
    parameter.insert("required".to_owned(), required.into());
    parameter.extend(about.map(|about| ("description".to_owned(), about)));
    parameter.insert("schema".to_owned(), schema);
    parameter.into()
}

/// The schemas that `roots` refer to, and those they refer to.
pub(super) fn reachable(all: &Map<String, Value>, roots: [&Value; 2]) -> Map<String, Value> {
    const PREFIX: &str = "#/components/schemas/";
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(members) => {
                for (key, member) in members {
                    match member.as_str() {
                        Some(target) if key == "$ref" => found.extend(target.strip_prefix(PREFIX)),
                        _ => references(member, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let mut waiting = Vec::new();
    for root in roots {
        references(root, &mut waiting);
    }
    let mut kept = Map::new();
    while let Some(name) = waiting.pop() {
        if let (false, Some(schema)) = (kept.contains_key(name), all.get(name)) {
            kept.insert(name.to_owned(), schema.clone());
            references(schema, &mut waiting);
        }
    }
    kept
}
