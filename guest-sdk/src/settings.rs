//! Settings from JSON, with errors that name the key.

use std::fmt::{self, Display, Formatter};

use serde::de::value::{MapDeserializer, SeqDeserializer, StrDeserializer};
use serde::de::{
    DeserializeOwned, Deserializer, EnumAccess, Error as _, IntoDeserializer, Unexpected, Visitor,
};
use serde_json::Value;

/// Reads settings; an error says `settings.<path>: <what is wrong>`.
pub(crate) fn parse<S: DeserializeOwned>(text: &str) -> Result<S, String> {
    let value: Value =
        serde_json::from_str(text).map_err(|error| format!("settings are no JSON: {error}"))?;
    S::deserialize(Node(&value)).map_err(|error| format!("settings{}: {}", error.path, error.message))
}
