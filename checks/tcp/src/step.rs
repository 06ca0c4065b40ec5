//! The steps of a conversation as settings have them. Pure.

use std::fmt::{self, Display, Formatter};

use aviary_guest::pattern::Pattern;
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use crate::bytes::Bytes;
use crate::presets::Preset;

/// One step of the conversation.
#[derive(Debug)]
pub enum Step {
    /// Sends this text as it is. The end of a line has to be written: `\r\n`.
    Send(String),
    /// Sends these bytes.
    SendBytes(Bytes),
    /// Waits until this pattern matches what came since the last match.
    Expect(Pattern),
    /// Waits until these bytes have come since the last match.
    ExpectBytes(Bytes),
    /// Starts TLS on the connection. With a preset, says before what the protocol wants.
    StartTls(Option<Preset>),
    /// Tells the peer that nothing more will be sent.
    FinishSending,
    /// Waits until the peer ends the connection.
    ExpectEnd,
}

/// The steps that are written as a word.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
enum Word {
    StartTls,
    FinishSending,
    ExpectEnd,
}

/// The steps that are written as a map with one key.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
enum Keyed {
    Send(String),
    SendBytes(Bytes),
    Expect(Pattern),
    ExpectBytes(Bytes),
    StartTls(Preset),
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_any(StepVisitor)
    }
}

struct StepVisitor;

impl<'de> Visitor<'de> for StepVisitor {
    type Value = Step;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("a step, such as `expect: \"^220\"` or `startTls`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Step, E> {
        Ok(match Word::deserialize(StrDeserializer::new(text))? {
            Word::StartTls => Step::StartTls(None),
            Word::FinishSending => Step::FinishSending,
            Word::ExpectEnd => Step::ExpectEnd,
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Step, A::Error> {
        Ok(match Keyed::deserialize(MapAccessDeserializer::new(map))? {
            Keyed::Send(text) => Step::Send(text),
            Keyed::SendBytes(bytes) => Step::SendBytes(bytes),
            Keyed::Expect(pattern) => Step::Expect(pattern),
            Keyed::ExpectBytes(bytes) => Step::ExpectBytes(bytes),
            Keyed::StartTls(preset) => Step::StartTls(Some(preset)),
        })
    }
}

impl Display for Step {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            // What is sent is left out, as it may be a password.
            Self::Send(_) => f.write_str("send"),
            Self::SendBytes(_) => f.write_str("sendBytes"),
            Self::Expect(pattern) => write!(f, "expect {pattern}"),
            Self::ExpectBytes(bytes) => write!(f, "expectBytes {bytes}"),
            Self::StartTls(None) => f.write_str("startTls"),
            Self::StartTls(Some(preset)) => write!(f, "startTls {}", format!("{preset:?}").to_lowercase()),
            Self::FinishSending => f.write_str("finishSending"),
            Self::ExpectEnd => f.write_str("expectEnd"),
        }
    }
}

#[cfg(test)]
mod tests {
    use aviary_guest::json::{Value, from_value, json};

    use super::*;

    fn step(value: Value) -> Result<String, String> {
        from_value::<Step>(value).map(|step| step.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_step_is_a_word_or_has_one_key() {
        for (written, shown) in [
            (json!("startTls"), "startTls"),
            (json!({"startTls": "smtp"}), "startTls smtp"),
            (json!("finishSending"), "finishSending"),
            (json!("expectEnd"), "expectEnd"),
            (json!({"send": "PASS s3cr3t"}), "send"),
            (json!({"sendBytes": "00 01"}), "sendBytes"),
            (json!({"expect": "^220"}), "expect /^220/"),
            (json!({"expectBytes": "53"}), "expectBytes 53"),
        ] {
            assert_eq!(step(written.clone()), Ok(shown.to_owned()), "{written}");
        }
        for wrong in [
            json!("sleep"),
            json!({"startTls": "gopher"}),
            json!({"send": "a", "expect": "b"}),
            json!({"sendBytes": "x"}),
        ] {
            assert!(step(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
