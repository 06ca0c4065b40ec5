//! Manifest files, which may hold several documents.

use crate::{
    grant::Ceiling,
    manifest::{
        Check, Error, Position,
        build::{build, key},
        exact,
        spec::{CheckDocument, Outline},
    },
    value::{Key, Module},
};
use serde::de::DeserializeOwned;
use serde_saphyr::{MergeKeyPolicy, Options, Spanned};
use std::{
    collections::{HashMap, hash_map::Entry},
    iter,
    sync::Arc,
};

/// The most bytes of one file, which is also the most that a ConfigMap can hold.
pub const MAX_FILE: usize = 1024 * 1024;

/// The most documents in one file.
pub const MAX_DOCUMENTS: usize = 1_000;

/// The check that a document of a file means, or why the document is refused.
pub type Document = Result<Check, Refused>;

/// A document of a file that is no valid manifest.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    /// What is wrong with the document.
    pub error: Error,
    /// What the document names all the same.
    pub named: Named,
}

/// What a refused document names, as far as that can be read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Named {
    /// The identity of the check, if it is valid and the ceiling allows its namespace.
    pub key: Option<Key>,
    /// The file name of the module, if it is valid.
    pub module: Option<Module>,
}

/// Reads the documents of a file: YAML (or JSON) separated by `---`, each one a manifest, and each judged by
/// itself.
///
/// A manifest without a namespace gets `default_namespace`; `ceiling` is the most that the checks may reach.
/// Of two documents with one check the second is refused. An error in the file as a whole counts as its only
/// document.
pub fn documents(text: &str, default_namespace: &str, ceiling: &Arc<Ceiling>) -> Vec<Document> {
    let whole = |error| vec![Err(Refused { error, named: Named::default() })];
    let parts = match require_small(text).and_then(|()| parts(text)) {
        Ok(parts) => parts,
        Err(error) => return whole(error),
    };
    let (mut documents, mut seen) = (Vec::new(), HashMap::new());
    for part in parts {
        match part.checks(default_namespace, ceiling) {
            Ok(checks) => documents
                .extend(checks.into_iter().map(|(place, check)| refuse_second(&mut seen, place, check))),
            Err(refused) => documents.push(Err(refused)),
        }
    }
    if documents.is_empty() {
        let nothing = "the file holds no Check: write a document with `kind: Check`, or remove the file";
        return whole(Error::whole(nothing));
    }
    documents
}

/// The checks of a file whose [`documents`] are all valid, or the error of the first that is not.
pub fn parse(text: &str, default_namespace: &str, ceiling: &Arc<Ceiling>) -> Result<Vec<Check>, Error> {
    let documents = documents(text, default_namespace, ceiling).into_iter();
    documents.map(|document| document.map_err(|refused| refused.error)).collect()
}

/// Reads the documents of a file of at most [`MAX_FILE`] bytes.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<Vec<T>, Error> {
    require_small(text)?;
    Ok(serde_saphyr::from_multiple_with_options(text, options())?)
}

fn require_small(text: &str) -> Result<(), Error> {
    match text.len() {
        0..=MAX_FILE => Ok(()),
        size => Err(Error::whole(format!("the file has {size} bytes: split it, {MAX_FILE} are the most"))),
    }
}

/// One document of a file, and how many lines of the file stand above it.
#[derive(Debug, Default, PartialEq)]
struct Part<'a> {
    text: &'a str,
    above: u64,
}

impl Part<'_> {
    /// The checks of this part: one or none, unless a document goes on where another would begin.
    fn checks(
        &self,
        default_namespace: &str,
        ceiling: &Arc<Ceiling>,
    ) -> Result<Vec<(Position, Check)>, Refused> {
        let checks = read::<Spanned<CheckDocument>>(self.text).and_then(|documents| {
            let checks =
                documents.into_iter().enumerate().map(|(number, Spanned { value, referenced, .. })| {
                    let place =
                        Position { line: referenced.line() + self.above, column: referenced.column() };
                    let settings = value.spec.settings.as_ref();
                    let exact = settings.and_then(|settings| exact::json(settings, self.text, number));
                    let check = build(value, exact, default_namespace, ceiling);
                    Ok((place, check.map_err(|problem| problem.locate(self.text, number))?))
                });
            checks.collect()
        });
        checks.map_err(|error: Error| Refused {
            error: error.below(self.above),
            named: self.outline(default_namespace, ceiling).unwrap_or_default(),
        })
    }

    /// What this document names, although it is refused.
    fn outline(&self, default_namespace: &str, ceiling: &Ceiling) -> Option<Named> {
        let Outline { metadata, spec } = read(self.text).ok()?.into_iter().next()?;
        let module = spec["module"].as_str().and_then(|module| module.parse().ok());
        Some(Named { key: key(&metadata, default_namespace, ceiling).ok(), module })
    }
}

/// Cuts a file where YAML lets a document begin or end, whatever stands around it: before a line `---`, unless
/// nothing but comments and directives has come yet, and after a line `...`.
fn parts(text: &str) -> Result<Vec<Part<'_>>, Error> {
    let mut cuts = vec![(0, 0)];
    let (mut at, mut above, mut has_begun) = (0, 0, false);
    for line in lines(text) {
        let begins = is_marker(line, "---");
        if begins && has_begun {
            cuts.push((at, above));
        }
        has_begun |= begins || !(line.trim().is_empty() || line.starts_with(['#', '%']));
        at += line.len();
        above += 1;
        if is_marker(line, "...") {
            cuts.push((at, above));
            has_begun = false;
        }
    }
    if cuts.len() > MAX_DOCUMENTS {
        return Err(Error::whole("too many documents: split the file"));
    }
    let ends = cuts.iter().skip(1).map(|(end, _)| *end).chain([text.len()]);
    Ok(cuts
        .iter()
        .zip(ends)
        .map(|((at, above), end)| Part { text: &text[*at..end], above: *above })
        .collect())
}

/// The lines of a text, each with its end: a line feed, a carriage return, or both (YAML 1.2.2, section 5.4).
fn lines(mut text: &str) -> impl Iterator<Item = &str> {
    iter::from_fn(move || {
        let end = text.find(['\n', '\r']).unwrap_or(text.len());
        let newline = ["\r\n", "\n", "\r"].into_iter().find(|newline| text[end..].starts_with(newline));
        let (line, rest) = text.split_at(end + newline.map_or(0, str::len));
        text = rest;
        (!line.is_empty()).then_some(line)
    })
}

fn is_marker(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker).is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
}

/// The check of a document, or a refusal if an earlier document of the file has the same check.
fn refuse_second(seen: &mut HashMap<Key, Position>, place: Position, check: Check) -> Document {
    match seen.entry(check.key.clone()) {
        Entry::Vacant(free) => {
            free.insert(place);
            Ok(check)
        }
        Entry::Occupied(first) => {
            let message = format!("{} is defined twice: line {} has it already", check.key, first.get().line);
            let error = Error { position: Some(place), ..Error::whole(message) };
            Err(Refused {
                error,
                named: Named { key: Some(check.key), module: Some(check.program.module.clone()) },
            })
        }
    }
}

/// The options for strict reading. Nothing makes a small file large: no aliases, no merge keys.
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
