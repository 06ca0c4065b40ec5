//! Tests of manifest files with several documents.

use super::*;

fn both() -> String {
    format!("{}---\n{}", manifest("a", "m.wasm"), manifest("b", "m.wasm"))
}

fn running() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.write("m.wasm", "one");
    fixture.write("all.yaml", both());
    assert_eq!(fixture.scan(), ["+default/a one", "+default/b one"]);
    fixture
}

#[test]
fn a_bad_document_keeps_its_own_check_and_no_other() {
    let mut fixture = running();
    let broken = format!("{}  intervall: 5s\n", manifest("a", "m.wasm"));
    fixture.write(
        "all.yaml",
        format!("{broken}---\n{}---\n{}", manifest("b", "m.wasm"), manifest("c", "m.wasm")),
    );
    let told = fixture.scan();
    assert!(told[0].starts_with("!default/a all.yaml: line "), "{told:?}");
    assert_eq!(told[1..], ["+default/c one"], "what is good runs, and what ran goes on");
    fixture.write("all.yaml", both());
    fixture.now += Duration::from_secs(10);
    assert_eq!(fixture.scan(), ["+default/a one"], "healed; the one that is gone may be yet to come");
    fixture.now += Duration::from_secs(10);
    assert_eq!(fixture.scan(), ["-default/c"]);
}

#[test]
fn a_document_that_cannot_be_read_at_all_keeps_every_check_that_is_not_named_any_more() {
    let mut fixture = running();
    fixture.write("all.yaml", format!("kind: [\n---\n{}", manifest("b", "m.wasm")));
    fixture.now += Duration::from_secs(10);
    let told = fixture.scan();
    assert!(told.len() == 1 && told[0].starts_with("!default/a all.yaml: "), "{told:?}");
    fixture.now += Duration::from_secs(10);
    assert!(fixture.scan().is_empty(), "however long it stays like this");
}

#[test]
fn documents_that_vanish_from_a_file_end_their_checks_when_it_has_settled() {
    let mut fixture = running();
    fixture.write("all.yaml", manifest("a", "m.wasm"));
    assert!(fixture.scan().is_empty(), "it may be still being written");
    fixture.now += Duration::from_secs(4);
    assert!(fixture.scan().is_empty());
    fixture.write("all.yaml", both());
    assert!(fixture.scan().is_empty(), "it was");
    fixture.write("all.yaml", manifest("a", "m.wasm"));
    let scanned = fixture.scanner.scan(fixture.now, |_| true);
    assert_eq!(scanned.again, Some(fixture.now + Duration::from_secs(5)));
    fixture.now += Duration::from_secs(5);
    assert_eq!(fixture.scan(), ["-default/b"]);
}

#[test]
fn a_document_that_moves_to_another_file_has_its_name_there_at_once() {
    let mut fixture = running();
    fixture.write("all.yaml", manifest("a", "m.wasm"));
    fixture.write("new.yaml", manifest("b", "m.wasm").replace("m.wasm }", "m.wasm, interval: 1m }"));
    assert_eq!(fixture.scan(), ["+default/b one"], "no clash");
}

#[test]
fn a_check_that_a_file_defines_twice_runs_as_the_first_document_says() {
    let mut fixture = Fixture::new();
    fixture.write("m.wasm", "one");
    fixture.write("all.yaml", format!("{}---\n{}", manifest("a", "m.wasm"), manifest("a", "m.wasm")));
    let told = fixture.scan();
    assert_eq!(told[0], "+default/a one");
    assert!(
        told[1].starts_with("!default/all all.yaml: line 6, ") && told[1].contains("defined twice"),
        "{told:?}"
    );
}
