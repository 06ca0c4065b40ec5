//! What people are shown holds: manifests and policies are accepted, limits are those of the table, and links,
//! paths, tests and decisions that pages name are there.

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

/// Documents for people, seen from the root of the workspace; a directory means all its pages.
const DOCUMENTS: [&str; 8] = [
    "README.md",
    "checks/compute/README.md",
    "checks/dns/README.md",
    "checks/http/README.md",
    "checks/rc-scheduler/README.md",
    "checks/tcp/README.md",
    "docs/operating",
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
    let policies = blocks(&read("docs/operating"), "kind: Policy");
    assert!(!policies.is_empty(), "no policy is shown");
    for policy in policies {
        Policy::parse(&policy, None, CLUSTER_DOMAIN).expect(&policy);
    }
}

#[test]
fn every_limit_stands_in_the_documentation_as_in_the_table() {
    let (operating, writing) = (read("docs/operating"), read("docs/writing-checks.md"));
    for limit in Limit::ALL {
        let range = limit.range();
        let [default, least, most] =
            [limit.default(), *range.start(), *range.end()].map(|amount| limit.written(amount));
        let row = format!("| `{}` | `{default}` | `{least}` to `{most}` | {} |", limit.path(), limit.about());
        assert!(operating.contains(&row), "docs/operating lacks the row\n{row}");
        assert!(writing.contains(&format!("`{}`", limit.key())), "docs/writing-checks.md lacks {limit:?}");
    }
}

#[test]
fn each_promise_about_security_names_tests_that_there_are() {
    let text = read("docs/security.md");
    let section = text.split("\n## ").find(|section| section.starts_with("What is promised"));
    let promises: Vec<_> = section.expect("promises").split("\n- ").skip(1).collect();
    assert!(promises.len() > 15, "{promises:?}");
    let sources = sources(&root().join("runtime"));
    for promise in promises {
        let tests = promise.lines().filter_map(|line| line.strip_prefix("  - "));
        let tests: Vec<_> = tests.map(|test| test.trim_matches('`')).collect();
        assert!(!tests.is_empty(), "no test: {promise}");
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
fn each_link_of_a_page_leads_to_a_file_and_a_heading_that_there_are() {
    let pages = all_pages();
    assert!(pages.len() > 100, "only {} pages", pages.len());
    for page in pages {
        for link in links(&read_page(&page)).iter().filter(|link| !link.contains("://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let directory = page.parent().expect("a page lies in a directory");
            let target = if file.is_empty() { page.clone() } else { directory.join(file) };
            assert!(target.exists(), "{}: {link} leads nowhere", page.display());
            if !anchor.is_empty() {
                let is_there = anchors(&read_page(&target)).iter().any(|heading| heading == anchor);
                assert!(is_there, "{}: {link} has no such heading", page.display());
            }
        }
    }
}

#[test]
fn each_path_that_newcomers_are_told_of_is_there() {
    let page = read("CONTRIBUTING.md");
    let prose = prose(&page);
    let words = prose.split('`').skip(1).step_by(2);
    let is_other = |word: &str| word.contains([' ', '*', '<', ':']) || word.starts_with(['/', '~']);
    let is_path = |word: &&str| word.contains('/') && !is_other(word) && !word.starts_with("target/");
    let paths: Vec<_> = words.filter(is_path).collect();
    assert!(paths.len() > 20, "{paths:?}");
    for path in paths {
        assert!(root().join(path).exists(), "CONTRIBUTING.md tells of {path}, which is not there");
    }
}

#[test]
fn each_decision_has_its_three_parts_and_a_row_in_the_index() {
    let decisions: Vec<_> = pages_in(&root().join("docs/decisions"));
    let index = read("docs/decisions/README.md");
    let rows: Vec<_> = index.lines().filter(|line| line.starts_with("| [")).collect();
    let names =
        decisions.iter().filter_map(|path| path.file_name()?.to_str()).filter(|name| *name != "README.md");
    let names: Vec<_> = names.collect();
    assert_eq!(rows.len(), names.len());
    for (place, name) in names.iter().enumerate() {
        let number = format!("{:04}", place + 1);
        let row = rows.iter().find(|row| row.starts_with(&format!("| [{number}] |")));
        let row = row.unwrap_or_else(|| panic!("the index has no row of {name}"));
        assert!(name.starts_with(&format!("{number}-")), "{name} is not number {number}");
        assert!(index.contains(&format!("\n[{number}]: {name}\n")), "the index has no link to {name}");
        let page = read(&format!("docs/decisions/{name}"));
        let title = page.lines().next().unwrap_or_default().trim_start_matches("# ");
        assert!(row.contains(title.split_once(". ").expect("a number").1), "{name} has another title: {row}");
        let parts: Vec<_> = page.lines().filter(|line| line.starts_with("## ")).collect();
        assert_eq!(parts, ["## Context", "## Decision", "## Consequences"], "{name}");
    }
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

/// A document, or all pages of a directory one after the other.
fn read(document: &str) -> String {
    let path = root().join(document);
    let paths = if path.is_dir() { pages_in(&path) } else { vec![path] };
    paths.iter().map(|path| read_page(path)).collect()
}

fn read_page(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The pages that lie in a directory, in the order of their names.
fn pages_in(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut pages: Vec<_> = paths.filter(|path| path.extension().is_some_and(|end| end == "md")).collect();
    pages.sort();
    pages
}

/// Every page of the workspace that people read.
fn all_pages() -> Vec<PathBuf> {
    let directories = ["", "docs", "docs/decisions", "docs/operating", "tests/guests"].map(str::to_owned);
    let checks = fs::read_dir(root().join("checks")).expect("the checks");
    let checks = checks.map(|entry| format!("checks/{}", entry.expect("an entry").file_name().display()));
    directories.into_iter().chain(checks).flat_map(|directory| pages_in(&root().join(directory))).collect()
}

/// A page without its blocks of code.
fn prose(page: &str) -> String {
    let parts = page.split("```").step_by(2);
    parts.collect()
}

/// Where the links of a page lead.
fn links(page: &str) -> Vec<String> {
    let prose = prose(page);
    let links = prose.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0));
    let below =
        prose.lines().filter(|line| line.starts_with('[')).filter_map(|line| Some(line.split_once("]: ")?.1));
    links.chain(below).map(str::to_owned).collect()
}

/// What a link to each heading of a page is called, as GitHub has it.
fn anchors(page: &str) -> Vec<String> {
    let prose = prose(page);
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    let names = headings.map(|line| line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-"));
    let is_kept = |letter: &char| letter.is_alphanumeric() || "-_".contains(*letter);
    names.map(|name| name.chars().filter(is_kept).collect()).collect()
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
