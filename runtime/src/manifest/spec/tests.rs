//! Tests of the JSON schema: what it says, and that it says what the daemon does.

use crate::{
    grant::Ceiling,
    manifest::{parse, read, schema},
};
use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::Value;
use std::{env, fs, path::Path};

#[test]
fn the_committed_schema_is_the_schema_of_these_types() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/check.schema.json");
    let generated = format!("{:#}\n", schema());
    if env::var_os("AVIARY_BLESS").is_some_and(|bless| bless == "1") {
        fs::write(&path, &generated).expect("deploy/ is writable");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == generated,
        "deploy/check.schema.json is out of date: run the tests with AVIARY_BLESS=1"
    );
}

#[test]
fn every_key_of_the_schema_is_described() {
    fn visit(node: &Value, path: &str) {
        let properties = node["properties"].as_object().into_iter().flatten();
        for (key, property) in properties {
            assert!(property["description"].is_string(), "{path}.{key} has no doc comment");
        }
        for (key, child) in node.as_object().into_iter().flatten() {
            visit(child, &format!("{path}.{key}"));
        }
    }
    visit(&schema(), "schema");
}

/// The JSON schema, ready to judge documents.
struct Judge {
    schemas: Schemas,
    schema: SchemaIndex,
}

impl Judge {
    fn new() -> Self {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.add_resource("check.schema.json", schema()).expect("a document");
        let schema = compiler.compile("check.schema.json", &mut schemas).expect("a schema");
        Self { schemas, schema }
    }

    /// The objections of the schema to the documents of a file.
    fn minds(&self, text: &str) -> Vec<String> {
        let documents: Vec<Value> = read(text).expect("YAML");
        let minds =
            |document: &Value| self.schemas.validate(document, self.schema).err().map(|why| why.to_string());
        documents.iter().filter(|document| !document.is_null()).filter_map(minds).collect()
    }
}

fn accepts(text: &str) -> bool {
    parse(text, "default", &Ceiling::open()).is_ok()
}

fn with(spec: &str) -> String {
    format!(
        "apiVersion: aviary.dev/v1alpha1\nkind: Check\nmetadata: {{ name: dns }}\nspec:\n  module: dns.wasm\n  {spec}\n"
    )
}

#[test]
fn the_schema_minds_nothing_that_the_daemon_takes() {
    let judge = Judge::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut taken = 0;
    for place in ["fuzz/corpus/manifest", "deploy/demo", "deploy/example"] {
        for entry in fs::read_dir(root.join(place)).expect("files") {
            let path = entry.expect("a file").path();
            let Ok(text) = fs::read_to_string(&path) else { continue };
            if accepts(&text) {
                taken += 1;
                assert_eq!(judge.minds(&text), Vec::<String>::new(), "{}", path.display());
            }
        }
    }
    assert!(taken > 20, "only {taken} manifests");
    for spec in [
        "limits: { memory: 67108864 }",
        "limits: { memory: '67108864', hostCallBytes: 4Ki }",
        "limits: { cpu: 1m, initCpu: 500ms, targets: 1000, series: 1 }",
        "interval: 1d2h3m4s5ms",
        "schedule: '*/5 * * * *'",
        "digest: sha256:0000000000000000000000000000000000000000000000000000000000000000",
        "retries: 10\n  suspend: true\n  severity: warning\n  owner: us",
        "settings: { a: [1, null, x] }",
        "secrets: [{ name: a, secretKeyRef: { name: s, key: k } }]",
        "grants: { tcp: [{ targets: ['db:5432'], private: true }], dns: { names: ['*'] } }",
    ] {
        assert!(accepts(&with(spec)), "{spec}");
        assert_eq!(judge.minds(&with(spec)), Vec::<String>::new(), "{spec}");
    }
}

#[test]
fn the_schema_minds_what_the_daemon_refuses_for_itself() {
    let judge = Judge::new();
    for spec in [
        "intervall: 30s",
        "interval: 30",
        "interval: ''",
        "interval: 1s1m",
        "timeout: soon",
        "failureThreshold: 0",
        "successThreshold: 1.5",
        "retries: 11",
        "retries: -1",
        "severity: high",
        "owner: ''",
        "settings: [1]",
        "suspend: 1",
        "limits: { memory: 2097151 }",
        "limits: { memory: 1073741825 }",
        "limits: { memory: -1 }",
        "limits: { memory: 2097152.5 }",
        "limits: { memory: 64MB }",
        "limits: { targets: 0 }",
        "limits: { hostcalls: 1 }",
        "digest: sha256:00",
        "module: ../dns.wasm",
        "secrets: [{ env: A }]",
        "grants: { kubernetes: [{ apiGroups: [], resources: [pods], verbs: [get] }] }",
    ] {
        let text =
            if spec.starts_with("module") { with("").replace("module: dns.wasm", spec) } else { with(spec) };
        assert!(!accepts(&text) && !judge.minds(&text).is_empty(), "{spec}");
    }
}
