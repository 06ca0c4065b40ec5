//! Settings whose value is the text of a file beside the manifest.

use crate::{
    manifest::{Problem, Step, build::MOST_SETTINGS},
    text::quote,
    value::ENDINGS,
};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};

/// The most settings of one check that come from files.
const MOST: usize = 16;
/// The most bytes of a file's name, as of a key of a ConfigMap.
const LONGEST_NAME: usize = 253;

/// A setting whose value is the text of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingFile {
    /// The key of the setting.
    pub setting: String,
    /// The name of the file beside the manifest, or of the key of the same ConfigMap.
    pub file: String,
}

/// Reads `settingsFrom` of a manifest. `settings` is the text of the settings themselves.
pub(super) fn parse(written: &BTreeMap<String, String>, settings: &str) -> Result<Vec<SettingFile>, Problem> {
    let wrong = |why: String| Problem::at([Step::Key("spec"), Step::Key("settingsFrom")], why);
    if written.len() > MOST {
        return Err(wrong(format!("{} settings come from files: {MOST} are the most", written.len())));
    }
    let own: BTreeMap<String, Value> = serde_json::from_str(settings).unwrap_or_default();
    let read = |(setting, file): (&String, &String)| {
        if own.contains_key(setting) {
            return Err(wrong(format!("{} stands in `settings` as well: write one of them", quote(setting))));
        }
        if file.is_empty()
            || file.len() > LONGEST_NAME
            || file.starts_with('.')
            || file.contains(['/', '\\', '\0'])
        {
            return Err(wrong(format!("{} is no name of a file beside the manifest", quote(file))));
        }
        if ENDINGS.iter().chain(&[".yaml", ".yml", ".minisig"]).any(|ending| file.ends_with(ending)) {
            return Err(wrong(format!(
                "{} is a manifest, a module or a signature: give the file another ending",
                quote(file)
            )));
        }
        Ok(SettingFile { setting: setting.clone(), file: file.clone() })
    };
    written.iter().map(read).collect()
}

/// The settings as JSON with the texts of these files. The error says which file is wrong.
pub(super) fn fill<'a>(
    settings: &str,
    files: &[SettingFile],
    read: impl Fn(&str) -> Result<&'a str, String>,
) -> Result<Arc<str>, String> {
    let mut json = String::from("{");
    for SettingFile { setting, file } in files {
        let text =
            read(file).map_err(|why| format!("the setting {} cannot be read: {why}", quote(setting)))?;
        let (key, value) = (Value::from(setting.as_str()), Value::from(text));
        json.push_str(&format!("{key}:{value},"));
    }
    // What is there already keeps its digits.
    let rest = settings.trim_start_matches('{');
    if rest == "}" {
        json.truncate(json.trim_end_matches(',').len());
    }
    json.push_str(rest);
    match json.len() {
        0..=MOST_SETTINGS => Ok(json.into()),
        size => {
            Err(format!("settings are {size} bytes as JSON with their files: {MOST_SETTINGS} are the most"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(written: &[(&str, &str)], settings: &str) -> Result<Vec<SettingFile>, String> {
        let owned = written.iter().map(|(setting, file)| ((*setting).to_owned(), (*file).to_owned()));
        parse(&owned.collect(), settings).map_err(|problem| problem.to_string())
    }

    #[test]
    fn the_texts_of_files_stand_beside_the_other_settings() {
        let read = |name: &str| match name {
            "order.json" => Ok("{\"a\": 1}\n"),
            _ => Err(format!("the file {name} is not there")),
        };
        let body = files(&[("body", "order.json")], "{}").expect("valid");
        let filled = fill("{\"n\":1.50}", &body, read).expect("filled");
        assert_eq!(&*filled, "{\"body\":\"{\\\"a\\\": 1}\\n\",\"n\":1.50}");
        assert_eq!(&*fill("{}", &body, read).expect("filled"), "{\"body\":\"{\\\"a\\\": 1}\\n\"}");
        assert_eq!(&*fill("{}", &[], read).expect("filled"), "{}");
        let missing = files(&[("body", "other.txt")], "{}").expect("valid");
        let error = fill("{}", &missing, read).expect_err("no file");
        assert!(error.contains("body") && error.contains("other.txt is not there"), "{error}");
        let large = "x".repeat(MOST_SETTINGS);
        assert!(fill("{}", &body, |_| Ok(large.as_str())).is_err());
    }

    #[test]
    fn what_is_no_file_beside_the_manifest_is_refused() {
        for file in ["", ".hidden", "../secret", "/etc/passwd", "a/b", "order.yaml", "m.wasm", "m.wasm.gz"] {
            let error = files(&[("body", file)], "{}").expect_err(file);
            assert!(error.starts_with("spec.settingsFrom: "), "{error}");
        }
        let twice = files(&[("body", "a.txt")], "{\"body\":1}").expect_err("twice");
        assert!(twice.contains("stands in `settings` as well"), "{twice}");
    }
}
