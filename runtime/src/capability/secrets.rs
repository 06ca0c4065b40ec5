//! Secrets that the manifest lists, read afresh at each call.

use super::{
    Capability,
    bindings::aviary::check::secrets::{Error, Host},
    calls::CallResult,
    shorten,
};
use crate::{
    file::open_regular,
    sandbox::State,
    spec::{Secret, SecretSource},
};
use std::{env, os::unix::ffi::OsStringExt, path::Path};
use tokio::{
    fs::File,
    io::{self, AsyncReadExt},
    time::{Instant, timeout_at},
};

/// The largest secret, in bytes.
const LARGEST: usize = 64 * 1024;

impl Host for State {
    async fn read(&mut self, name: String) -> Result<Vec<u8>, Error> {
        let deadline = self.calls.begin(Capability::Secrets, shorten(&name), None);
        let deadline = deadline.map_err(|error| Error::Unavailable(error.to_string()))?;
        let result = read(&self.check.secrets, &name, deadline).await;
        self.calls.finish(match &result {
            Ok(_) => CallResult::Ok,
            Err(Error::Denied) => CallResult::Denied,
            Err(_) => CallResult::Error,
        });
        if matches!(result, Err(Error::Denied)) {
            self.entry.deny(&format!("the manifest lists no secret {}", shorten(&name)));
        }
        result
    }
}

/// Reads the secret of that name. One line break at the end is not part of it: editors and `echo` add it.
pub async fn read(secrets: &[Secret], name: &str, deadline: Instant) -> Result<Vec<u8>, Error> {
    let secret = secrets.iter().find(|secret| *secret.name == *name).ok_or(Error::Denied)?;
    let mut value = match &secret.from {
        SecretSource::Env(variable) => {
            let value = env::var_os(variable);
            let value =
                value.ok_or_else(|| Error::Unavailable(format!("the variable {variable} is not set")))?;
            value.into_vec()
        }
        SecretSource::File(path) => {
            let read = timeout_at(deadline, read_file(path)).await;
            let read = read.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
            read.map_err(|error| Error::Unavailable(format!("cannot read {}: {error}", path.display())))?
        }
        SecretSource::KeyRef { name, key } => {
            let why = format!("cannot read {key} of the Secret {name}: the daemon has no cluster to ask");
            return Err(Error::Unavailable(why));
        }
    };
    if value.len() > LARGEST {
        return Err(Error::TooLarge);
    }
    if value.ends_with(b"\n") {
        value.pop();
        value.pop_if(|byte| *byte == b'\r');
    }
    Ok(value)
}

/// Reads a little more than the largest secret at most.
async fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let path = path.to_owned();
    let file = tokio::task::spawn_blocking(move || open_regular(&path)).await.map_err(io::Error::other)??;
    let mut value = Vec::new();
    File::from_std(file).take(LARGEST as u64 + 1).read_to_end(&mut value).await?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn secret(name: &str, from: SecretSource) -> [Secret; 1] {
        [Secret { name: name.into(), from }]
    }

    async fn read_path(path: &str) -> Result<Vec<u8>, Error> {
        let secrets = secret("token", SecretSource::File(path.into()));
        read(&secrets, "token", Instant::now() + Duration::from_secs(1)).await
    }

    #[tokio::test]
    async fn a_secret_is_read_afresh_without_its_last_line_break() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let path = file.path().to_str().expect("a path");
        for (content, secret) in [("one\n", "one"), ("two\n\n", "two\n"), ("three\r\n", "three"), ("", "")] {
            std::fs::write(path, content).expect("written");
            assert_eq!(read_path(path).await.expect("a secret"), secret.as_bytes());
        }
    }

    #[tokio::test]
    async fn only_listed_names_are_read() {
        let secrets = secret("path", SecretSource::Env("PATH".to_owned()));
        let deadline = Instant::now() + Duration::from_secs(1);
        assert!(read(&secrets, "path", deadline).await.is_ok_and(|value| !value.is_empty()));
        assert!(matches!(read(&secrets, "PATH", deadline).await, Err(Error::Denied)));
    }

    #[tokio::test]
    async fn what_is_missing_is_named() {
        let error = read_path("/nowhere/token").await.expect_err("no file");
        assert!(matches!(error, Error::Unavailable(text) if text.contains("/nowhere/token")));
        let secrets = secret("token", SecretSource::Env("AVIARY_NO_SUCH_VARIABLE".to_owned()));
        let error = read(&secrets, "token", Instant::now()).await.expect_err("no variable");
        assert!(matches!(error, Error::Unavailable(text) if text.contains("AVIARY_NO_SUCH_VARIABLE")));
    }

    #[tokio::test]
    async fn devices_directories_and_large_files_are_refused() {
        for path in ["/dev/zero", "/dev"] {
            assert!(matches!(read_path(path).await, Err(Error::Unavailable(_))), "{path}");
        }
        let file = tempfile::NamedTempFile::new().expect("a file");
        let path = file.path().to_str().expect("a path");
        std::fs::write(path, vec![b'x'; LARGEST]).expect("written");
        assert_eq!(read_path(path).await.expect("a secret").len(), LARGEST);
        std::fs::write(path, vec![b'x'; LARGEST + 1]).expect("written");
        assert!(matches!(read_path(path).await, Err(Error::TooLarge)));
    }
}
