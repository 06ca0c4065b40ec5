//! Input that fuzzing has found to be interesting. `cargo xtask fuzz` looks for more.

use std::{fs, path::Path};

/// Gives each file of a corpus to the function that judges it.
fn each(target: &str, judge: impl Fn(&[u8])) {
    let directory = Path::new("../fuzz/corpus").join(target);
    let files: Vec<_> = fs::read_dir(&directory).expect("a corpus").collect();
    assert!(files.len() > 5, "{} is nearly empty", directory.display());
    for file in files {
        let path = file.expect("a file").path();
        // Printed only if the next line panics.
        println!("{}", path.display());
        judge(&fs::read(path).expect("readable"));
    }
}

#[test]
fn manifests_are_accepted_within_their_ranges_and_refused_with_a_place() {
    each("manifest", test_fuzz::manifest);
}

#[test]
fn policies_trust_nobody_they_do_not_name() {
    each("policy", test_fuzz::policy);
}

#[test]
fn what_a_grant_judges_is_what_is_dialled() {
    each("url", test_fuzz::url);
}

#[test]
fn what_is_judged_of_a_dns_name_is_what_is_asked() {
    each("dns", test_fuzz::dns);
}

#[test]
fn packed_modules_stay_within_the_limit_and_come_out_as_they_went_in() {
    each("decode", test_fuzz::decode);
}

#[test]
fn modules_are_compiled_or_refused_within_the_limits_and_found_again() {
    each("module", |bytes| test_fuzz::module(Path::new(env!("CARGO_BIN_EXE_aviary")), bytes));
}

#[test]
fn only_what_is_signed_is_admitted() {
    each("minisig", test_fuzz::minisig);
}

#[test]
fn what_is_fuzzed_is_compiled_as_what_is_shipped() {
    let wasmtime = |lock: &str| {
        let text = fs::read_to_string(lock).expect("a lock file");
        let (_, rest) = text.split_once("name = \"wasmtime\"\n").expect("wasmtime");
        rest.lines().next().map(str::to_owned)
    };
    assert_eq!(wasmtime("../fuzz/Cargo.lock"), wasmtime("../Cargo.lock"));
}
