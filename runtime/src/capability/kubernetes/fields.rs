//! JSONPaths as kubectl writes them: which fields of an object to keep, and what to wait for.

use crate::capability::shorten;
use serde_json::{Map, Value};
use serde_json_path::JsonPath;
use std::{collections::HashSet, io, ptr, slice};

/// The most bytes of a path.
const LONGEST: usize = 512;
/// How deep brackets may be nested. The parser calls itself for each, and so could overflow the stack.
const DEEPEST: usize = 6;
/// The most commas in a path. Each of them may double what is found.
const COMMAS: usize = 4;
/// The most steps `..` in a path.
const DESCENTS: usize = 1;
/// The most times that a path may touch a part of an object, which is some milliseconds of work.
const MOST_TOUCHES: usize = 10_000_000;
/// How many bytes of text take as long to compare as a number.
const TEXT_AT_ONCE: usize = 64;

/// A path that looks at each part of an object a limited number of times.
pub(super) struct Path {
    query: JsonPath,
    /// How often the path may look at a part, for each part that it lies in.
    looks: usize,
}

impl Path {
    /// Parses `$.status.phase`, `.status.phase` or `{.status.phase}`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let inner = text.trim();
        let inner = inner.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(inner);
        let inner = inner.strip_prefix('$').unwrap_or(inner);
        require_cheap(inner)
            .map_err(|why| format!("`{}` is too much for a JSONPath: {why}", shorten(text)))?;
        let query = JsonPath::parse(&format!("${inner}"))
            .map_err(|error| format!("`{text}` is not a JSONPath: {error}"))?;
        // Every step, wildcard or comparison has at least one such sign.
        let signs = inner.bytes().filter(u8::is_ascii_punctuation).count() + 1;
        Ok(Self { query, looks: signs << inner.matches(',').count() })
    }
}

/// Refuses paths that could look at a part of an object once for each other part. What stands in quotes
/// counts as well.
fn require_cheap(path: &str) -> Result<(), String> {
    if path.contains('$') {
        return Err("no `$` but the first".to_owned());
    }
    let mut previous = b' ';
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut filter = None;
    for letter in path.bytes() {
        match letter {
            b'(' if previous.is_ascii_alphanumeric() || previous == b'_' => {
                return Err("no functions".to_owned());
            }
            b'?' if filter.is_some_and(|outer| outer < depth) => {
                return Err("no filters in filters".to_owned());
            }
            b'?' => filter = Some(depth),
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        filter = filter.filter(|outer| *outer <= depth);
        deepest = deepest.max(depth);
        previous = letter;
    }
    for (what, found, most) in [
        ("bytes", path.len(), LONGEST),
        ("brackets in each other", deepest, DEEPEST),
        ("commas", path.matches(',').count(), COMMAS),
        ("`..`", path.matches("..").count(), DESCENTS),
    ] {
        if found > most {
            return Err(format!("at most {most} {what}"));
        }
    }
    Ok(())
}

/// The parts of an object that lie on these paths, at their places in it.
///
/// # Errors
/// When the object is too large for such paths.
pub(super) fn keep(object: &Value, paths: &[Path]) -> Result<Value, String> {
    require_small(object, paths)?;
    let found = paths.iter().flat_map(|path| path.query.query(object)).map(ptr::from_ref).collect();
    Ok(pick(object, &found).unwrap_or_else(|| Value::Object(Map::new())))
}

/// Whether the path leads to the value `wanted`, or to any value without it. Values are compared as kubectl
/// prints them.
///
/// # Errors
/// When the object is too large for such a path.
pub(super) fn is_met(object: &Value, path: &Path, wanted: Option<&str>) -> Result<bool, String> {
    require_small(object, slice::from_ref(path))?;
    Ok(path.query.query(object).iter().any(|found| match (wanted, found) {
        (None, found) => !found.is_null(),
        (Some(wanted), Value::String(text)) => text == wanted,
        (Some(wanted), other) => prints_as(other, wanted),
    }))
}

/// Whether a value is this text in JSON. It is printed only as far as the two are the same.
fn prints_as(value: &Value, text: &str) -> bool {
    let mut rest = Rest(text.as_bytes());
    serde_json::to_writer(&mut rest, value).is_ok() && rest.0.is_empty()
}

/// The part of a text that has not been printed yet.
struct Rest<'a>(&'a [u8]);

impl io::Write for Rest<'_> {
    fn write(&mut self, printed: &[u8]) -> io::Result<usize> {
        self.0 = self.0.strip_prefix(printed).ok_or(io::ErrorKind::WriteZero)?;
        Ok(printed.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn require_small(object: &Value, paths: &[Path]) -> Result<(), String> {
    let looks: usize = paths.iter().map(|path| path.looks).sum();
    if looks.saturating_mul(weight(object, 1)) > MOST_TOUCHES {
        return Err("the object is too large for these JSONPaths: use fewer or shorter ones".to_owned());
    }
    Ok(())
}

/// How many parts a path may have to look at. Each is counted with all parts that it lies in, as `..` may
/// compare each of them.
fn weight(value: &Value, depth: usize) -> usize {
    let text = |text: &str| depth * (1 + text.len() / TEXT_AT_ONCE);
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => depth,
        Value::String(value) => text(value),
        Value::Array(items) => depth + items.iter().map(|item| weight(item, depth + 1)).sum::<usize>(),
        Value::Object(parts) => {
            depth + parts.iter().map(|(key, part)| text(key) + weight(part, depth + 1)).sum::<usize>()
        }
    }
}

/// A copy with only the found parts, and those that they lie in.
fn pick(value: &Value, found: &HashSet<*const Value>) -> Option<Value> {
    if found.contains(&ptr::from_ref(value)) {
        return Some(value.clone());
    }
    match value {
        Value::Object(parts) => {
            let picked = parts.iter().filter_map(|(key, part)| Some((key.clone(), pick(part, found)?)));
            let picked: Map<_, _> = picked.collect();
            (!picked.is_empty()).then_some(Value::Object(picked))
        }
        Value::Array(items) => {
            let mut picked: Vec<_> = items.iter().map(|item| pick(item, found)).collect();
            let length = picked.iter().rposition(Option::is_some)? + 1;
            picked.truncate(length);
            Some(Value::Array(picked.into_iter().map(Option::unwrap_or_default).collect()))
        }
        _ => None,
    }
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

    fn parse(text: &str) -> Path {
        Path::parse(text).expect("a path")
    }

    #[test]
    fn paths_are_read_as_kubectl_writes_them() {
        for text in ["$.status.phase", ".status.phase", "{.status.phase}", " {$.status.phase} "] {
            assert!(is_met(&pod(), &parse(text), Some("Running")).expect("small"), "{text}");
        }
        assert!(Path::parse("status phase").is_err_and(|error| error.contains("`status phase`")));
    }

    #[test]
    fn paths_that_cost_too_much_are_refused_before_they_are_read() {
        for (path, says) in [
            (format!("$[?{}@.a{}]", "(".repeat(100_000), ")".repeat(100_000)), "512 bytes"),
            (format!("$[?{}@.a{}]", "(".repeat(100), ")".repeat(100)), "6 brackets"),
            ("$[*,*]".to_owned() + &"[*,*]".repeat(30), "4 commas"),
            ("$..*..*..*".to_owned(), "1 `..`"),
            ("$.data[?count($.data[?count($.data.*)>0])>0]".to_owned(), "no `$`"),
            ("$.data[?@.a==$.b]".to_owned(), "no `$`"),
            ("$.data[?count(@.*)>0]".to_owned(), "no functions"),
            ("$.data[?@.*[?@.a]]".to_owned(), "no filters in filters"),
            ("$.data[?(@.a || @.b) && @.*[?@.a]]".to_owned(), "no filters in filters"),
        ] {
            let refusal = Path::parse(&path).map(drop).expect_err("too much");
            assert!(refusal.contains(says) && refusal.len() < 300, "{refusal}");
        }
        let path = "{.status.conditions[?(@.type=='Ready' && (@.status=='True' || @.reason=='a'))]['a','b']}";
        assert!(Path::parse(path).is_ok());
        assert!(Path::parse("$.a[?@.b].c[?@.d == 'e'][?(@.f), ?(@.g)]").is_ok());
    }

    #[test]
    fn large_objects_are_only_looked_into_a_few_times() {
        let deep = |width: usize| (0..100).fold(json!(vec![0; width]), |inner, _| json!([inner]));
        let often = parse(&format!("$..[?{}@==@]", "@==@ && ".repeat(50)));
        assert!(is_met(&deep(10), &often, None).is_ok());
        let refusal = is_met(&deep(50_000), &often, None).expect_err("it would take seconds");
        assert!(refusal.contains("too large"), "{refusal}");
        assert!(is_met(&deep(0), &parse("$..[?@ == 'a']"), None).is_ok());
        let long = (0..100).fold(json!("a".repeat(4 << 20)), |inner, _| json!([inner]));
        assert!(is_met(&long, &often, None).is_err() && keep(&long, &[often]).is_err());
        let keys: Map<_, _> = (0..20_000).map(|key| (format!("key-{key}"), json!("value"))).collect();
        assert!(
            is_met(&json!({ "data": keys }), &parse(".data[?(@=='value')]"), Some("value")).expect("small")
        );
    }

    #[test]
    fn a_condition_is_any_value_or_that_one() {
        let met = |path: &str, wanted| is_met(&pod(), &parse(path), wanted).expect("small");
        assert!(met(".status.phase", None) && !met(".status.reason", None));
        assert!(met(".status.ready", Some("true")) && !met(".status.ready", Some("yes")));
        assert!(!met(".status.ready", Some("tru")) && !met(".status.ready", Some("trues")));
        assert!(met(".metadata.labels", Some(r#"{"app.kubernetes.io/name":"web"}"#)));
        assert!(met("{.status.conditions[?(@.type=='Ready')].status}", Some("True")));
        assert!(!met("{.status.conditions[?(@.type=='Initialized')].status}", Some("True")));
    }

    #[test]
    fn only_the_fields_that_were_asked_for_are_kept() {
        let paths: Vec<_> = [".metadata.name", ".status.conditions[*].type", ".spec.nodeName"]
            .into_iter()
            .map(parse)
            .collect();
        let kept = json!({
            "metadata": { "name": "web" },
            "status": { "conditions": [{ "type": "Ready" }, { "type": "Scheduled" }] },
        });
        assert_eq!(keep(&pod(), &paths).expect("small"), kept);
        assert_eq!(keep(&pod(), &paths[2..]).expect("small"), json!({}));
        let last = keep(&pod(), &[parse(".status.conditions[1].type")]).expect("small");
        assert_eq!(last, json!({ "status": { "conditions": [null, { "type": "Scheduled" }] } }));
    }
}
