//! Tests with programs that are no compilers.

use super::*;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    time::{Duration, Instant},
};
use tempfile::TempDir;

const GREETS: &str = "echo 'aviary compiles; not confined: '\n";

/// A jail whose program is this shell script.
fn jail(script: &str, wall: Duration) -> (TempDir, Jail) {
    let directory = tempfile::tempdir().expect("a directory");
    let program = directory.path().join("program");
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("executable");
    (directory, Jail::new(program, Allowance { wall, ..Allowance::default() }))
}

async fn compile(script: &str) -> Result<Vec<u8>, Broken> {
    let (_directory, jail) = jail(script, Duration::from_secs(20));
    jail.compile(b"module").await.map(|code| code.bytes().to_vec())
}

async fn passing(script: &str) -> String {
    match compile(script).await {
        Err(Broken::Passing(what)) => what,
        other => panic!("{script}: {other:?}"),
    }
}

async fn exceeded(script: &str) -> String {
    match compile(script).await {
        Err(Broken::Exceeded(what)) => what,
        other => panic!("{script}: {other:?}"),
    }
}

async fn refused(script: &str) -> String {
    match compile(script).await {
        Err(Broken::Refused(what)) => what,
        other => panic!("{script}: {other:?}"),
    }
}

#[tokio::test]
async fn what_follows_the_greeting_is_the_code() {
    assert_eq!(compile(&format!("{GREETS}cat")).await.expect("code"), b"module");
}

#[tokio::test]
async fn a_program_that_is_no_compiler_is_the_hosts_trouble() {
    let (_directory, jail) = jail("", Duration::from_secs(20));
    let nowhere = Jail::new(jail.program.with_file_name("nowhere"), *jail.allowance());
    let lost = nowhere.compile(b"module").await.err();
    assert!(matches!(lost, Some(Broken::Passing(what)) if what.contains("cannot start")));
    assert!(passing("echo rubbish; cat").await.contains("does not behave as a compiler"));
    assert!(passing("true").await.contains("does not behave as a compiler"));
    assert!(passing("echo broken machine >&2; exit 3").await.contains("broken machine"));
    assert!(passing("head -c 5000 /dev/zero").await.contains("does not behave as a compiler"));
}

#[tokio::test]
async fn a_compiler_that_is_killed_is_not_the_modules_fault() {
    assert!(passing(&format!("{GREETS}kill -9 $$")).await.contains("out of memory"));
}

#[tokio::test]
async fn limits_are_named_with_what_raises_them() {
    assert!(exceeded(&format!("{GREETS}kill -XCPU $$")).await.contains("--compile-cpu"));
    let abort = format!("{GREETS}echo 'memory allocation of 5 bytes failed' >&2; kill -ABRT $$");
    assert!(exceeded(&abort).await.contains("more than 512Mi of memory to compile; --compile-memory"));
    assert!(exceeded(&format!("{GREETS}yes")).await.contains("far too much for its size"));
}

#[tokio::test]
async fn a_module_that_is_wrong_or_breaks_the_compiler_is_refused() {
    assert_eq!(refused(&format!("{GREETS}echo bad >&2; exit 1")).await, "does not compile: bad");
    assert!(refused(&format!("{GREETS}exit 101")).await.contains("panic"));
    assert!(refused(&format!("{GREETS}kill -SEGV $$")).await.contains("crash"));
    // Code that is cut off is never taken for whole.
    assert!(compile(&format!("{GREETS}echo half; exit 101")).await.is_err());
}

#[tokio::test]
async fn complaints_are_cut() {
    let complaint = refused(&format!("{GREETS}yes >&2 & sleep 0.2; exit 1")).await;
    assert!(complaint.len() < 3 * 1024, "{}", complaint.len());
}

#[tokio::test]
async fn what_hangs_is_ended_and_reaped() {
    let (directory, jail) =
        jail(&format!("echo $$ > \"${{0%/*}}/pid\"\n{GREETS}exec sleep 60"), Duration::from_secs(1));
    let begun = Instant::now();
    let ended = jail.compile(b"module").await.err();
    assert!(matches!(ended, Some(Broken::Passing(what)) if what.contains("--compile-timeout")));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(!is_there(&directory), "the child is still there");
}

#[tokio::test]
async fn a_load_that_is_given_up_takes_its_child_along() {
    let (directory, jail) =
        jail(&format!("echo $$ > \"${{0%/*}}/pid\"\n{GREETS}exec sleep 60"), Duration::from_secs(60));
    let given_up = timeout(Duration::from_secs(1), jail.compile(b"module")).await;
    assert!(given_up.is_err());
    let begun = Instant::now();
    while is_there(&directory) {
        assert!(begun.elapsed() < Duration::from_secs(5), "the child is still there");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Whether the process that wrote its id exists, at least as a zombie.
fn is_there(directory: &TempDir) -> bool {
    let pid = fs::read_to_string(directory.path().join("pid")).expect("it has begun");
    fs::exists(format!("/proc/{}", pid.trim())).expect("/proc can be read")
}
