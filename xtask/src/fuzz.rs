//! `cargo xtask fuzz`: searches for input that breaks a promise.

use crate::steps::{run, target, works};
use anyhow::{Context, Result, bail, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The flags of `cargo fuzz`. A sanitizer has no use, as no code of the daemon is unsafe. `cfg(fuzzing)`
/// would make libraries behave otherwise than in the daemon.
const FLAGS: [&str; 5] = ["--sanitizer", "none", "--no-cfg-fuzzing", "--codegen-units", "16"];
const CARGO_FUZZ: [&str; 4] = ["run", "nightly", "cargo", "fuzz"];
const TARGETS: &str = "fuzz/targets";
const CORPUS: &str = "fuzz/corpus";
const FOUND: &str = "fuzz/artifacts";
/// The most seconds that an input may take; a longer one is a finding.
const LONGEST: u64 = 20;
/// The most megabytes of memory that an input may need; one that needs more is a finding.
const MOST_MEMORY: u64 = 1024;

/// What libFuzzer reports at its end.
struct Report {
    name: String,
    runs: String,
    per_second: String,
    added: String,
    memory: String,
    /// The files of inputs that broke a promise; empty if all went well.
    findings: Vec<PathBuf>,
}

/// Runs all targets, or those that are named, each for this many seconds.
pub(crate) fn run_for(arguments: &[String]) -> Result<()> {
    let (seconds, named) =
        arguments.split_first().context("say for how long: cargo xtask fuzz SECONDS [TARGET…]")?;
    let seconds: u64 = seconds.parse().with_context(|| format!("{seconds} is no number of seconds"))?;
    let targets = chosen(named)?;
    require_tools()?;
    let build = target().join("fuzz").display().to_string();
    let arguments = [&CARGO_FUZZ[..], &["build", "--target-dir", &build], &FLAGS].concat();
    run("build what fuzzes", "rustup", &arguments)?;
    let reports = targets.iter().map(|name| fuzz(name, seconds)).collect::<Result<Vec<_>>>()?;
    print(&reports);
    let broken: Vec<_> = reports.iter().filter(|report| !report.findings.is_empty()).collect();
    ensure!(broken.is_empty(), "{}", broken.iter().map(|report| advice(report)).collect::<String>());
    Ok(())
}

fn require_tools() -> Result<()> {
    ensure!(
        works("rustup", &["run", "nightly", "rustc", "--version"])
            && works("rustup", &[&CARGO_FUZZ[..], &["--version"]].concat()),
        "fuzzing needs a nightly toolchain and cargo-fuzz:\n  rustup toolchain install nightly --profile minimal\n  \
         cargo install cargo-fuzz"
    );
    Ok(())
}

fn chosen(named: &[String]) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for file in fs::read_dir(TARGETS).with_context(|| format!("cannot list {TARGETS}"))? {
        all.extend(file?.path().file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    all.sort();
    if let Some(unknown) = named.iter().find(|name| !all.contains(name)) {
        bail!("there is no target {unknown}: choose among {}", all.join(", "));
    }
    Ok(if named.is_empty() { all } else { named.to_vec() })
}

/// Runs one target for this many seconds. New input goes below `target/`; what is worth keeping is minimised
/// into the corpus by hand.
fn fuzz(name: &str, seconds: u64) -> Result<Report> {
    eprintln!("\x1b[1m==> fuzz {name} for {seconds} s\x1b[0m");
    let (fresh, found) = (target().join("fuzz-corpus").join(name), Path::new(FOUND).join(name));
    let known = Path::new(CORPUS).join(name);
    for directory in [&fresh, &found, &known] {
        fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    }
    let before = files(&found)?;
    let mut command = Command::new(binary(name)?);
    command.args([&fresh, &known]).arg(format!("-artifact_prefix={}/", found.display())).args([
        format!("-max_total_time={seconds}"),
        format!("-timeout={LONGEST}"),
        format!("-rss_limit_mb={MOST_MEMORY}"),
        "-print_final_stats=1".to_owned(),
    ]);
    let ended = command.output().with_context(|| format!("cannot start the fuzzer of {name}"))?;
    let said = String::from_utf8_lossy(&ended.stderr);
    let mut findings = files(&found)?;
    findings.retain(|file| !before.contains(file));
    if !ended.status.success() {
        eprintln!("{said}");
        ensure!(!findings.is_empty(), "the fuzzer of {name} ended with {}", ended.status);
    }
    let number =
        |key: &str| said.lines().find_map(|line| line.strip_prefix(key)).unwrap_or("?").trim().to_owned();
    Ok(Report {
        name: name.to_owned(),
        runs: number("stat::number_of_executed_units:"),
        per_second: number("stat::average_exec_per_sec:"),
        added: number("stat::new_units_added:"),
        memory: number("stat::peak_rss_mb:"),
        findings,
    })
}

fn binary(name: &str) -> Result<PathBuf> {
    let asked = Command::new("rustc").arg("-vV").output().context("cannot ask rustc for its host")?;
    let said = String::from_utf8_lossy(&asked.stdout);
    let host = said.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
    Ok(target().join("fuzz").join(host).join("release").join(name))
}

fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let files = fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?;
    files.map(|file| Ok(file?.path())).collect()
}

fn print(reports: &[Report]) {
    println!("{:10} {:>10} {:>8} {:>6} {:>7} {:>8}", "target", "runs", "each s", "new", "MB", "findings");
    for Report { name, runs, per_second, added, memory, findings } in reports {
        println!("{name:10} {runs:>10} {per_second:>8} {added:>6} {memory:>7} {:>8}", findings.len());
    }
}

fn advice(Report { name, findings, .. }: &Report) -> String {
    let again = |file: &PathBuf| {
        format!(
            "{name} breaks a promise for {0}; see it again with\n  cargo +nightly fuzz run {1} {name} {0}\n",
            file.display(),
            FLAGS.join(" ")
        )
    };
    findings.iter().map(again).collect()
}
