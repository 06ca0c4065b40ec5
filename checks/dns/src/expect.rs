//! What to expect of an answer.

use std::time::Duration;

use aviary_guest::dns::ResponseCode;
use aviary_guest::duration;
use aviary_guest::limits::Latency;
use aviary_guest::pattern::Pattern;
use serde::Deserialize;

/// What to expect of an answer.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expectations {
    /// The server's verdict.
    #[serde(default)]
    pub code: Code,
    /// How many records there have to be; none is one for `NOERROR`, else zero.
    #[serde(default)]
    pub count: Option<usize>,
    /// What the records say.
    #[serde(default)]
    pub records: RecordRule,
    /// A record that may be cached for less is a warning.
    #[serde(default, deserialize_with = "duration::optional")]
    pub minimum_ttl: Option<Duration>,
    /// Whether the server has to speak for the zone.
    #[serde(default)]
    pub authoritative: bool,
    /// How long the answer may take.
    #[serde(default)]
    pub latency: Latency,
}

/// What the records of the type that was asked for have to say, each as in a zone file. Texts are
/// compared whatever their case, names without the last dot.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordRule {
    /// Exactly these records, in any order.
    #[serde(default)]
    pub equal: Option<Vec<String>>,
    /// These records and maybe others.
    #[serde(default)]
    pub contain: Vec<String>,
    /// Each one has to match some record.
    #[serde(default)]
    pub matches: Vec<Pattern>,
    /// None may match any record.
    #[serde(default)]
    pub not_matches: Vec<Pattern>,
}

/// The verdicts that can be expected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Code {
    /// The name exists.
    #[default]
    NoError,
    /// The server did not understand.
    FormErr,
    /// The server could not find out.
    ServFail,
    /// The name does not exist.
    NxDomain,
    /// The server does not do this.
    NotImp,
    /// The server does not want to answer.
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
