//! A file of several documents.

use super::{
    Check, Error, Key, Module,
    build::{build, key},
    raw,
};
use crate::grant::Ceiling;
use serde::de::DeserializeOwned;
use serde_saphyr::{Location, MergeKeyPolicy, Options, Spanned};
use std::{collections::HashMap, sync::Arc};

/// The most bytes of one file, which is also the most that a ConfigMap can hold.
pub const MAX_FILE: usize = 1024 * 1024;

/// The most documents in one file.
pub const MAX_DOCUMENTS: usize = 1_000;

/// The checks of a file: YAML (or JSON) documents separated by `---`, each one a manifest.
///
/// A manifest without a namespace gets `default_namespace`; `ceiling` is the most that the checks may reach. The file is refused as a whole, with the first error,
/// if a document is not a valid manifest, if two name the same check, or if there is none.
pub fn parse(text: &str, default_namespace: &str, ceiling: &Arc<Ceiling>) -> Result<Vec<Check>, Error> {
    let documents: Vec<Spanned<raw::Manifest>> = read(text)?;
    let mut checks = Vec::with_capacity(documents.len());
    let mut seen: HashMap<_, Location> = HashMap::new();
    for Spanned { value, referenced, .. } in documents {
        let check = build(value, default_namespace, ceiling)?;
        if let Some(first) = seen.insert(check.key.clone(), referenced) {
            let message = format!("{} is defined twice: line {} has it already", check.key, first.line());
            return Err(Error::at(referenced, message));
        }
        checks.push(check);
    }
    match checks.is_empty() {
        true => Err(Error::whole(
            "the file holds no Check: write a document with `kind: Check`, or remove the file",
        )),
        false => Ok(checks),
    }
}

/// What a document names, as far as that can be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Named {
    /// The check, if it can be there.
    pub key: Option<Key>,
    /// The module, if it can be one.
    pub module: Option<Module>,
}

/// What the documents of a file name that [`parse`] refuses.
pub fn outline(text: &str, default_namespace: &str, ceiling: &Ceiling) -> Vec<Named> {
    let outline = |raw::Outline { metadata, spec }| {
        let module = spec["module"].as_str().and_then(|module| module.parse().ok());
        Named { key: key(&metadata, default_namespace, ceiling).ok(), module }
    };
    read(text).unwrap_or_default().into_iter().map(outline).collect()
}

/// The documents of a file, of at most a megabyte.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<Vec<T>, Error> {
    if text.len() > MAX_FILE {
        return Err(Error::whole(format!(
            "the file has {} bytes: split it, {MAX_FILE} are the most",
            text.len()
        )));
    }
    Ok(serde_saphyr::from_multiple_with_options(text, options())?)
}

/// Strict reading, with nothing that makes a small file large: no aliases, no merge keys.
fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_anchors: 0,
            max_aliases: 0,
            max_depth: 32,
            flow_nesting_limit: 32,
            max_documents: MAX_DOCUMENTS,
            max_nodes: 100_000,
        },
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

#[cfg(test)]
mod tests;
