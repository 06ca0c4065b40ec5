//! Rows about the sizes of the built-in checks' modules.

use super::Bench;
use crate::figure::Figure;
use anyhow::{Context, Result};
use std::fs;

const CHECKS: [&str; 4] = ["compute", "dns", "http", "tcp"];
/// The most bytes of a module. As base64 in an annotation, a client-side `kubectl apply` carries no more.
const TARGET: u64 = 260_000;

/// Measures `sizes`.
pub(super) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    CHECKS
        .iter()
        .map(|name| {
            let path = bench.checks.join(name).with_extension("wasm");
            let size = fs::metadata(&path).with_context(|| format!("cannot read {}", path.display()))?.len();
            let kilobytes = size as f64 / 1e3;
            Ok(Figure::new("sizes", format!("{name}.wasm {kilobytes:.1} KB"), "≤ 260 KB", size <= TARGET))
        })
        .collect()
}
