//! Refuses what guests may not write: the daemon's own labels, and what would let an object outlive its
//! round.

use crate::ledger::{PREFIX, TEMPLATES};
use json_patch::{Patch, PatchOperation};
use serde_json::Value;

const LABELS: &str = "the labels that say whose an object is stay as they are, in templates as well: patch the parts around them";
const KEEPERS: &str = "finalizers and owners are not for checks to set, as an object could outlive its round";

/// Refuses a new object that would not go when it is deleted, or that makes such objects.
pub(super) fn refuse_in_object(object: &Value) -> Result<(), &'static str> {
    let templates = TEMPLATES.iter().flat_map(|template| template.pointers(object));
    let keeps = |pointer: String| {
        let finalizers = object.pointer(&format!("{pointer}/metadata/finalizers"));
        finalizers.is_some_and(|finalizers| *finalizers != Value::Array(vec![]))
    };
    if [String::new()].into_iter().chain(templates).any(keeps) { Err(KEEPERS) } else { Ok(()) }
}

/// Refuses a merge or strategic merge patch that changes what only the daemon may change.
pub(super) fn refuse_in_merge(patch: &Value) -> Result<(), &'static str> {
    if patch.is_object() { judge_merge(patch, &marked()) } else { Err(LABELS) }
}

/// The paths to what the daemon labels: the object itself, and its templates.
fn marked() -> Vec<Vec<&'static str>> {
    let templates = TEMPLATES.iter().map(|template| template.path.split('/').skip(1).collect());
    [Vec::new()].into_iter().chain(templates).collect()
}

/// Judges a part of a merge patch. `marked` are the paths from there to what the daemon labels.
fn judge_merge(patch: &Value, marked: &[Vec<&str>]) -> Result<(), &'static str> {
    let below = |step: &str| -> Vec<Vec<&str>> {
        let paths = marked.iter().filter(|path| path.first() == Some(&step));
        paths.map(|path| path[1..].to_vec()).collect()
    };
    match patch {
        _ if marked.is_empty() => Ok(()),
        Value::Object(parts) => {
            if parts.keys().any(|key| is_directive(key)) {
                return Err(LABELS);
            }
            if marked.iter().any(Vec::is_empty) {
                parts.get("metadata").map_or(Ok(()), judge_metadata)?;
            }
            parts.iter().try_for_each(|(step, part)| judge_merge(part, &below(step)))
        }
        Value::Array(items) => items.iter().try_for_each(|item| judge_merge(item, &below("*"))),
        // What is put in the place of null later would have no labels.
        Value::Null => Err(LABELS),
        _ => Ok(()),
    }
}

fn judge_metadata(metadata: &Value) -> Result<(), &'static str> {
    let Value::Object(metadata) = metadata else { return Err(LABELS) };
    if metadata.contains_key("finalizers") || metadata.contains_key("ownerReferences") {
        return Err(KEEPERS);
    }
    if metadata.keys().any(|key| is_directive(key)) {
        return Err(LABELS);
    }
    match metadata.get("labels") {
        None => Ok(()),
        Some(Value::Object(labels)) => {
            let touches = labels.keys().any(|label| label.starts_with(PREFIX) || is_directive(label));
            if touches { Err(LABELS) } else { Ok(()) }
        }
        Some(_) => Err(LABELS),
    }
}

fn is_directive(key: &str) -> bool {
    key.starts_with('$')
}

/// Refuses a JSON patch that changes what only the daemon may change.
pub(super) fn refuse_in_json(patch: &Patch) -> Result<(), &'static str> {
    patch.iter().try_for_each(|operation| match operation {
        PatchOperation::Add(add) => refuse_at(add.path.as_str()),
        PatchOperation::Remove(remove) => refuse_at(remove.path.as_str()),
        PatchOperation::Replace(replace) => refuse_at(replace.path.as_str()),
        PatchOperation::Move(moved) => refuse_at(moved.from.as_str()).and(refuse_at(moved.path.as_str())),
        PatchOperation::Copy(copy) => refuse_at(copy.path.as_str()),
        PatchOperation::Test(_) => Ok(()),
    })
}

fn refuse_at(pointer: &str) -> Result<(), &'static str> {
    let steps: Vec<String> =
        pointer.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
    let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
    marked().iter().try_for_each(|path| {
        let leads_there = path.iter().zip(&steps).all(|(wanted, step)| wanted == step || *wanted == "*");
        match steps.get(path.len()..) {
            _ if !leads_there => Ok(()),
            // The pointer ends above what the daemon labels, and so would change that too.
            None => Err(LABELS),
            Some(rest) => judge_steps(rest),
        }
    })
}

fn judge_steps(steps: &[&str]) -> Result<(), &'static str> {
    match steps {
        [] | ["metadata"] | ["metadata", "labels"] => Err(LABELS),
        ["metadata", "labels", label, ..] if label.starts_with(PREFIX) => Err(LABELS),
        ["metadata", "finalizers" | "ownerReferences", ..] => Err(KEEPERS),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_merge_patch_cannot_touch_what_says_whose_an_object_is() {
        for patch in [
            json!({ "metadata": null }),
            json!({ "metadata": { "labels": null } }),
            json!({ "metadata": { "labels": { "aviary.dev/check": null } } }),
            json!({ "metadata": { "labels": { "$patch": "replace" } } }),
            json!({ "metadata": { "$patch": "delete" } }),
            json!({ "$retainKeys": ["spec"] }),
            json!([]),
        ] {
            assert_eq!(refuse_in_merge(&patch), Err(LABELS), "{patch}");
        }
        for patch in
            [json!({ "spec": { "replicas": 2 } }), json!({ "metadata": { "labels": { "app": null } } })]
        {
            assert_eq!(refuse_in_merge(&patch), Ok(()), "{patch}");
        }
    }

    #[test]
    fn a_json_patch_cannot_either_however_the_path_is_written() {
        let judge = |patch: Value| refuse_in_json(&serde_json::from_value(patch).expect("a patch"));
        for path in ["", "/metadata", "/metadata/labels", "/metadata/labels/aviary.dev~1check"] {
            assert_eq!(judge(json!([{ "op": "add", "path": path, "value": {} }])), Err(LABELS), "{path}");
        }
        let taken =
            json!([{ "op": "move", "from": "/metadata/labels/aviary.dev~1round", "path": "/data/x" }]);
        assert_eq!(judge(taken), Err(LABELS));
        let fine = json!([
            { "op": "test", "path": "/metadata", "value": {} },
            { "op": "replace", "path": "/metadata/labels/app", "value": "x" },
            { "op": "remove", "path": "/spec/paused" },
        ]);
        assert_eq!(judge(fine), Ok(()));
    }

    #[test]
    fn nothing_lets_an_object_outlive_its_round() {
        assert_eq!(refuse_in_merge(&json!({ "metadata": { "finalizers": [] } })), Err(KEEPERS));
        assert_eq!(refuse_in_merge(&json!({ "metadata": { "ownerReferences": [] } })), Err(KEEPERS));
        let patch = json!([{ "op": "add", "path": "/metadata/finalizers/-", "value": "a/b" }]);
        assert_eq!(refuse_in_json(&serde_json::from_value(patch).expect("a patch")), Err(KEEPERS));
        assert_eq!(refuse_in_object(&json!({ "metadata": { "finalizers": ["a/b"] } })), Err(KEEPERS));
        assert_eq!(refuse_in_object(&json!({ "metadata": { "finalizers": [] } })), Ok(()));
    }

    /// The paths of the templates in the four kinds of objects that have one.
    const TEMPLATED: [&str; 4] = [
        "/spec/template",
        "/spec/jobTemplate",
        "/spec/jobTemplate/spec/template",
        "/spec/volumeClaimTemplates/0",
    ];

    /// A merge patch that changes the template at this path.
    fn merging(template: &str, patch: &Value) -> Value {
        template.split('/').skip(1).collect::<Vec<_>>().into_iter().rev().fold(
            patch.clone(),
            |inner, step| {
                if step == "0" { json!([inner]) } else { json!({ step: inner }) }
            },
        )
    }

    #[test]
    fn templates_are_as_well_kept_as_objects() {
        for template in TEMPLATED {
            let refused = |patch: &Value| refuse_in_merge(&merging(template, patch));
            assert_eq!(
                refused(&json!({ "metadata": { "labels": { "aviary.dev/round": "x" } } })),
                Err(LABELS)
            );
            assert_eq!(refused(&json!({ "metadata": { "labels": { "app": "x" } } })), Ok(()));
            assert_eq!(refused(&json!({ "metadata": null })), Err(LABELS));
            assert_eq!(refused(&json!({ "$patch": "replace" })), Err(LABELS));
            assert_eq!(refused(&Value::Null), Err(LABELS));
            let keeping = json!({ "metadata": { "finalizers": ["a/b"] } });
            assert_eq!(refused(&keeping), Err(KEEPERS));
            assert_eq!(refuse_in_object(&merging(template, &keeping)), Err(KEEPERS));
        }
        assert_eq!(refuse_in_merge(&json!({ "spec": { "$patch": "replace" } })), Err(LABELS));
        assert_eq!(refuse_in_merge(&json!({ "spec": { "template": { "spec": { "x": null } } } })), Ok(()));
    }

    #[test]
    fn no_path_of_a_json_patch_leads_into_a_template_or_around_it() {
        let judge = |path: &str| {
            let patch = json!([{ "op": "add", "path": path, "value": {} }]);
            refuse_in_json(&serde_json::from_value(patch).expect("a patch"))
        };
        for template in TEMPLATED {
            for part in ["", "/metadata", "/metadata/labels", "/metadata/labels/aviary.dev~1round"] {
                assert_eq!(judge(&format!("{template}{part}")), Err(LABELS), "{template}{part}");
            }
            assert_eq!(judge(&format!("{template}/metadata/finalizers/-")), Err(KEEPERS), "{template}");
            assert_eq!(judge(&format!("{template}/metadata/labels/app")), Ok(()), "{template}");
        }
        for above in ["/spec", "/spec/jobTemplate/spec", "/spec/volumeClaimTemplates"] {
            assert_eq!(judge(above), Err(LABELS), "{above}");
        }
        for fine in ["/spec/replicas", "/spec/template/spec/containers/0/image"] {
            assert_eq!(judge(fine), Ok(()), "{fine}");
        }
    }
}
