//! Where a check's secrets come from.

use super::quote;
use std::{path::PathBuf, sync::Arc};

/// The longest name, as for the keys of a Kubernetes Secret.
const LONGEST: usize = 253;

/// One secret that a check may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// The name under which the guest asks for it.
    pub name: Arc<str>,
    /// Where its value is.
    pub from: SecretSource,
}

/// Where the daemon finds the value, which it reads anew for every read of the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// The content of a file, named by an absolute path.
    File(PathBuf),
    /// A variable of the daemon's own environment.
    Env(String),
}

/// Why a secret cannot be what the manifest says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The name is empty, too long, or has other characters than a key of a Kubernetes Secret.
    #[error("secret name {} is not valid: use at most {LONGEST} letters, digits, dots, dashes and underscores", quote(.0))]
    Name(String),
    /// No source, or two.
    #[error("secret {} needs exactly one source: write either `file` or `env`", quote(.0))]
    Source(String),
    /// The path depends on where the daemon was started.
    #[error("secret file {} is not an absolute path: start it with `/`", quote(.0))]
    File(String),
    /// Not the name of a variable.
    #[error("secret variable {} is not valid: use letters, digits and underscores, not starting with a digit", quote(.0))]
    Env(String),
}

impl Secret {
    /// The secret `name`, from exactly one of `file` and `env`.
    pub fn new(name: &str, file: Option<&str>, env: Option<&str>) -> Result<Self, SecretError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if name.is_empty() || name.len() > LONGEST || !name.bytes().all(plain) {
            return Err(SecretError::Name(name.to_owned()));
        }
        let from = match (file, env) {
            (Some(path), None) if !path.starts_with('/') || path.contains('\0') => {
                Err(SecretError::File(path.to_owned()))
            }
            (Some(path), None) => Ok(SecretSource::File(path.into())),
            (None, Some(variable)) if !is_variable(variable) => Err(SecretError::Env(variable.to_owned())),
            (None, Some(variable)) => Ok(SecretSource::Env(variable.to_owned())),
            (None, None) | (Some(_), Some(_)) => Err(SecretError::Source(name.to_owned())),
        }?;
        Ok(Self { name: name.into(), from })
    }
}

fn is_variable(text: &str) -> bool {
    let digit_first = text.starts_with(|first: char| first.is_ascii_digit());
    !text.is_empty() && !digit_first && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_a_name_and_one_source() {
        let secret = Secret::new("token", Some("/run/secrets/token"), None).expect("valid");
        assert_eq!((&*secret.name, secret.from), ("token", SecretSource::File("/run/secrets/token".into())));
        let secret = Secret::new("api.key", None, Some("API_KEY")).expect("valid");
        assert_eq!(secret.from, SecretSource::Env("API_KEY".to_owned()));
    }

    #[test]
    fn secrets_that_name_nothing_are_refused() {
        let text = str::to_owned;
        assert_eq!(Secret::new("", None, Some("A")), Err(SecretError::Name(text(""))));
        assert_eq!(Secret::new("a/b", None, Some("A")), Err(SecretError::Name(text("a/b"))));
        assert_eq!(Secret::new("a", None, None), Err(SecretError::Source(text("a"))));
        assert_eq!(Secret::new("a", Some("/f"), Some("A")), Err(SecretError::Source(text("a"))));
        assert_eq!(Secret::new("a", Some("f"), None), Err(SecretError::File(text("f"))));
        assert_eq!(Secret::new("a", Some("/f\0"), None), Err(SecretError::File(text("/f\0"))));
        for variable in ["", "1A", "A=B", "A B", "A\0"] {
            assert_eq!(Secret::new("a", None, Some(variable)), Err(SecretError::Env(text(variable))));
        }
    }
}
