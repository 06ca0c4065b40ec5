//! The command `aviary` as people type it.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};
use tempfile::TempDir;

const MANIFEST: &str =
    "apiVersion: aviary.dev/v1alpha1\nkind: Check\nmetadata: { name: web }\nspec: { module: web.wasm }\n";

fn aviary(directory: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aviary"));
    command.env("AVIARY_CACHE_DIR", directory.join(".cache"));
    let command = command.current_dir(directory).args(arguments).envs(variables.iter().copied());
    command.output().expect("the command runs")
}

fn directory() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

fn printed(text: &[u8]) -> &str {
    str::from_utf8(text).expect("text")
}

#[test]
fn an_empty_variable_means_the_same_as_none() {
    let empty = [
        "AVIARY_LISTEN",
        "AVIARY_NAMESPACE",
        "AVIARY_MAX_CHECKS",
        "AVIARY_MAX_MODULE_SIZE",
        "AVIARY_COMPILE_MEMORY",
        "AVIARY_COMPILE_CPU",
        "AVIARY_COMPILE_TIMEOUT",
        "AVIARY_CACHE_DIR",
        "AVIARY_CA_FILE",
        "AVIARY_CLOSE_AFTER",
        "AVIARY_KILL_AFTER",
        "AVIARY_LOG_FORMAT",
        "AVIARY_LOG",
        "AVIARY_DEBUG",
    ]
    .map(|name| (name, ""));
    let run = aviary(directory().path(), &["run", "--checks", "nowhere"], &empty);
    let error = printed(&run.stderr);
    assert!(error.starts_with("error: cannot read nowhere: "), "{error}");
}

#[test]
fn a_manifest_to_inspect_gets_a_hint() {
    let directory = directory();
    fs::write(directory.path().join("web.yaml"), MANIFEST).expect("written");
    let inspect = aviary(directory.path(), &["inspect", "web.yaml"], &[]);
    let error = printed(&inspect.stderr);
    assert!(
        error.contains("web.yaml is a manifest") && error.contains("aviary validate web.yaml"),
        "{error}"
    );
}

#[test]
fn validate_names_each_file_once() {
    let directory = directory();
    fs::write(directory.path().join("lonely.yaml"), MANIFEST).expect("written");
    fs::write(directory.path().join("wrong.yaml"), "kind: Chek").expect("written");
    fs::write(directory.path().join("notes.txt"), "").expect("written");
    let paths = ["nowhere", "lonely.yaml", "wrong.yaml", "notes.txt"];
    let validate = aviary(directory.path(), &[&["validate"], &paths[..]].concat(), &[]);
    assert_eq!(validate.status.code(), Some(1));
    let lines: Vec<_> = printed(&validate.stdout).lines().collect();
    let expected = [
        "refused  nowhere: there is no such file or directory",
        "refused  lonely.yaml: the module web.wasm must lie beside it: cannot be read: ",
        "refused  wrong.yaml: line 1, ",
        "refused  notes.txt: expected a module ",
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:?}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line}");
    }
}
