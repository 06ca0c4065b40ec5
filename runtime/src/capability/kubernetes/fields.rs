//! JSONPaths, as kubectl writes them: which fields of an object to keep, and what to wait for.

use crate::capability::shorten;
use serde_json::{Map, Value};
use serde_json_path::{JsonPath, NormalizedPath, PathElement};

/// The longest path, in bytes.
const LONGEST: usize = 512;
/// How deep brackets may stand in brackets: the parser calls itself for each, and so could overflow the stack.
const DEEPEST: usize = 6;
/// How many commas a path may have, each of which may double what is found, and how many `..`.
const COMMAS: usize = 4;
const DESCENTS: usize = 1;

/// Reads `$.status.phase`, `.status.phase` or `{.status.phase}`.
pub(super) fn parse(text: &str) -> Result<JsonPath, String> {
    require_cheap(text)?;
    let inner = text.trim();
    let inner = inner.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(inner);
    let path = if inner.starts_with('$') { inner.to_owned() } else { format!("${inner}") };
    JsonPath::parse(&path).map_err(|error| format!("`{text}` is not a JSONPath: {error}"))
}

/// Refuses what could cost more than the object that it looks into. What stands in quotes counts as well.
fn require_cheap(text: &str) -> Result<(), String> {
    let mut depth: usize = 0;
    let mut deepest = 0;
    for letter in text.bytes() {
        match letter {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    for (what, found, most) in [
        ("bytes", text.len(), LONGEST),
        ("brackets in each other", deepest, DEEPEST),
        ("commas", text.matches(',').count(), COMMAS),
        ("`..`", text.matches("..").count(), DESCENTS),
    ] {
        if found > most {
            return Err(format!("`{}` is too much for a JSONPath: at most {most} {what}", shorten(text)));
        }
    }
    Ok(())
}

/// What of an object lies on these paths, where it was.
pub(super) fn keep(object: &Value, paths: &[JsonPath]) -> Value {
    let mut kept = Value::Null;
    for node in paths.iter().flat_map(|path| path.query_located(object)) {
        put(&mut kept, node.location(), node.node());
    }
    if kept.is_null() { Value::Object(Map::new()) } else { kept }
}

/// Whether the path leads to this value, or to any value if none is given. Values are compared as kubectl
/// prints them.
pub(super) fn is_met(object: &Value, path: &JsonPath, wanted: Option<&str>) -> bool {
    path.query(object).iter().any(|found| match (wanted, found) {
        (None, found) => !found.is_null(),
        (Some(wanted), Value::String(text)) => text == wanted,
        (Some(wanted), other) => *other.to_string() == *wanted,
    })
}

fn put(kept: &mut Value, location: &NormalizedPath<'_>, node: &Value) {
    let mut place = kept;
    for element in location.iter() {
        place = match element {
            PathElement::Name(name) => {
                if !place.is_object() {
                    *place = Value::Object(Map::new());
                }
                &mut place[*name]
            }
            PathElement::Index(index) => {
                if !place.is_array() {
                    *place = Value::Array(Vec::new());
                }
                let Value::Array(items) = place else { return };
                if items.len() <= *index {
                    items.resize(*index + 1, Value::Null);
                }
                &mut items[*index]
            }
        };
    }
    *place = node.clone();
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod() -> Value {
        json!({
            "metadata": { "name": "web", "labels": { "app.kubernetes.io/name": "web" } },
            "status": {
                "phase": "Running",
                "ready": true,
                "conditions": [{ "type": "Ready", "status": "True" }, { "type": "Scheduled", "status": "True" }],
            },
        })
    }

    #[test]
    fn paths_are_read_as_kubectl_writes_them() {
        for text in ["$.status.phase", ".status.phase", "{.status.phase}", " {$.status.phase} "] {
            assert!(is_met(&pod(), &parse(text).expect("a path"), Some("Running")), "{text}");
        }
        assert!(parse("status phase").is_err_and(|error| error.contains("`status phase`")));
    }

    #[test]
    fn paths_that_cost_too_much_are_refused_before_they_are_read() {
        for (path, says) in [
            (format!("$[?{}@.a{}]", "(".repeat(100_000), ")".repeat(100_000)), "512 bytes"),
            (format!("$[?{}@.a{}]", "(".repeat(100), ")".repeat(100)), "6 brackets"),
            ("$[*,*]".to_owned() + &"[*,*]".repeat(30), "4 commas"),
            ("$..*..*..*".to_owned(), "1 `..`"),
        ] {
            let refusal = parse(&path).expect_err("too much");
            assert!(refusal.contains(says) && refusal.len() < 300, "{refusal}");
        }
        let path = "{.status.conditions[?(@.type=='Ready' && (@.status=='True' || @.reason=='a'))]['a','b']}";
        assert!(parse(path).is_ok());
    }

    #[test]
    fn a_condition_is_any_value_or_that_one() {
        let met = |path: &str, wanted| is_met(&pod(), &parse(path).expect("a path"), wanted);
        assert!(met(".status.phase", None) && !met(".status.reason", None));
        assert!(met(".status.ready", Some("true")) && !met(".status.ready", Some("yes")));
        assert!(met("{.status.conditions[?(@.type=='Ready')].status}", Some("True")));
        assert!(!met("{.status.conditions[?(@.type=='Initialized')].status}", Some("True")));
    }

    #[test]
    fn only_the_fields_that_were_asked_for_are_kept() {
        let paths: Vec<_> = [".metadata.name", ".status.conditions[*].type", ".spec.nodeName"]
            .into_iter()
            .map(|path| parse(path).expect("a path"))
            .collect();
        let kept = json!({
            "metadata": { "name": "web" },
            "status": { "conditions": [{ "type": "Ready" }, { "type": "Scheduled" }] },
        });
        assert_eq!(keep(&pod(), &paths), kept);
        assert_eq!(keep(&pod(), &paths[2..]), json!({}));
    }
}
