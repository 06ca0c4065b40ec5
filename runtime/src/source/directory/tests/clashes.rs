//! Tests of checks that several files ask for.

use super::*;

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
fn other_sources_hear_of_a_check_before_it_is_told_and_of_its_end_after() {
    let mut fixture = Fixture::new();
    fixture.write("a.wasm", "one");
    let mut taken = fixture.taken.clone();
    let key: Key = "default/a".parse().expect("a key");
    let scanned = fixture.scanner.scan(fixture.now, |_| fixture.taken.borrow().contains(&key));
    assert!(scanned.heard, "taken when it is told");
    assert!(taken.has_changed().expect("a sender"));
    taken.mark_unchanged();
    fixture.write("a.wasm", "two");
    fixture.scan();
    assert!(!taken.has_changed().expect("a sender"));
    fixture.remove("a.wasm");
    let mut heard = false;
    fixture.scanner.scan(fixture.now, |_| {
        heard = fixture.taken.borrow().contains(&key);
        true
    });
    assert!(heard && !taken.borrow().contains(&key));
}
