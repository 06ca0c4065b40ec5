//! Headers as settings have them: texts, and values from secrets.

use aviary_guest::json::Value;
use aviary_guest::secrets::SecretRef;
use serde::de::{Deserialize, Deserializer, Error};

/// The headers to send, by name: a map, or a text with a line `Name: value` for each.
#[derive(Debug, Default)]
pub struct Headers(pub Vec<(String, HeaderValue)>);

/// The value of a header to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderValue {
    /// A text, sent as it is.
    Text(String),
    /// A secret, after a prefix such as `Token `.
    Secret {
        /// What stands before the secret.
        prefix: String,
        /// The secret.
        secret: SecretRef,
    },
}

impl Headers {
    /// An error if a value looks as if a secret were to be put in.
    pub fn validate(&self) -> Result<(), String> {
        self.0.iter().try_for_each(|(name, value)| match value {
            HeaderValue::Text(text) => refuse_placeholder(text).map_err(|reason| {
                format!("settings.headers.{name}: {reason}; write `{name}: {{ secret: <name> }}`")
            }),
            HeaderValue::Secret { prefix, .. } => refuse_placeholder(prefix).map_err(|reason| {
                format!("settings.headers.{name}.prefix: {reason}; write the prefix itself")
            }),
        })
    }

    /// The headers with the secrets in their places.
    pub fn read(&self) -> Result<Vec<(String, String)>, String> {
        let read = |(name, value): &(String, HeaderValue)| match value {
            HeaderValue::Text(text) => Ok((name.clone(), text.clone())),
            HeaderValue::Secret { prefix, secret } => {
                let secret = secret.read_text(&format!("settings.headers.{name}"))?;
                Ok((name.clone(), format!("{prefix}{secret}")))
            }
        };
        self.0.iter().map(read).collect()
    }
}

/// An error if a text holds `${…}`, which would be sent as it is.
pub fn refuse_placeholder(text: &str) -> Result<(), String> {
    match text.split_once("${").is_some_and(|(_, rest)| rest.contains('}')) {
        true => Err("`${…}` is not replaced by anything".into()),
        false => Ok(()),
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        Self::from_value(Value::deserialize(source)?).map_err(D::Error::custom)
    }
}

impl Headers {
    fn from_value(written: Value) -> Result<Self, String> {
        let mut headers = Vec::new();
        match written {
            Value::String(lines) => {
                for (number, line) in (1..).zip(lines.lines()).filter(|(_, line)| !line.trim().is_empty()) {
                    let (name, value) = line
                        .split_once(':')
                        .ok_or_else(|| format!("line {number} of the headers is no `Name: value`"))?;
                    headers.push((name.trim().to_owned(), HeaderValue::Text(value.trim().to_owned())));
                }
            }
            Value::Object(map) => {
                for (name, value) in map {
                    let value =
                        HeaderValue::from_value(value).map_err(|reason| format!("{name}: {reason}"))?;
                    headers.push((name, value));
                }
            }
            _ => return Err("headers are a map, or a text with a line `Name: value` for each".into()),
        }
        Ok(Self(headers))
    }
}

impl HeaderValue {
    fn from_value(written: Value) -> Result<Self, String> {
        let mut fields = match written {
            Value::String(text) => return Ok(Self::Text(text)),
            Value::Object(fields) => fields,
            _ => return Err("a header is a text, or `{secret: <name>, prefix: <text>}`".into()),
        };
        let prefix = match fields.remove("prefix") {
            None => String::new(),
            Some(Value::String(prefix)) => prefix,
            Some(_) => return Err("`prefix` has to be a text".into()),
        };
        Ok(Self::Secret { prefix, secret: SecretRef::from_value(&Value::Object(fields))? })
    }
}

#[cfg(test)]
mod tests {
    use aviary_guest::json::{from_value, json};

    use super::*;

    #[test]
    fn headers_are_a_map_or_lines_and_values_may_be_secrets() {
        let map: Headers =
            from_value(json!({"A": "b", "C": {"secret": "d", "prefix": "Token "}})).expect("a map");
        assert_eq!(map.0[0], ("A".into(), HeaderValue::Text("b".into())));
        let secret = SecretRef { secret: "d".into() };
        assert_eq!(map.0[1], ("C".into(), HeaderValue::Secret { prefix: "Token ".into(), secret }));
        let lines: Headers = from_value(json!("A: b: c\n\nD:e\r\n")).expect("lines");
        assert_eq!(lines.read(), Ok(vec![("A".into(), "b: c".into()), ("D".into(), "e".into())]));
        assert!(from_value::<Headers>(json!("A b")).is_err());
    }

    #[test]
    fn a_placeholder_is_refused_with_the_right_spelling() {
        let headers: Headers = from_value(json!({"Authorization": "Bearer ${token}"})).expect("a map");
        let error = headers.validate().expect_err("a placeholder");
        assert_eq!(
            error,
            "settings.headers.Authorization: `${…}` is not replaced by anything; write `Authorization: { secret: <name> }`"
        );
        assert_eq!(refuse_placeholder("costs $5 {now}"), Ok(()));
    }
}
