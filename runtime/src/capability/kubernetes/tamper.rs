//! What guests may not write: the daemon's own labels, and what would let an object outlive its round.

use crate::ledger::PREFIX;
use json_patch::{Patch, PatchOperation};
use serde_json::Value;

const LABELS: &str = "the labels that say whose an object is stay as they are";
const KEEPERS: &str = "finalizers and owners are not for checks to set, as an object could outlive its round";

/// Refuses a new object that would not go when it is deleted.
pub(super) fn refuse_in_object(object: &Value) -> Result<(), &'static str> {
    let keeps =
        object.pointer("/metadata/finalizers").is_some_and(|finalizers| *finalizers != Value::Array(vec![]));
    if keeps { Err(KEEPERS) } else { Ok(()) }
}

/// Refuses a merge or strategic merge patch that changes what is not the guest's.
pub(super) fn refuse_in_merge(patch: &Value) -> Result<(), &'static str> {
    let Value::Object(patch) = patch else { return Err(LABELS) };
    let is_directive = |key: &String| key.starts_with('$');
    if patch.keys().any(is_directive) {
        return Err(LABELS);
    }
    let Some(metadata) = patch.get("metadata") else { return Ok(()) };
    let Value::Object(metadata) = metadata else { return Err(LABELS) };
    if metadata.contains_key("finalizers") || metadata.contains_key("ownerReferences") {
        return Err(KEEPERS);
    }
    if metadata.keys().any(is_directive) {
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

/// Refuses a JSON patch that changes what is not the guest's.
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
    let segments: Vec<String> =
        pointer.split('/').skip(1).map(|segment| segment.replace("~1", "/").replace("~0", "~")).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match segments[..] {
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
}
