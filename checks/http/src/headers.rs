//! Headers as settings have them: texts, and values from secrets.

use std::fmt::{self, Formatter};

use aviary_guest::pairs;
use aviary_guest::secrets::SecretRef;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

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
        source.deserialize_any(HeadersVisitor)
    }
}

struct HeadersVisitor;

impl<'de> Visitor<'de> for HeadersVisitor {
    type Value = Headers;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("a map of headers, or a text with a line `Name: value` for each")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Headers, E> {
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let header = |(number, line): (usize, &str)| {
            let (name, value) = line.split_once(':').ok_or_else(|| {
                E::custom(format!("line {} of the headers is no `Name: value`", number + 1))
            })?;
            Ok((name.trim().to_owned(), HeaderValue::Text(value.trim().to_owned())))
        };
        lines.map(header).collect::<Result<_, _>>().map(Headers)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Headers, A::Error> {
        let mut headers = Vec::new();
        while let Some(header) = map.next_entry()? {
            headers.push(header);
        }
        Ok(Headers(headers))
    }
}

impl<'de> Deserialize<'de> for HeaderValue {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = HeaderValue;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("a text, or `{secret: <name>, prefix: <text>}`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<HeaderValue, E> {
        Ok(HeaderValue::Text(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<HeaderValue, A::Error> {
        let (mut name, mut prefix) = (None, String::new());
        for (key, value) in pairs::collect(map)? {
            match key.as_str() {
                "secret" => name = Some(value),
                "prefix" => prefix = value,
                _ => return Err(A::Error::unknown_field(&key, &["secret", "prefix"])),
            }
        }
        let secret = name.ok_or_else(|| A::Error::missing_field("secret"))?;
        Ok(HeaderValue::Secret { prefix, secret: SecretRef { secret } })
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
