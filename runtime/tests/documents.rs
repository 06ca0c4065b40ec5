//! Every manifest that people are shown is one that the daemon accepts.

use aviary::{
    grant::{CLUSTER_DOMAIN, Ceiling},
    manifest,
    policy::Policy,
    value::Limit,
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Documents for people, seen from the root of the workspace.
const DOCUMENTS: [&str; 8] = [
    "README.md",
    "checks/compute/README.md",
    "checks/dns/README.md",
    "checks/http/README.md",
    "checks/rc-scheduler/README.md",
    "checks/tcp/README.md",
    "docs/operating.md",
    "docs/writing-checks.md",
];

#[test]
fn manifests_in_the_documentation_are_accepted() {
    for document in DOCUMENTS {
        let manifests = manifests(&read(document));
        assert!(!manifests.is_empty(), "{document} shows no manifest");
        for manifest in manifests {
            accept(document, &manifest);
        }
    }
}

#[test]
fn the_policy_in_the_documentation_is_accepted() {
    let policies = blocks(&read("docs/operating.md"), "kind: Policy");
    assert!(!policies.is_empty(), "no policy is shown");
    for policy in policies {
        Policy::parse(&policy, None, CLUSTER_DOMAIN).expect(&policy);
    }
}

#[test]
fn every_limit_stands_in_the_documentation_as_in_the_table() {
    let (operating, writing) = (read("docs/operating.md"), read("docs/writing-checks.md"));
    for limit in Limit::ALL {
        let range = limit.range();
        let [default, least, most] =
            [limit.default(), *range.start(), *range.end()].map(|amount| limit.written(amount));
        let row = format!("| `{}` | `{default}` | `{least}` to `{most}` | {} |", limit.path(), limit.about());
        assert!(operating.contains(&row), "docs/operating.md lacks the row\n{row}");
        assert!(writing.contains(&format!("`{}`", limit.key())), "docs/writing-checks.md lacks {limit:?}");
    }
}

#[test]
fn each_promise_about_security_names_tests_that_there_are() {
    let text = read("docs/security.md");
    let section = text.split("\n## ").find(|section| section.starts_with("What is promised"));
    let table = section.expect("promises").lines().filter(|line| line.starts_with("| "));
    let rows: Vec<_> = table.skip(2).collect();
    assert!(rows.len() > 15, "{rows:?}");
    let sources = sources(&root().join("runtime"));
    for row in rows {
        let tests: Vec<_> =
            row.rsplit(" | ").next().unwrap_or_default().split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "no test: {row}");
        for test in tests {
            assert!(sources.contains(&format!("fn {test}()")), "there is no test {test}");
        }
    }
}

/// All Rust code below a directory.
fn sources(directory: &Path) -> String {
    let entries = fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path());
    let read = |path: &Path| fs::read_to_string(path).expect("text");
    let is_code = |path: &PathBuf| path.is_dir() || path.extension().is_some_and(|end| end == "rs");
    entries.filter(is_code).map(|path| if path.is_dir() { sources(&path) } else { read(&path) }).collect()
}

#[test]
fn manifests_of_the_demo_are_accepted() {
    accept("deploy/example", &read("deploy/example/fibonacci.yaml"));
    let demo = fs::read_dir(root().join("deploy/demo")).expect("the demo");
    let paths = demo.map(|entry| entry.expect("an entry").path());
    let manifests: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|ending| ending == "yaml")).collect();
    assert!(manifests.len() >= 5, "the demo has only {manifests:?}");
    for path in manifests {
        accept(&path.display().to_string(), &fs::read_to_string(&path).expect("a manifest"));
    }
}

fn accept(whence: &str, manifest: &str) {
    if let Err(error) = manifest::parse(manifest, "default", &Ceiling::open()) {
        panic!("{whence}: {error}\n{manifest}");
    }
}

/// The blocks of YAML that are whole manifests.
fn manifests(text: &str) -> Vec<String> {
    blocks(text, "kind: Check")
}

/// The blocks of YAML that hold these words.
fn blocks(text: &str, words: &str) -> Vec<String> {
    let blocks = text.split("```yaml\n").skip(1);
    let blocks = blocks.map(|rest| rest.split("```").next().unwrap_or_default().to_owned());
    blocks.filter(|block| block.contains(words)).collect()
}

fn read(document: &str) -> String {
    fs::read_to_string(root().join(document)).unwrap_or_else(|error| panic!("{document}: {error}"))
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
