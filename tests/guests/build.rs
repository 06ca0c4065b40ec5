//! Builds the guests, and writes the macros that tell tests where they are.

mod crimes;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const TARGET: &str = "wasm32-wasip2";
const PROFILE: &str = "guest";

/// Packages whose examples are guests, and their directories.
const EXAMPLES: [(&str, &str); 2] = [("test-guests", "tests/guests"), ("aviary-guest", "guest-sdk")];
const CHECKS: &str = "checks";

/// The paths of all that the guests are built from.
const SOURCES: [&str; 7] =
    ["tests/guests", "guest-sdk", CHECKS, "wit", "Cargo.toml", "Cargo.lock", ".cargo/config.toml"];

/// The beginnings of variables that steer the outer build, and must not steer the inner one.
const OUTER: [&str; 9] = [
    "CARGO_BUILD_",
    "CARGO_CFG_",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_FEATURE_",
    "CARGO_INCREMENTAL",
    "CARGO_PROFILE_",
    "CARGO_TARGET_",
    "RUSTC_",
    "RUSTFLAGS",
];

fn main() {
    // The inner build runs this script too, as some guests are examples of this very package.
    if variable("CARGO_CFG_TARGET_FAMILY") == "wasm" {
        return;
    }
    let workspace = Path::new(&variable("CARGO_MANIFEST_DIR")).join("../..");
    let workspace = workspace.canonicalize().expect("the workspace is two directories up");
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", workspace.join(source).display());
    }
    require_target();
    let checks = sources(&workspace.join(CHECKS));
    // The inner build has a directory of its own, as the outer build holds the lock of the other one.
    let target = workspace.join("target/guests");
    // Builds the guests again if somebody deletes them.
    println!("cargo::rerun-if-changed={}", target.join("CACHEDIR.TAG").display());
    build(&workspace, &target, &checks);

    let built = target.join(TARGET).join(PROFILE);
    // In file names, rustc writes the name of a package without dashes.
    let linked = checks.iter().map(|name| name.replace('-', "_"));
    let mut calls: Vec<_> = linked.map(|name| call(&format!("check_{name}"), &built.join(&name))).collect();
    for (_, package) in EXAMPLES {
        let examples = sources(&workspace.join(package).join("examples"));
        calls.extend(examples.iter().map(|name| call(name, &built.join("examples").join(name))));
    }
    let crimes = crimes::build(&workspace.join("tests/guests/crimes"), &target.join("crimes"));
    let crimes: Vec<_> = crimes.iter().map(|(name, path)| call(name, path)).collect();
    let path = Path::new(&variable("OUT_DIR")).join("guests.rs");
    let macros = for_each("for_each", "guest", &calls) + &for_each("for_each_crime", "crime", &crimes);
    fs::write(path, macros).expect("OUT_DIR can be written");
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|error| panic!("cargo sets {name}: {error}"))
}

/// The names of the Rust files and directories in a directory, in order.
fn sources(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let sources = paths.filter(|path| path.is_dir() || path.extension().is_some_and(|end| end == "rs"));
    let mut names: Vec<_> =
        sources.filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned())).collect();
    names.sort();
    names
}

fn require_target() {
    let query =
        Command::new(variable("RUSTC")).args(["--print", "target-libdir", "--target", TARGET]).output();
    let output = query.expect("rustc can be started");
    let directory = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    assert!(directory.is_dir(), "the guests need the Rust target {TARGET}: run `rustup target add {TARGET}`");
}

fn build(workspace: &Path, target: &Path, checks: &[String]) {
    let mut cargo = Command::new(variable("CARGO"));
    for (name, _) in env::vars_os() {
        if OUTER.iter().any(|outer| name.to_string_lossy().starts_with(outer)) {
            cargo.env_remove(name);
        }
    }
    cargo.current_dir(workspace).args(["build", "--profile", PROFILE, "--target", TARGET]);
    cargo.arg("--target-dir").arg(target).args(["--lib", "--examples"]);
    for (package, _) in EXAMPLES {
        cargo.args(["--package", package]);
    }
    for check in checks {
        cargo.args(["--package", &format!("check-{check}")]);
    }
    let status = cargo.status().expect("cargo can be started");
    assert!(status.success(), "the guests do not build: the errors of the inner cargo stand above");
}

fn call(name: &str, path: &Path) -> String {
    format!("        $guest!({} {:?});\n", name.to_uppercase(), path.with_extension("wasm"))
}

fn for_each(name: &str, kind: &str, calls: &[String]) -> String {
    format!(
        "/// Calls a macro with name and path of each {kind}: `guest!(NAME \"path\");`.\n\
         #[macro_export]\n\
         macro_rules! {name} {{\n    ($guest:ident) => {{\n{}    }};\n}}\n",
        calls.concat()
    )
}
