//! Settings from JSON, with errors that name the key.
//!
//! The key is found in the text afterwards, for the sake of size: crates that follow along while serde
//! reads double the code of every settings type.

use std::fmt::{self, Display, Formatter};

use serde::de::{DeserializeOwned, Error, Visitor};

/// Parses settings. An error says `settings.<path>: <what is wrong>`.
pub(crate) fn parse<S: DeserializeOwned>(text: &str) -> Result<S, String> {
    serde_json::from_str(text).map_err(|error| explain(text, &error))
}

/// Deserializes text that has to be parsed: with the words for what is expected, and the parser.
///
/// It is a visitor, as serde_json tells the position of its own errors and not of those that come later.
pub(crate) struct Text<T>(pub(crate) &'static str, pub(crate) fn(&str) -> Result<T, String>);

impl<T> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        self.1(text).map_err(E::custom)
    }
}

fn explain(text: &str, error: &serde_json::Error) -> String {
    let lines: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let read = text.get(..lines + error.column()).unwrap_or(text);
    // The position is left out: it is one in JSON, which the operator, who wrote YAML, has never seen.
    let message = error.to_string();
    let message = message.rfind(" at line ").map_or(message.as_str(), |end| &message[..end]);
    let path = path_to_end(read);
    let is_delicate = DELICATE.iter().any(|part| path.contains(part));
    let message = if is_delicate { &without_quote(message) } else { message };
    format!("settings{path}: {message}")
}

/// Parts of keys whose values may hold a secret.
const DELICATE: [&str; 4] = [".auth", "Certificate", "ecret", "oken"];

/// The message without what it quotes first, which is the wrong value.
fn without_quote(message: &str) -> String {
    let Some(start) = message.find(['"', '`']) else { return message.to_owned() };
    let end = message[start + 1..].find(['"', '`']).map_or(message.len(), |end| start + end + 2);
    format!("{}***{}", &message[..start], &message[end..])
}

/// The path of the value in which a JSON text breaks off: `.targets[1].port`.
fn path_to_end(text: &str) -> String {
    let mut path: Vec<Place> = Vec::new();
    let mut last_string = "";
    let mut rest = text;
    while let Some(start) = rest.find(['"', '{', '[', '}', ']', ':', ',']) {
        let (sign, after) = rest.split_at(start).1.split_at(1);
        rest = after;
        match (sign, path.last_mut()) {
            ("\"", _) => (last_string, rest) = split_string(rest),
            ("{", _) => path.push(Place::Key("")),
            ("[", _) => path.push(Place::Index(0)),
            (":", Some(Place::Key(key))) => *key = last_string,
            (",", Some(Place::Key(key))) => *key = "",
            (",", Some(Place::Index(index))) => *index += 1,
            ("}" | "]", _) => _ = path.pop(),
            _ => {}
        }
    }
    path.iter().map(ToString::to_string).collect()
}

/// Splits the text after its closing quote.
fn split_string(text: &str) -> (&str, &str) {
    let mut is_escaped = false;
    let end = text.find(|c| {
        let is_end = c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        is_end
    });
    end.map_or((text, ""), |end| (&text[..end], &text[end + 1..]))
}

enum Place<'a> {
    /// A key of an object; empty between two keys.
    Key(&'a str),
    Index(usize),
}

impl Display for Place<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key("") => Ok(()),
            Self::Key(key) => write!(f, ".{key}"),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Settings {
        #[serde(rename = "targets")]
        _targets: Vec<Target>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Target {
        #[serde(rename = "port")]
        _port: u16,
        #[serde(rename = "every", default, deserialize_with = "crate::duration::deserialize")]
        _every: Duration,
    }

    fn error(text: &str) -> String {
        parse::<Settings>(text).expect_err("invalid settings")
    }

    #[test]
    fn a_wrong_type_is_reported_with_its_path() {
        assert_eq!(
            error(r#"{"targets": [{"port": 1}, {"port": "x"}]}"#),
            r#"settings.targets[1].port: invalid type: string "x", expected u16"#
        );
    }

    #[test]
    fn an_unknown_key_is_reported_with_the_known_ones() {
        let error = error(r#"{"targets": [{"prt": 1}]}"#);
        assert!(error.starts_with("settings.targets[0]"), "{error}");
        assert!(error.contains("unknown field `prt`, expected `port` or `every`"), "{error}");
    }

    #[test]
    fn a_missing_key_is_reported_by_name() {
        assert_eq!(error("{}"), "settings: missing field `targets`");
    }

    #[test]
    fn the_path_is_found_whatever_the_text_looks_like() {
        let text = "{\"a, \\\"{\": [\n {\"targets\": 1},\n [],\n {\"b\": {}, \"targets\": 5";
        assert_eq!(path_to_end(text), ".a, \\\"{[2].targets");
        assert_eq!(
            error("{\n\"targets\": [\n{\"port\":\n70000}\n]\n}"),
            "settings.targets[0].port: invalid value: integer `70000`, expected u16"
        );
    }

    #[test]
    fn a_wrong_value_that_may_be_a_secret_is_not_repeated() {
        #[derive(Debug, Deserialize)]
        struct Delicate {
            #[serde(rename = "auth")]
            _auth: u16,
        }
        let error = parse::<Delicate>(r#"{"auth": "s3cr3t"}"#).expect_err("invalid settings");
        assert_eq!(error, "settings.auth: invalid type: string ***, expected u16");
        assert_eq!(
            without_quote("unknown variant `s3cr3t`, expected `a`"),
            "unknown variant ***, expected `a`"
        );
    }

    #[test]
    fn a_text_that_is_no_json_is_reported() {
        assert!(error("").starts_with("settings: EOF"));
        assert!(error("{\"targets\": [}").starts_with("settings.targets"));
    }

    #[test]
    fn a_bad_duration_is_reported_with_its_path() {
        let error = error(r#"{"targets": [{"port": 1, "every": "5"}]}"#);
        assert!(error.starts_with("settings.targets[0].every: \"5\" has no unit"), "{error}");
    }
}
