//! Tests of files that are broken or missing, and of the checks that go on.

use super::*;

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
