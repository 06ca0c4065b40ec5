//! Builds the guests and writes down where they are.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-wasip2";
const PROFILE: &str = "guest";

/// Packages whose examples are guests, and where those are.
const EXAMPLES: [(&str, &str); 2] =
    [("test-guests", "tests/guests/examples"), ("aviary-guest", "guest-sdk/examples")];
const CHECKS: &str = "checks";

/// What makes a difference to the guests.
const SOURCES: [&str; 7] =
    ["tests/guests/examples", "guest-sdk", "checks", "wit", "Cargo.toml", "Cargo.lock", ".cargo/config.toml"];

/// What the outer build sets for itself and must not leak into the inner one.
const OUTER: [&str; 11] = [
    "CARGO_BUILD_",
    "CARGO_CFG_",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_FEATURE_",
    "CARGO_MANIFEST_",
    "CARGO_PKG_",
    "CARGO_PROFILE_",
    "CARGO_TARGET_",
    "CLIPPY_",
    "RUSTC",
    "RUSTFLAGS",
];

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?).join("guests.rs");
    // The inner build comes by here, too, as some guests are examples of this very package.
    if env::var("CARGO_CFG_TARGET_FAMILY")? == "wasm" {
        return Ok(fs::write(out, "")?);
    }
    let workspace = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../..").canonicalize()?;
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", workspace.join(source).display());
    }
    let checks = names(&workspace.join(CHECKS))?;
    let target = workspace.join("target/guests");
    // Whoever deletes the guests gets them back.
    println!("cargo::rerun-if-changed={}", target.join("guests.rs").display());
    require_target()?;
    build(&workspace, &target, &checks)?;

    let built = target.join(TARGET).join(PROFILE);
    let mut guests = Vec::new();
    for (_, directory) in EXAMPLES {
        let files = names(&workspace.join(directory))?.into_iter();
        guests.extend(files.map(|name| (name.to_uppercase(), built.join("examples").join(name))));
    }
    guests
        .extend(checks.into_iter().map(|name| (format!("CHECK_{}", name.to_uppercase()), built.join(name))));
    fs::write(out, constants(&guests, "pub "))?;
    write_if_changed(&target.join("guests.rs"), &constants(&guests, ""))
}

/// The names of a directory's entries, without `.rs`, in order.
fn names(directory: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.path().with_extension("");
        names.extend(name.file_name().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

fn require_target() -> Result<(), Box<dyn Error>> {
    let output =
        Command::new(env::var("RUSTC")?).args(["--print", "target-libdir", "--target", TARGET]).output()?;
    let directory = String::from_utf8(output.stdout)?;
    if output.status.success() && Path::new(directory.trim()).is_dir() {
        return Ok(());
    }
    Err(format!("the guests need the Rust target {TARGET}: run `rustup target add {TARGET}`").into())
}

fn build(workspace: &Path, target: &Path, checks: &[String]) -> Result<(), Box<dyn Error>> {
    let mut cargo = Command::new(env::var("CARGO")?);
    for (name, _) in env::vars_os() {
        if OUTER.iter().any(|outer| name.to_string_lossy().starts_with(outer)) {
            cargo.env_remove(name);
        }
    }
    cargo
        .current_dir(workspace)
        .args(["build", "--profile", PROFILE, "--target", TARGET, "--target-dir"])
        .arg(target);
    cargo.args(["--lib", "--examples"]);
    for (package, _) in EXAMPLES {
        cargo.args(["--package", package]);
    }
    for check in checks {
        cargo.args(["--package", &format!("check-{check}")]);
    }
    let output = cargo.output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("the guests do not build ({cargo:?}):\n{}", String::from_utf8_lossy(&output.stderr)).into())
}

fn constants(guests: &[(String, PathBuf)], visibility: &str) -> String {
    let constant = |(name, path): &(String, PathBuf)| {
        let path = path.with_extension("wasm");
        let file = path.file_name().unwrap_or_default();
        format!("/// Path of {file:?}.\n{visibility}const {name}: &str = {path:?};\n")
    };
    guests.iter().map(constant).collect()
}

/// A file that only looks new would make cargo build the tests again.
fn write_if_changed(path: &Path, text: &str) -> Result<(), Box<dyn Error>> {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    Ok(fs::write(path, text)?)
}
