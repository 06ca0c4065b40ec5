//! Tests of the changes that scans of a directory tell.

mod broken;
mod clashes;
mod documents;
mod hostile;
mod unreadable;
mod watched;

use super::{Directories, scan::Scanner};
use crate::{
    board::SourceStatus,
    grant::Ceiling,
    source::{Change, Taken},
    value::{Key, Origin},
};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;
use tokio::{sync::watch, time::Instant};

/// The start of what a scan tells of a directory that cannot be read.
const STAND_IN: &str = "!default/unreadable-directory ";

/// A temporary directory, with a scanner of it and the time of the next scan.
struct Fixture {
    directory: TempDir,
    scanner: Scanner,
    contact: Arc<SourceStatus>,
    taken: watch::Receiver<Taken>,
    now: Instant,
}

impl Fixture {
    fn new() -> Self {
        Self::over(tempfile::tempdir().expect("a directory"), &[])
    }

    fn over(directory: TempDir, more: &[&Path]) -> Self {
        let mut paths = vec![directory.path().to_path_buf()];
        paths.extend(more.iter().map(PathBuf::from));
        Self::of(directory, paths)
    }

    /// A fixture whose scanner reads the directories `paths`.
    fn of(directory: TempDir, paths: Vec<PathBuf>) -> Self {
        let names = paths.iter().map(|path| path.display().to_string());
        let contact = Arc::new(SourceStatus::new("directory", names));
        let (sender, taken) = watch::channel(Taken::default());
        let source = Directories {
            paths,
            namespace: "default".into(),
            ceiling: Ceiling::open(),
            max_module_size: 1000,
        };
        let scanner = Scanner::new(source, Arc::clone(&contact), sender);
        Self { directory, scanner, contact, taken, now: Instant::now() }
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.directory.path().join(name), content).expect("written");
    }

    fn manifest(&self, file: &str, check: &str, module: &str) {
        self.write(file, manifest(check, module));
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.directory.path().join(name)).expect("removed");
    }

    /// What a scan tells: `+key bytes` with ` + signature` if there is one, `-key` and `!key reason`.
    fn scan(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        self.scanner.scan(self.now, |change| {
            told.push(match change {
                Change::Set(candidate) => {
                    let signed = if candidate.signature.is_some() { " + signature" } else { "" };
                    let module = candidate.module.read().expect("a module");
                    format!("+{} {}{signed}", candidate.check.key, String::from_utf8_lossy(module.bytes()))
                }
                Change::Remove(key) => format!("-{key}"),
                Change::Reject { key, fault, .. } => format!("!{key} {}", fault.message),
                Change::Synced => "synced".to_owned(),
            });
            true
        });
        told
    }
}

fn manifest(check: &str, module: &str) -> String {
    format!(
        "apiVersion: aviary.dev/v1alpha1\nkind: Check\nmetadata: {{ name: {check} }}\nspec: {{ module: {module} }}\n"
    )
}

#[test]
fn a_manifest_and_its_module_make_a_check() {
    let mut fixture = Fixture::new();
    fixture.manifest("a.yaml", "web", "m.wasm");
    fixture.write("m.wasm", "one");
    assert_eq!(fixture.scan(), ["+default/web one"]);
    assert!(fixture.scan().is_empty(), "nothing has changed");
}

#[test]
fn a_module_without_a_manifest_is_a_check_of_its_own_name() {
    let mut fixture = Fixture::new();
    fixture.write("Disk_Space.wasm", "one");
    assert_eq!(fixture.scan(), ["+default/disk-space one"]);
}

#[test]
fn a_module_that_a_manifest_named_becomes_no_check_of_its_own_when_only_the_manifest_goes() {
    let mut fixture = Fixture::new();
    fixture.manifest("a.yaml", "web", "m.wasm");
    fixture.manifest("b.yaml", "shop", "n.wasm");
    fixture.write("m.wasm", "one");
    fixture.write("n.wasm", "two");
    fixture.scan();
    fixture.remove("a.yaml");
    fixture.manifest("b.yaml", "shop", "m.wasm");
    assert_eq!(fixture.scan(), ["-default/web", "+default/shop one"], "neither `m` nor `n`");
    fixture.write("n.wasm", "three");
    assert!(fixture.scan().is_empty(), "other bytes do not change that");
    fixture.remove("n.wasm");
    fixture.scan();
    fixture.write("n.wasm", "two");
    assert_eq!(fixture.scan(), ["+default/n two"], "put there again, by itself");
}

#[test]
fn one_module_serves_the_checks_of_several_manifests() {
    let mut fixture = Fixture::new();
    fixture.write("m.wasm", "one");
    fixture.write("all.yaml", format!("{}---\n{}", manifest("a", "m.wasm"), manifest("b", "m.wasm")));
    assert_eq!(fixture.scan(), ["+default/a one", "+default/b one"]);
    fixture.write("m.wasm", "two");
    assert_eq!(fixture.scan(), ["+default/a two", "+default/b two"]);
}

#[test]
fn the_same_bytes_written_again_are_no_change() {
    let mut fixture = Fixture::new();
    fixture.write("m.wasm", "one");
    fixture.scan();
    fixture.remove("m.wasm");
    fixture.write("m.wasm", "one");
    assert!(fixture.scan().is_empty());
}

#[test]
fn what_is_deleted_is_removed_and_what_is_renamed_moves() {
    let mut fixture = Fixture::new();
    fixture.write("old.wasm", "one");
    fixture.scan();
    let at = |name: &str| fixture.directory.path().join(name);
    fs::rename(at("old.wasm"), at("new.wasm")).expect("renamed");
    assert_eq!(fixture.scan(), ["-default/old", "+default/new one"]);
}

#[test]
fn a_check_whose_manifest_is_renamed_is_told_again_with_its_new_origin() {
    let mut fixture = Fixture::new();
    fixture.manifest("old.yaml", "web", "m.wasm");
    fixture.write("m.wasm", "one");
    fixture.scan();
    let at = |name: &str| fixture.directory.path().join(name);
    fs::rename(at("old.yaml"), at("new.yaml")).expect("renamed");
    let mut origins = Vec::new();
    fixture.scanner.scan(fixture.now, |change| {
        let Change::Set(candidate) = change else { panic!("{change:?}") };
        origins.push(candidate.origin.as_ref().clone());
        true
    });
    assert_eq!(origins, [Origin::File(at("new.yaml"))]);
}

#[test]
fn a_module_may_lie_there_packed() {
    let mut fixture = Fixture::new();
    fixture.manifest("a.yaml", "web", "m.wasm");
    fixture.write("m.wasm.zst", compress_to_vec(&b"one"[..], CompressionLevel::Fastest));
    assert_eq!(fixture.scan(), ["+default/web one"], "and it is no check of its own");
    fixture.write("m.wasm", "two");
    assert!(fixture.scan().contains(&"+default/web two".to_owned()), "the named file comes first");
}

#[test]
fn a_setting_may_be_the_text_of_a_file_and_is_news_when_that_changes() {
    let mut fixture = Fixture::new();
    fixture.write("m.wasm", "one");
    let text = manifest("web", "m.wasm").replace("m.wasm }", "m.wasm, settingsFrom: { body: order.json } }");
    fixture.write("web.yaml", text);
    let missing = fixture.scan();
    assert!(missing.len() == 1 && missing[0].contains("order.json is not in"), "{missing:?}");
    fixture.write("order.json", "{}");
    assert_eq!(fixture.scan(), ["+default/web one"]);
    assert!(fixture.scan().is_empty(), "nothing has changed");
    fixture.write("order.json", "{\"a\": 1}");
    assert_eq!(fixture.scan(), ["+default/web one"]);
    fixture.remove("order.json");
    let gone = fixture.scan();
    assert!(gone[0].contains("order.json is not in"), "{gone:?}");
}

#[test]
fn a_signature_goes_with_its_module_and_is_news_by_itself() {
    let mut fixture = Fixture::new();
    fixture.manifest("a.yaml", "web", "m.wasm");
    fixture.write("m.wasm.zst", compress_to_vec(&b"one"[..], CompressionLevel::Fastest));
    assert_eq!(fixture.scan(), ["+default/web one"]);
    fixture.write("m.wasm.minisig", "first");
    assert_eq!(fixture.scan(), ["+default/web one + signature"], "and it is no check of its own");
    assert!(fixture.scan().is_empty());
    fixture.remove("m.wasm.minisig");
    fixture.write("m.wasm.minisig", "first");
    assert!(fixture.scan().is_empty(), "the same again");
    fixture.write("m.wasm.minisig", "second");
    assert_eq!(fixture.scan(), ["+default/web one + signature"]);
    fixture.write("other.wasm.minisig", "of another one");
    assert!(fixture.scan().is_empty());
    fixture.remove("m.wasm.minisig");
    assert_eq!(fixture.scan(), ["+default/web one"]);
}

#[test]
fn a_mounted_configmap_is_read_through_the_link_that_the_kubelet_swaps() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name);
    for (version, bytes) in [("..one", "one"), ("..two", "two")] {
        fs::create_dir(at(version)).expect("a version");
        fs::write(at(version).join("m.wasm"), bytes).expect("a module");
        fs::write(at(version).join("web.yaml"), manifest("web", "m.wasm")).expect("a manifest");
    }
    symlink("..one", at("..data")).expect("a link");
    symlink("..data/m.wasm", at("m.wasm")).expect("a link");
    symlink("..data/web.yaml", at("web.yaml")).expect("a link");
    let mut fixture = Fixture::over(directory, &[]);
    assert_eq!(fixture.scan(), ["+default/web one"]);
    let at = |name: &str| fixture.directory.path().join(name);
    fs::write(at("..two").join("web.yaml"), "kind: [").expect("a broken manifest");
    symlink("..two", at("..data_tmp")).expect("a link");
    fs::rename(at("..data_tmp"), at("..data")).expect("swapped");
    let told = fixture.scan();
    assert_eq!(told[0], "+default/web two", "the broken manifest is known as the one before");
    assert!(told[1].starts_with("!default/web web.yaml: "), "{told:?}");
}

#[test]
fn nothing_more_is_told_to_who_no_longer_listens() {
    let mut fixture = Fixture::new();
    fixture.write("a.wasm", "one");
    fixture.write("b.wasm", "two");
    let mut told = 0;
    let scanned = fixture.scanner.scan(fixture.now, |_| {
        told += 1;
        false
    });
    assert!(!scanned.heard && told == 1);
}
