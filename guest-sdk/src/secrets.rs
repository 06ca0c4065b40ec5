//! Secrets that the manifest lists by name. Needs no grant beyond that list.
//!
//! ```no_run
//! use aviary_guest::{http, secrets};
//!
//! fn status() -> Result<u16, String> {
//!     let token = secrets::read_text("token")?;
//!     let request = http::get("https://api.example.com").header("authorization", format!("Bearer {token}"));
//!     Ok(request.send()?.status)
//! }
//! ```

use std::fmt::{self, Display, Formatter};

use serde::de::{Deserialize, Deserializer, Error as _};
use serde_json::Value;

use crate::bindings::aviary::check::secrets as raw;

/// Reads one secret, afresh at each call.
pub fn read(name: &str) -> Result<Vec<u8>, Error> {
    raw::read(name).map_err(|error| match error {
        raw::Error::Denied => Error::Denied(name.into()),
        raw::Error::Unavailable(reason) => Error::Unavailable(reason),
        raw::Error::TooLarge => Error::TooLarge,
    })
}

/// Reads one secret that is text; white space around it is dropped.
pub fn read_text(name: &str) -> Result<String, Error> {
    let text = String::from_utf8(read(name)?).map_err(|_| Error::NotText)?;
    Ok(text.trim().into())
}

/// A secret in settings: `{secret: <name>}`, with a name that the manifest's `secrets` list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretRef {
    /// The name of the secret.
    pub secret: String,
}

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        Self::from_value(&Value::deserialize(source)?).map_err(D::Error::custom)
    }
}

impl SecretRef {
    /// The secret that a value of the settings refers to. A text in its place may be the secret itself, and is not
    /// repeated in the error.
    pub fn from_value(value: &Value) -> Result<Self, String> {
        let fields = value.as_object().filter(|fields| fields.len() == 1);
        let secret = fields.and_then(|fields| fields.get("secret")).and_then(Value::as_str);
        let secret =
            secret.ok_or("write `{secret: <name>}`, with a name that the manifest's `secrets` list")?;
        Ok(Self { secret: secret.to_owned() })
    }

    /// Reads the secret as text. The error begins with `setting`, which is the key that refers to the secret.
    pub fn read_text(&self, setting: &str) -> Result<String, String> {
        read_text(&self.secret).map_err(|error| format!("{setting}: {error}"))
    }
}

/// Why a secret could not be read.
#[derive(Debug, Clone, PartialEq)]
pub enum Error {
    /// The manifest lists no secret of this name.
    Denied(String),
    /// The file, variable or key of the secret is not there now; the text says which.
    Unavailable(String),
    /// The secret is larger than 64 KiB.
    TooLarge,
    /// The secret is not UTF-8.
    NotText,
}

impl Display for Error {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(name) => write!(f, "the manifest's `secrets` list no {name:?}; add it there"),
            Self::Unavailable(reason) => write!(f, "the secret is not there: {reason}"),
            Self::TooLarge => f.write_str("the secret is larger than 64 KiB"),
            Self::NotText => f.write_str("the secret is not UTF-8"),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for String {
    fn from(error: Error) -> Self {
        error.to_string()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    #[test]
    fn a_secret_that_stands_in_the_settings_itself_is_refused_and_not_repeated() {
        assert_eq!(
            from_value::<SecretRef>(json!({"secret": "token"})).map(|found| found.secret).ok(),
            Some("token".into())
        );
        for wrong in [json!("s3cr3t"), json!({"secret": "a", "value": "s3cr3t"})] {
            let error = from_value::<SecretRef>(wrong).expect_err("no reference").to_string();
            assert!(!error.contains("s3cr3t"), "{error}");
        }
    }
}
