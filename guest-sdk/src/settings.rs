//! Settings from JSON, with errors that name the key.

use serde::de::DeserializeOwned;
use serde_json::Value;

use node::Node;

mod node;

/// Reads settings; an error says `settings.<path>: <what is wrong>`.
pub(crate) fn parse<S: DeserializeOwned>(text: &str) -> Result<S, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("settings: no JSON: {error}"))?;
    S::deserialize(Node(&value)).map_err(|error| format!("settings{error}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Settings {
        targets: Vec<Target>,
        #[serde(default)]
        kinds: Vec<Kind>,
        #[serde(default)]
        by_name: BTreeMap<String, i8>,
        #[serde(default)]
        ratio: Option<f64>,
        #[serde(default)]
        extra: Value,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Target {
        port: u16,
        #[serde(default, deserialize_with = "crate::duration::optional")]
        every: Option<Duration>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "camelCase")]
    enum Kind {
        Plain,
        Sized(u32),
        Pair(u8, u8),
        Full { name: String },
    }

    fn error(text: &str) -> String {
        parse::<Settings>(text).expect_err("invalid settings")
    }

    #[test]
    fn all_shapes_are_read() {
        let text = r#"{
            "targets": [{"port": 1}, {"port": 2, "every": "5s"}],
            "kinds": ["plain", {"sized": 7}, {"pair": [1, 2]}, {"full": {"name": "a"}}],
            "byName": {"a": -1},
            "ratio": 0.5,
            "extra": {"any": [1, null, true]}
        }"#;
        let settings: Settings = parse(text).expect("valid settings");
        assert_eq!(settings.targets[1], Target { port: 2, every: Some(Duration::from_secs(5)) });
        let kinds = [Kind::Plain, Kind::Sized(7), Kind::Pair(1, 2), Kind::Full { name: "a".into() }];
        assert_eq!(settings.kinds, kinds);
        assert_eq!((settings.by_name["a"], settings.ratio), (-1, Some(0.5)));
        assert_eq!(settings.extra, serde_json::json!({"any": [1, null, true]}));
    }

    #[test]
    fn null_is_no_value_of_an_optional_key() {
        let settings: Settings = parse(r#"{"targets": [], "ratio": null}"#).expect("valid settings");
        assert_eq!(settings.ratio, None);
    }

    #[test]
    fn an_error_names_the_key() {
        for (text, message) in [
            (
                r#"{"targets": [{"port": 1}, {"port": "x"}]}"#,
                r#".targets[1].port: invalid type: string "x", expected u16"#,
            ),
            (
                r#"{"targets": [{"port": 70000}]}"#,
                ".targets[0].port: invalid value: integer `70000`, expected u16",
            ),
            (
                r#"{"targets": [{"port": 1, "every": "5"}]}"#,
                r#".targets[0].every: "5" has no unit: write ms, s, m, h or d behind the number"#,
            ),
            (r#"{"targets": [{"prt": 1}]}"#, ".targets[0]: unknown field `prt`, expected `port` or `every`"),
            (r#"{"targets": [[1]]}"#, ".targets[0]: invalid type: sequence, expected struct Target"),
            (r#"{"targets": {}}"#, ".targets: invalid type: map, expected a sequence"),
            (
                r#"{"targets": [], "byName": {"a": 1, "b": 200}}"#,
                ".byName.b: invalid value: integer `200`, expected i8",
            ),
            (
                r#"{"targets": [], "kinds": ["plain", {"sized": true}]}"#,
                ".kinds[1].sized: invalid type: boolean `true`, expected u32",
            ),
            (
                r#"{"targets": [], "kinds": [{"pair": [1, "x"]}]}"#,
                r#".kinds[0].pair[1]: invalid type: string "x", expected u8"#,
            ),
            (
                r#"{"targets": [], "kinds": ["sized"]}"#,
                ".kinds[0]: invalid type: unit variant, expected newtype variant",
            ),
            (
                r#"{"targets": [], "kinds": ["round"]}"#,
                ".kinds[0]: unknown variant `round`, expected one of `plain`, `sized`, `pair`, `full`",
            ),
            (
                r#"{"targets": [], "kinds": [{}]}"#,
                ".kinds[0]: invalid value: map, expected a name, or a map with one key",
            ),
            ("{}", ": missing field `targets`"),
            ("[]", ": invalid type: sequence, expected struct Settings"),
        ] {
            assert_eq!(error(text), format!("settings{message}"), "{text}");
        }
    }

    #[test]
    fn a_text_that_is_no_json_is_an_error() {
        assert!(error("{").starts_with("settings: no JSON: EOF"));
    }
}
