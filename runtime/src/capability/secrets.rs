//! The `secrets` capability: secrets that the manifest lists, read afresh at each call.

use super::{
    bindings::aviary::check::secrets::{Error, Host},
    call_end::CallEnd,
    shorten,
};
use crate::{
    capability::HostState,
    cluster::{Cluster, in_words},
    file::open_regular,
    grant::Capability,
    manifest::{Program, SecretSource},
};
use k8s_openapi::api::core::v1::Secret as KubernetesSecret;
use kube::Api;
use std::{env, os::unix::ffi::OsStringExt, path::Path};
use tokio::{
    fs::File,
    io::{self, AsyncReadExt},
    time::{Instant, timeout_at},
};

/// The most bytes of a secret.
const LARGEST: usize = 64 * 1024;

impl Host for HostState {
    async fn read(&mut self, name: String) -> Result<Vec<u8>, Error> {
        let deadline = self.calls.begin(Capability::Secrets, shorten(&name), None);
        let deadline = deadline.map_err(|error| Error::Unavailable(error.to_string()))?;
        let result = read(&self.program, self.cluster.as_deref(), &name, deadline).await;
        let unlisted = format!("the manifest lists no secret {}", shorten(&name));
        self.finish(match &result {
            Ok(_) => CallEnd::Ok,
            Err(Error::Denied) => CallEnd::Denied(&unlisted),
            Err(_) => CallEnd::Error,
        });
        result
    }
}

/// Reads the secret of this name. One line break at the end is not part of it: editors and `echo` add it.
pub async fn read(
    program: &Program,
    cluster: Option<&Cluster>,
    name: &str,
    deadline: Instant,
) -> Result<Vec<u8>, Error> {
    let secret = program.secrets.iter().find(|secret| *secret.name == *name).ok_or(Error::Denied)?;
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
            let read = timeout_at(deadline, read_key(program, cluster, name, key)).await;
            let read = read.unwrap_or_else(|_| Err("the API server does not answer in time".to_owned()));
            let secret = format!("{key} of the Secret {}/{name}", program.namespace());
            read.map_err(|error| Error::Unavailable(format!("cannot read {secret}: {error}")))?
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

/// Reads a key of a Kubernetes Secret, with the rights that the check has in the cluster.
async fn read_key(
    program: &Program,
    cluster: Option<&Cluster>,
    name: &str,
    key: &str,
) -> Result<Vec<u8>, String> {
    let cluster = cluster.ok_or("the daemon knows no cluster")?;
    let client = cluster.guest(program.authorization.account()).map_err(|error| in_words(&error))?;
    let secrets: Api<KubernetesSecret> = Api::namespaced(client, program.namespace());
    let _permit = cluster.turn(program.namespace()).await;
    let secret = secrets.get(name).await.map_err(|error| in_words(&error))?;
    let value = secret.data.and_then(|mut data| data.remove(key));
    value.map(|value| value.0).ok_or_else(|| "it has no such key".to_owned())
}

/// Reads a file of the daemon's: at most [`LARGEST`] bytes and one more, which shows that it is too large.
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
    use crate::manifest::Secret;
    use futures_util::FutureExt;
    use std::time::Duration;

    /// A program that may read the one secret `name`.
    fn listing(name: &str, from: SecretSource) -> Program {
        let bare = Program::bare("default", "test.wasm".parse().expect("a module"));
        Program { secrets: vec![Secret { name: name.into(), from }], ..bare }
    }

    async fn read_path(path: &str) -> Result<Vec<u8>, Error> {
        let program = listing("token", SecretSource::File(path.into()));
        read(&program, None, "token", Instant::now() + Duration::from_secs(1)).await
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
        let program = listing("path", SecretSource::Env("PATH".to_owned()));
        let deadline = Instant::now() + Duration::from_secs(1);
        assert!(read(&program, None, "path", deadline).await.is_ok_and(|value| !value.is_empty()));
        assert!(matches!(read(&program, None, "PATH", deadline).await, Err(Error::Denied)));
    }

    #[tokio::test(start_paused = true)]
    async fn secrets_of_the_cluster_wait_for_room_like_other_answers() {
        let config = kube::Config::new("http://127.0.0.1:1".parse().expect("a URL"));
        let cluster = Cluster::new(config).expect("a cluster");
        let program = listing("token", SecretSource::KeyRef { name: "tokens".into(), key: "a".into() });
        let read = async || {
            let deadline = Instant::now() + Duration::from_secs(1);
            let error = read(&program, Some(&cluster), "token", deadline).await.expect_err("nobody listens");
            matches!(error, Error::Unavailable(text) if text.contains("in time"))
        };
        let mut permits = Vec::new();
        while let Some(permit) = cluster.turn("default").now_or_never() {
            permits.push(permit);
        }
        assert!(read().await, "it does not wait");
        drop(permits);
        assert!(!read().await, "it waits for ever");
    }

    #[tokio::test]
    async fn what_is_missing_is_named() {
        let error = read_path("/nowhere/token").await.expect_err("no file");
        assert!(matches!(error, Error::Unavailable(text) if text.contains("/nowhere/token")));
        let program = listing("token", SecretSource::Env("AVIARY_NO_SUCH_VARIABLE".to_owned()));
        let error = read(&program, None, "token", Instant::now()).await.expect_err("no variable");
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
