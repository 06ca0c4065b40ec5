//! Tests of files that somebody writes to do harm.

use super::*;
use crate::text::is_odd;

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
