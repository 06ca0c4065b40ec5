//! Tests of files and directories that exist and cannot be read.

use super::*;
use std::{
    os::unix::fs::PermissionsExt,
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
};

/// A fixture whose directory has the check `web`, with the files `a.yaml` and `m.wasm`.
fn web() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.manifest("a.yaml", "web", "m.wasm");
    fixture.write("m.wasm", "one");
    assert_eq!(fixture.scan(), ["+default/web one"]);
    fixture
}

fn loops(fixture: &Fixture, name: &str) {
    fixture.remove(name);
    symlink(name, fixture.directory.path().join(name)).expect("a link");
}

#[test]
fn a_directory_that_cannot_be_read_any_more_keeps_its_checks_and_stands_on_the_board() {
    let second = tempfile::tempdir().expect("a directory");
    fs::write(second.path().join("m.wasm"), "one").expect("a module");
    let mut fixture = Fixture::over(tempfile::tempdir().expect("a directory"), &[second.path()]);
    assert_eq!(fixture.scan(), ["+default/m one"]);
    assert!(fixture.contact.source().connected);
    let path = second.path().to_path_buf();
    second.close().expect("gone");
    let told = fixture.scan();
    assert!(told.len() == 1 && told[0].starts_with(STAND_IN), "{told:?}");
    assert!(told[0].contains(&*path.to_string_lossy()), "{told:?}");
    let source = fixture.contact.source();
    assert!(!source.connected && source.error.starts_with("cannot read "), "{source:?}");
    assert!(fixture.scan().is_empty(), "told once");
    fs::create_dir(&path).expect("made anew");
    fs::write(path.join("m.wasm"), "two").expect("a module");
    assert_eq!(fixture.scan(), ["-default/unreadable-directory", "+default/m two"]);
    assert!(fixture.contact.source().connected);
    fs::remove_dir_all(path).expect("gone");
}

#[test]
fn a_link_whose_target_is_gone_is_not_deleted() {
    for name in ["a.yaml", "m.wasm"] {
        let mut fixture = web();
        let store = tempfile::tempdir().expect("a directory");
        let (path, target) = (fixture.directory.path().join(name), store.path().join(name));
        fs::rename(&path, &target).or_else(|_| fs::copy(&path, &target).map(drop)).expect("moved");
        let _moved_already = fs::remove_file(&path);
        symlink(&target, &path).expect("a link");
        assert!(fixture.scan().is_empty(), "the same behind a link");
        fs::rename(&target, store.path().join("aside")).expect("moved");
        let told = fixture.scan();
        let complaint = format!("!default/web cannot read {name}: it is a link that leads nowhere");
        let says = |start: &str| told.iter().any(|told| told.starts_with(start));
        assert!(told.len() == 2 && says(STAND_IN) && says(&complaint), "{told:?}");
        assert!(!fixture.contact.source().connected, "nobody knows whether all checks are there");
        fs::rename(store.path().join("aside"), &target).expect("moved back");
        let told = fixture.scan();
        assert!(told.contains(&"-default/unreadable-directory".to_owned()), "{told:?}");
        assert!(fixture.contact.source().connected && !told.contains(&"-default/web".to_owned()), "{told:?}");
        fixture.remove(name);
        assert!(!fixture.scan().is_empty(), "without the link it is gone");
    }
}

#[test]
fn a_link_that_leads_nowhere_from_the_start_is_told() {
    let mut fixture = Fixture::new();
    symlink("/nowhere/at/all.yaml", fixture.directory.path().join("a.yaml")).expect("a link");
    let told = fixture.scan();
    assert!(
        told.iter().any(|told| told.starts_with("!default/a cannot read a.yaml: it is a link")),
        "{told:?}"
    );
    assert!(told.iter().any(|told| told.starts_with(STAND_IN)), "{told:?}");
}

#[test]
fn files_that_cannot_be_looked_at_keep_what_they_wanted() {
    for name in ["a.yaml", "m.wasm"] {
        let mut fixture = web();
        loops(&fixture, name);
        let told = fixture.scan();
        let complaint = format!("!default/web cannot read {name}: ");
        let says = |start: &str| told.iter().any(|told| told.starts_with(start));
        assert!(told.len() == 2 && says(STAND_IN) && says(&complaint), "{told:?}");
        assert!(!fixture.contact.source().connected, "nobody knows whether all checks are there");
        assert!(fixture.scan().is_empty(), "told once");
        fixture.remove(name);
        fixture.manifest("a.yaml", "web", "m.wasm");
        fixture.write("m.wasm", "one");
        assert_eq!(fixture.scan(), ["-default/unreadable-directory", "+default/web one"]);
    }
}

#[test]
fn a_file_that_never_could_be_looked_at_stands_under_its_name() {
    let mut fixture = Fixture::new();
    fixture.write("a.yaml", "");
    loops(&fixture, "a.yaml");
    let told = fixture.scan();
    assert!(told[0].starts_with("!default/a cannot read a.yaml: "), "{told:?}");
    assert!(told[1].starts_with(STAND_IN), "{told:?}");
}

#[test]
fn a_data_link_that_cannot_be_followed_is_no_reason_to_read_another_place() {
    let mut fixture = web();
    symlink("..nowhere", fixture.directory.path().join("..data")).expect("a link");
    let told = fixture.scan();
    assert!(told.len() == 1 && told[0].starts_with(STAND_IN), "{told:?}");
}

#[test]
fn a_file_is_read_again_when_only_its_permissions_change() {
    let mut fixture = web();
    let module = fixture.directory.path().join("m.wasm");
    let before = fs::metadata(&module).expect("a module");
    fs::write(&module, "two").expect("written");
    let times = fs::FileTimes::new().set_modified(before.modified().expect("a time"));
    fs::File::options().write(true).open(&module).expect("opened").set_times(times).expect("set");
    assert_eq!(fixture.scan(), ["+default/web two"], "of the same length and the same age");
    fs::set_permissions(&module, fs::Permissions::from_mode(0o640)).expect("changed");
    let stamp = || {
        super::super::files::list(fixture.directory.path())
            .expect("readable")
            .remove(1)
            .stamp
            .expect("a stamp")
    };
    let before = stamp();
    fs::set_permissions(&module, fs::Permissions::from_mode(0o644)).expect("changed");
    assert_ne!(stamp(), before);
}

#[test]
fn an_empty_directory_in_place_of_another_one_removes_nothing() {
    let home = tempfile::tempdir().expect("a directory");
    let (mounted, below, link) =
        (home.path().join("mounted"), home.path().join("below"), home.path().join("checks"));
    fs::create_dir(&mounted).expect("a directory");
    fs::create_dir(&below).expect("a directory");
    fs::write(mounted.join("m.wasm"), "one").expect("a module");
    let lead = |to: &Path| {
        let _ = fs::remove_file(&link);
        symlink(to, &link).expect("a link");
    };
    lead(&mounted);
    let mut fixture = Fixture::of(home, vec![link.clone()]);
    assert_eq!(fixture.scan(), ["+default/m one"]);
    lead(&below);
    let told = fixture.scan();
    assert!(
        told.len() == 1 && told[0].starts_with(STAND_IN) && told[0].contains("mount that again"),
        "{told:?}"
    );
    lead(&mounted);
    assert_eq!(fixture.scan(), ["-default/unreadable-directory"]);
    fs::remove_file(mounted.join("m.wasm")).expect("removed");
    assert_eq!(fixture.scan(), ["-default/m"], "what is deleted is deleted");
}

#[test]
fn no_scan_of_a_mounted_configmap_sees_half_of_a_version() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().to_path_buf();
    let swap = move |version: u32| {
        let place = path.join(format!("..{version}"));
        fs::create_dir(&place).expect("a version");
        for number in 0..40 {
            fs::write(place.join(format!("m{number}.wasm")), "one").expect("a module");
        }
        symlink(format!("..{version}"), path.join("..data_tmp")).expect("a link");
        fs::rename(path.join("..data_tmp"), path.join("..data")).expect("swapped");
        let _ = fs::remove_dir_all(path.join(format!("..{}", version.wrapping_sub(1))));
    };
    swap(0);
    let mut fixture = Fixture::over(directory, &[]);
    assert_eq!(fixture.scan().len(), 40);
    let kubelet = thread::spawn(move || (1..300).for_each(swap));
    while !kubelet.is_finished() {
        let told = fixture.scan();
        assert!(told.iter().all(|told| told.contains("unreadable-directory")), "{told:?}");
    }
    kubelet.join().expect("swapped");
}

#[test]
fn a_scan_that_breaks_off_leaves_what_was_told_and_the_next_tells_the_rest() {
    let mut fixture = Fixture::new();
    fixture.write("a.wasm", "one");
    fixture.write("b.wasm", "one");
    fixture.write("c.wasm", "one");
    fixture.scan();
    fixture.write("a.wasm", "two");
    fixture.write("b.wasm", "two");
    let mut told = 0;
    let scan = catch_unwind(AssertUnwindSafe(|| {
        fixture.scanner.scan(fixture.now, |_| {
            told += 1;
            assert!(told == 1, "as a defect would");
            true
        })
    }));
    assert!(scan.is_err());
    fixture.remove("c.wasm");
    assert_eq!(fixture.scan(), ["-default/c", "+default/b two"]);
}
