//! What to expect of an answer.

use std::fmt::{self, Formatter};
use std::time::Duration;

use aviary_guest::dns::ResponseCode;
use aviary_guest::duration;
use aviary_guest::limits::Latency;
use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};

use crate::kind::Kind;
use crate::rule::{MOST_RECORDS, RecordRule};

/// What to expect of an answer.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expectations {
    /// The response codes that the answer may have.
    #[serde(default)]
    pub code: Codes,
    /// How many records the answer has to have at least. Without it, one for `NOERROR`, else zero.
    #[serde(default)]
    pub count: Option<usize>,
    /// The rules for what the records of the type that was asked for say.
    #[serde(default)]
    pub records: RecordRule,
    /// The rules for what all records of the authority section say.
    #[serde(default)]
    pub authority: RecordRule,
    /// The rules for what all records of the additional section say.
    #[serde(default)]
    pub additional: RecordRule,
    /// The shortest time to live of the records and of the aliases on the way. A shorter one is a warning.
    #[serde(default, deserialize_with = "duration::optional")]
    pub minimum_ttl: Option<Duration>,
    /// Whether the answer has to be authoritative for the zone.
    #[serde(default)]
    pub authoritative: bool,
    /// Whether the server has to have verified the answer by DNSSEC.
    #[serde(default)]
    pub authenticated: bool,
    /// Whether all name servers of the zone have to have the same serial.
    #[serde(default)]
    pub same_serial: bool,
    /// How long the answer may take.
    #[serde(default)]
    pub latency: Latency,
}

impl Expectations {
    /// An error if something is expected that no answer to a question for this type can have.
    pub fn suit(&self, kind: Kind) -> Result<(), String> {
        if let Some(count) = self.count.filter(|count| *count > MOST_RECORDS) {
            return Err(format!(
                "settings.expect.count: {count} records cannot be counted, as no more than {MOST_RECORDS} are read"
            ));
        }
        self.records.suit(kind).map_err(|reason| format!("settings.expect.records.{reason}"))
    }
}

/// The response codes of which the answer has to have one; without any, `NOERROR`.
#[derive(Debug, PartialEq)]
pub struct Codes(pub Vec<ResponseCode>);

impl Default for Codes {
    fn default() -> Self {
        Self(vec![ResponseCode::NoError])
    }
}

impl<'de> Deserialize<'de> for Codes {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_any(OneOrMore)
    }
}

struct OneOrMore;

impl<'de> Visitor<'de> for OneOrMore {
    type Value = Codes;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("a response code like \"NXDOMAIN\", or a list of them")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Codes, E> {
        Ok(Codes(vec![code(text)?]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Codes, A::Error> {
        let mut codes = Vec::new();
        while let Some(text) = items.next_element::<String>()? {
            codes.push(code(&text)?);
        }
        if codes.is_empty() {
            Err(A::Error::custom("list at least one response code"))
        } else {
            Ok(Codes(codes))
        }
    }
}

fn code<E: Error>(text: &str) -> Result<ResponseCode, E> {
    ResponseCode::named(text).ok_or_else(|| {
        E::custom(format_args!("{text:?} is no response code: write one like NOERROR, NXDOMAIN or REFUSED"))
    })
}

#[cfg(test)]
mod tests {
    use aviary_guest::json::{from_value, json};

    use super::*;

    #[test]
    fn one_code_or_several_can_be_expected() {
        let codes =
            |value| from_value::<Codes>(value).map(|codes| codes.0).map_err(|error| error.to_string());
        assert_eq!(codes(json!("SERVFAIL")), Ok(vec![ResponseCode::ServerFailure]));
        let two = vec![ResponseCode::NoError, ResponseCode::NameError];
        assert_eq!(codes(json!(["NOERROR", "NXDOMAIN"])), Ok(two));
        assert_eq!(codes(json!([])), Err("list at least one response code".into()));
        for wrong in [json!("NOPE"), json!(["NOERROR", "NOPE"])] {
            assert!(codes(wrong).is_err_and(|error| error.starts_with("\"NOPE\" is no response code")));
        }
    }
}
