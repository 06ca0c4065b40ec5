//! What to expect of an answer.

use std::time::Duration;

use aviary_guest::dns::{RecordType, ResponseCode};
use aviary_guest::duration;
use aviary_guest::limits::Latency;
use aviary_guest::pattern::Pattern;
use serde::Deserialize;

use crate::same::canonical;

/// The most records of one answer that the daemon hands out.
pub const MOST_RECORDS: usize = 256;

/// What to expect of an answer.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expectations {
    /// The response code of the answer.
    #[serde(default)]
    pub code: Code,
    /// How many records the answer has to have at least. Without it, one for `NOERROR`, else zero.
    #[serde(default)]
    pub count: Option<usize>,
    /// The rules for what the records say.
    #[serde(default)]
    pub records: RecordRule,
    /// The shortest time to live of the records and of the aliases on the way. A shorter one is a warning.
    #[serde(default, deserialize_with = "duration::optional")]
    pub minimum_ttl: Option<Duration>,
    /// Whether the answer has to be authoritative for the zone.
    #[serde(default)]
    pub authoritative: bool,
    /// How long the answer may take.
    #[serde(default)]
    pub latency: Latency,
}

impl Expectations {
    /// An error if something is expected that no answer to a question for this type can have.
    pub fn suit(&self, kind: RecordType) -> Result<(), String> {
        if let Some(count) = self.count.filter(|count| *count > MOST_RECORDS) {
            return Err(format!(
                "settings.expect.count: {count} records cannot be counted, as no more than {MOST_RECORDS} are read"
            ));
        }
        let equal = self.records.equal.iter().flatten().map(|text| ("equal", text));
        let mut wanted = equal.chain(self.records.contain.iter().map(|text| ("contain", text)));
        wanted.try_for_each(|(key, text)| match canonical(kind, text) {
            Ok(_) => Ok(()),
            Err(reason) => Err(format!("settings.expect.records.{key}: {reason}")),
        })
    }
}

/// Rules for the records of the type that was asked for, each as in a zone file. They are compared by what their type
/// means: addresses as addresses, names without case and last dot, texts byte for byte.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordRule {
    /// Exactly these records have to be there, in any order.
    #[serde(default)]
    pub equal: Option<Vec<String>>,
    /// These records have to be there, and others may be.
    #[serde(default)]
    pub contain: Vec<String>,
    /// The patterns of which each has to match some record.
    #[serde(default)]
    pub matches: Vec<Pattern>,
    /// The patterns of which none may match any record.
    #[serde(default)]
    pub not_matches: Vec<Pattern>,
}

/// The response codes that can be expected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Code {
    /// The name exists.
    #[default]
    NoError,
    /// The server did not understand the question.
    FormErr,
    /// The server could not find the answer.
    ServFail,
    /// The name does not exist.
    NxDomain,
    /// The server does not answer such questions.
    NotImp,
    /// The server refuses to answer.
    Refused,
}

impl From<Code> for ResponseCode {
    fn from(code: Code) -> Self {
        match code {
            Code::NoError => Self::NoError,
            Code::FormErr => Self::FormatError,
            Code::ServFail => Self::ServerFailure,
            Code::NxDomain => Self::NameError,
            Code::NotImp => Self::NotImplemented,
            Code::Refused => Self::Refused,
        }
    }
}
