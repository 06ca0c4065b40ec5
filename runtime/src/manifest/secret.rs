//! Secrets of a check, and where their values come from.

use crate::{
    grant::SecretKind,
    manifest::spec::{SecretKeyRef, SecretSpec},
    text::{is_subdomain, quote},
};
use std::{path::PathBuf, sync::Arc};

/// The most characters of a secret's name, as for the keys of a Kubernetes Secret.
const LONGEST: usize = 253;

/// One secret that a check may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// The name under which the guest asks for it.
    pub name: Arc<str>,
    /// Where the value of the secret is.
    pub from: SecretSource,
}

/// The place where the daemon finds the value of a secret. It looks anew for every read of the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// The content of a file, named by an absolute path.
    File(PathBuf),
    /// A variable of the daemon's own environment.
    Env(String),
    /// A key of a Kubernetes Secret in the check's namespace.
    KeyRef {
        /// The name of the Kubernetes Secret.
        name: String,
        /// The key within the Kubernetes Secret.
        key: String,
    },
}

/// Why a secret in a manifest is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The name is empty, too long, or has other characters than a key of a Kubernetes Secret.
    #[error("secret name {} is not valid: use at most {LONGEST} letters, digits, dots, dashes and underscores", quote(.0))]
    Name(String),
    /// The secret has no source, or several.
    #[error("secret {} needs exactly one source: write one of `file`, `env` and `secretKeyRef`", quote(.0))]
    Source(String),
    /// The path of the file is relative, and so depends on where the daemon was started.
    #[error("secret file {} is not an absolute path: start it with `/`", quote(.0))]
    File(String),
    /// The text is not the name of an environment variable.
    #[error("secret variable {} is not valid: use letters, digits and underscores, not starting with a digit", quote(.0))]
    Env(String),
    /// The text is not the name of a Kubernetes Secret.
    #[error("secretKeyRef.name {} is not the name of a Secret: use lower-case letters, digits, dashes and dots", quote(.0))]
    KeyName(String),
    /// The text is not a key that a Kubernetes Secret can have.
    #[error("secretKeyRef.key {} is not a key of a Secret: use letters, digits, dots, dashes and underscores", quote(.0))]
    Key(String),
}

impl Secret {
    /// The secret that a manifest means, if it names exactly one source.
    pub(super) fn new(written: &SecretSpec) -> Result<Self, SecretError> {
        let SecretSpec { name, file, env, secret_key_ref } = written;
        if !is_key(name) {
            return Err(SecretError::Name(name.clone()));
        }
        let from = match (file, env, secret_key_ref) {
            (Some(path), None, None) => SecretSource::file(path),
            (None, Some(variable), None) => SecretSource::env(variable),
            (None, None, Some(key)) => SecretSource::key_ref(key),
            _ => Err(SecretError::Source(name.clone())),
        }?;
        Ok(Self { name: name.as_str().into(), from })
    }
}

impl SecretSource {
    /// The kind of place where the value of the secret is.
    pub fn kind(&self) -> SecretKind {
        match self {
            Self::File(_) => SecretKind::File,
            Self::Env(_) => SecretKind::Env,
            Self::KeyRef { .. } => SecretKind::SecretKeyRef,
        }
    }

    fn file(path: &str) -> Result<Self, SecretError> {
        match path.starts_with('/') && !path.contains('\0') {
            true => Ok(Self::File(path.into())),
            false => Err(SecretError::File(path.to_owned())),
        }
    }

    fn env(variable: &str) -> Result<Self, SecretError> {
        match is_variable(variable) {
            true => Ok(Self::Env(variable.to_owned())),
            false => Err(SecretError::Env(variable.to_owned())),
        }
    }

    fn key_ref(written: &SecretKeyRef) -> Result<Self, SecretError> {
        if !is_subdomain(&written.name) {
            return Err(SecretError::KeyName(written.name.clone()));
        }
        if !is_key(&written.key) {
            return Err(SecretError::Key(written.key.clone()));
        }
        Ok(Self::KeyRef { name: written.name.clone(), key: written.key.clone() })
    }
}

fn is_key(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    (1..=LONGEST).contains(&text.len()) && text.bytes().all(plain)
}

fn is_variable(text: &str) -> bool {
    let digit_first = text.starts_with(|first: char| first.is_ascii_digit());
    !text.is_empty() && !digit_first && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use crate::manifest::secret::*;

    fn secret(yaml: &str) -> Result<Secret, SecretError> {
        Secret::new(&serde_saphyr::from_str(yaml).expect("the shape of a secret"))
    }

    fn source(yaml: &str) -> SecretSource {
        secret(yaml).expect("valid").from
    }

    #[test]
    fn a_secret_has_a_name_and_one_source() {
        let token = secret("{ name: token, file: /run/secrets/token }").expect("valid");
        assert_eq!((&*token.name, token.from), ("token", SecretSource::File("/run/secrets/token".into())));
        assert_eq!(source("{ name: api.key, env: API_KEY }"), SecretSource::Env("API_KEY".to_owned()));
        let key = SecretSource::KeyRef { name: "mail.v1".to_owned(), key: "smtp_password".to_owned() };
        let yaml = "{ name: a, secretKeyRef: { name: mail.v1, key: smtp_password } }";
        assert_eq!(source(yaml), key);
    }

    #[test]
    fn secrets_that_name_nothing_are_refused() {
        let text = str::to_owned;
        for (yaml, error) in [
            ("{ name: '', env: A }", SecretError::Name(text(""))),
            ("{ name: a/b, env: A }", SecretError::Name(text("a/b"))),
            ("{ name: a }", SecretError::Source(text("a"))),
            ("{ name: a, file: /f, env: A }", SecretError::Source(text("a"))),
            ("{ name: a, env: A, secretKeyRef: { name: s, key: k } }", SecretError::Source(text("a"))),
            ("{ name: a, file: f }", SecretError::File(text("f"))),
            ("{ name: a, file: \"/f\\0\" }", SecretError::File(text("/f\0"))),
        ] {
            assert_eq!(secret(yaml), Err(error), "{yaml}");
        }
        for variable in ["", "1A", "A=B", "A B", "A\\0"] {
            let error = secret(&format!("{{ name: a, env: \"{variable}\" }}")).expect_err("no variable");
            assert!(matches!(error, SecretError::Env(_)), "{variable}");
        }
    }

    #[test]
    fn a_secret_key_leads_nowhere_else() {
        for name in ["", "Mail", "../mail", "mail/x", "other/mail", "mail?x", "a..b"] {
            let yaml = format!("{{ name: a, secretKeyRef: {{ name: \"{name}\", key: k }} }}");
            assert_eq!(secret(&yaml), Err(SecretError::KeyName(name.to_owned())));
        }
        for key in ["", "a/b", "a b"] {
            let yaml = format!("{{ name: a, secretKeyRef: {{ name: s, key: \"{key}\" }} }}");
            assert_eq!(secret(&yaml), Err(SecretError::Key(key.to_owned())));
        }
    }
}
