//! Settings from JSON, with errors that name the key.

use serde::de::DeserializeOwned;

/// Reads settings; an error says `settings.<path>: <what is wrong>`.
pub(crate) fn parse<S: DeserializeOwned>(text: &str) -> Result<S, String> {
    let mut source = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut source).map_err(|error| {
        let path = error.path().to_string();
        let place = if path == "." { "settings".into() } else { format!("settings.{path}") };
        format!("{place}: {}", without_position(&error.inner().to_string()))
    })
}

/// The position is one in JSON that the operator, who wrote YAML, has never seen.
fn without_position(message: &str) -> &str {
    let position = b" at line ";
    let end = message.as_bytes().windows(position.len()).rposition(|window| window == position);
    end.and_then(|end| message.get(..end)).unwrap_or(message)
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
        #[serde(rename = "every", default, with = "crate::duration")]
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
    fn a_bad_duration_is_reported_with_its_path() {
        let error = error(r#"{"targets": [{"port": 1, "every": "5"}]}"#);
        assert!(error.starts_with("settings.targets[0].every: \"5\" has no unit"), "{error}");
    }
}
