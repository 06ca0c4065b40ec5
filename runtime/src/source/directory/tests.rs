//! What a directory's files tell, scan after scan.

use super::{Directories, scan::Scanner};
use crate::{board::Contact, grant::Ceiling, source::Change, spec::Key, text::is_odd};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::Arc,
};
use tempfile::TempDir;
use tokio::sync::watch;

/// A directory, and what was told about it since the last look.
struct Fixture {
    directory: TempDir,
    scanner: Scanner,
    contact: Arc<Contact>,
    taken: watch::Receiver<BTreeSet<Key>>,
}

impl Fixture {
    fn new() -> Self {
        Self::over(tempfile::tempdir().expect("a directory"), &[])
    }

    fn over(directory: TempDir, more: &[&Path]) -> Self {
        let mut paths = vec![directory.path().to_path_buf()];
        paths.extend(more.iter().map(PathBuf::from));
        let names = paths.iter().map(|path| path.display().to_string());
        let contact = Arc::new(Contact::new("directory", names));
        let (sender, taken) = watch::channel(BTreeSet::new());
        let source = Directories {
            paths,
            namespace: "default".into(),
            ceiling: Ceiling::open(),
            max_module_size: 1000,
        };
        let scanner = Scanner::new(source, Arc::clone(&contact), sender);
        Self { directory, scanner, contact, taken }
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
        self.scanner.scan(|change| {
            told.push(match change {
                Change::Set(candidate) => {
                    let signed = if candidate.signature.is_some() { " + signature" } else { "" };
                    let module = candidate.module.read().expect("a module");
                    format!("+{} {}{signed}", candidate.check.key, String::from_utf8_lossy(&module))
                }
                Change::Remove(key) => format!("-{key}"),
                Change::Reject(key, fault) => format!("!{key} {}", fault.message),
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
fn a_broken_manifest_keeps_its_checks_and_goes_on_following_their_module() {
    let mut fixture = Fixture::new();
    fixture.manifest("a.yaml", "web", "m.wasm");
    fixture.write("m.wasm", "one");
    fixture.scan();
    fixture.write("a.yaml", "kind: [");
    let told = fixture.scan();
    assert!(told.len() == 1 && told[0].starts_with("!default/web a.yaml: "), "{told:?}");
    assert!(fixture.scan().is_empty(), "told once");
    fixture.write("m.wasm", "two");
    assert_eq!(fixture.scan(), ["+default/web two"]);
    fixture.manifest("a.yaml", "web", "m.wasm");
    assert_eq!(fixture.scan(), ["+default/web two"], "healed, which has to be told");
}

#[test]
fn a_broken_manifest_that_never_worked_stands_under_its_files_name() {
    let mut fixture = Fixture::new();
    fixture.write("web.yaml", "intervall: 5s");
    fixture.write("web.wasm", "one");
    let told = fixture.scan();
    assert!(told.len() == 1 && told[0].starts_with("!default/web web.yaml: "), "{told:?}");
}

#[test]
fn forged_names_reach_no_other_file_and_are_told_in_short_and_printable() {
    let mut fixture = Fixture::new();
    fixture.write("m.wasm", "one");
    let long = "a".repeat(10_000);
    for (number, name) in
        ["../../etc/passwd", "a/b", "a\\0b", "a\\e[2Jb", "a\\u202Eb", &long].iter().enumerate()
    {
        fixture.manifest("named.yaml", &format!("\"{name}\""), &format!("m{number}.wasm"));
        fixture.manifest("pointed.yaml", "web", &format!("\"{name}\""));
        let told = fixture.scan();
        for key in ["!default/named ", "!default/web "] {
            let refusal = told.iter().find(|told| told.starts_with(key));
            let refusal = refusal.unwrap_or_else(|| panic!("{name} is not refused: {told:?}"));
            assert!(refusal.len() < 1_000 && !refusal.contains(is_odd), "{refusal}");
        }
    }
}

#[test]
fn bombs_are_refused_before_they_are_large() {
    let mut fixture = Fixture::new();
    fixture.manifest("a.yaml", "web", "m.wasm.zst");
    fixture.write("m.wasm.zst", compress_to_vec(&vec![0_u8; 50_000_000][..], CompressionLevel::Fastest));
    let told = fixture.scan();
    assert!(told.len() == 1 && told[0].contains("is larger than 1000 bytes once decoded"), "{told:?}");
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
fn a_missing_module_is_told_once_and_heals() {
    let mut fixture = Fixture::new();
    fixture.manifest("a.yaml", "web", "m.wasm");
    let told = fixture.scan();
    assert!(told.len() == 1 && told[0].starts_with("!default/web the module m.wasm is not in "), "{told:?}");
    assert!(fixture.scan().is_empty());
    fixture.write("m.wasm", "one");
    assert_eq!(fixture.scan(), ["+default/web one"]);
}

#[test]
fn a_module_that_vanishes_leaves_the_check_with_a_complaint() {
    let mut fixture = Fixture::new();
    fixture.manifest("a.yaml", "web", "m.wasm");
    fixture.write("m.wasm", "one");
    fixture.scan();
    fixture.remove("m.wasm");
    let told = fixture.scan();
    assert!(told.len() == 1 && told[0].starts_with("!default/web the module"), "{told:?}");
}

#[test]
fn of_two_checks_of_one_name_the_first_runs_and_the_other_stands_under_its_files_name() {
    let mut fixture = Fixture::new();
    fixture.manifest("a.yaml", "web", "m.wasm");
    fixture.manifest("b.yaml", "web", "n.wasm");
    fixture.write("m.wasm", "one");
    fixture.write("n.wasm", "two");
    let told = fixture.scan();
    assert!(told[0].starts_with("!default/b default/web stands in "), "{told:?}");
    assert_eq!(told[1], "+default/web one");
    assert_eq!(told.len(), 2, "the other module is used and so no check of its own");
    fixture.manifest("b.yaml", "shop", "n.wasm");
    assert_eq!(fixture.scan(), ["-default/b", "+default/shop two"]);
}

#[test]
fn a_clash_of_files_with_one_name_is_told_under_another() {
    let second = tempfile::tempdir().expect("a directory");
    fs::write(second.path().join("web.yaml"), manifest("web", "m.wasm")).expect("a manifest");
    let mut fixture = Fixture::over(tempfile::tempdir().expect("a directory"), &[second.path()]);
    fixture.manifest("web.yaml", "web", "m.wasm");
    fixture.write("m.wasm", "one");
    let told = fixture.scan();
    assert!(told[0].starts_with("!default/2-web default/web stands in "), "{told:?}");
    assert_eq!(told[1..], ["+default/web one"]);
}

#[test]
fn a_broken_manifest_stands_for_the_check_and_the_module_that_it_names() {
    let mut fixture = Fixture::new();
    fixture.write("a.yaml", format!("{}intervall: 5s\n", manifest("shop", "m.wasm")));
    fixture.write("m.wasm", "one");
    let told = fixture.scan();
    assert!(told.len() == 1 && told[0].starts_with("!default/shop a.yaml: "), "{told:?}");
    fixture.manifest("a.yaml", "shop", "m.wasm");
    assert_eq!(fixture.scan(), ["+default/shop one"]);
}

#[test]
fn an_oversized_module_is_refused_without_being_kept() {
    let mut fixture = Fixture::new();
    fixture.write("big.wasm", vec![0; 1001]);
    let told = fixture.scan();
    assert!(told[0].starts_with("!default/big big.wasm is larger than 1000 bytes"), "{told:?}");
}

#[test]
fn hidden_files_directories_and_other_endings_are_left_alone() {
    let mut fixture = Fixture::new();
    fixture.write(".hidden.wasm", "one");
    fixture.write("README.md", "text");
    fs::create_dir(fixture.directory.path().join("sub.wasm")).expect("a directory");
    assert!(fixture.scan().is_empty());
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
fn a_directory_that_cannot_be_read_any_more_keeps_its_checks() {
    let second = tempfile::tempdir().expect("a directory");
    fs::write(second.path().join("m.wasm"), "one").expect("a module");
    let mut fixture = Fixture::over(tempfile::tempdir().expect("a directory"), &[second.path()]);
    assert_eq!(fixture.scan(), ["+default/m one"]);
    assert!(fixture.contact.source().connected);
    second.close().expect("gone");
    assert!(fixture.scan().is_empty());
    let source = fixture.contact.source();
    assert!(!source.connected && source.error.starts_with("cannot read "), "{source:?}");
}

#[test]
fn nothing_more_is_told_to_who_no_longer_listens() {
    let mut fixture = Fixture::new();
    fixture.write("a.wasm", "one");
    fixture.write("b.wasm", "two");
    let mut told = 0;
    let heard = fixture.scanner.scan(|_| {
        told += 1;
        false
    });
    assert!(!heard && told == 1);
}

#[test]
fn other_sources_hear_of_a_check_before_it_is_told_and_of_its_end_after() {
    let mut fixture = Fixture::new();
    fixture.write("a.wasm", "one");
    let mut taken = fixture.taken.clone();
    let key: Key = "default/a".parse().expect("a key");
    let told = fixture.scanner.scan(|_| fixture.taken.borrow().contains(&key));
    assert!(told, "taken when it is told");
    assert!(taken.has_changed().expect("a sender"));
    taken.mark_unchanged();
    fixture.write("a.wasm", "two");
    fixture.scan();
    assert!(!taken.has_changed().expect("a sender"));
    fixture.remove("a.wasm");
    let mut heard = false;
    fixture.scanner.scan(|_| {
        heard = fixture.taken.borrow().contains(&key);
        true
    });
    assert!(heard && taken.borrow().is_empty());
}
