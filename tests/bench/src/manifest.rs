//! Writes the manifests of many equal checks.

use anyhow::{Context, Result};
use std::{fs, path::Path};

/// How many documents one file gets, which is the most that the daemon takes.
const DOCUMENTS: usize = 1_000;

/// Writes `count` checks `bench-0`, `bench-1` and so on into a directory, all with the same `spec`,
/// which is YAML in one line.
pub(crate) fn write(directory: &Path, count: usize, spec: &str) -> Result<()> {
    for first in (0..count).step_by(DOCUMENTS) {
        let last = count.min(first + DOCUMENTS);
        let documents: String = (first..last).map(|number| document(number, spec)).collect();
        let path = directory.join(format!("checks-{first}.yaml"));
        fs::write(&path, documents).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn document(number: usize, spec: &str) -> String {
    format!(
        "---\napiVersion: aviary.dev/v1alpha1\nkind: Check\nmetadata: {{ name: bench-{number} }}\nspec: {spec}\n"
    )
}
