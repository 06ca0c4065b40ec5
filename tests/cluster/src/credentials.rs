//! The credentials: who may talk to the API server, and the kubeconfig of each.

use crate::directory::Directory;
use anyhow::{Context, Result};
use std::{fmt::Write, fs::File, io::Read, net::SocketAddrV4};

/// The name of the only node.
pub(crate) const NODE: &str = "aviary";

struct User {
    kubeconfig: &'static str,
    name: &'static str,
    group: &'static str,
}

const USERS: [User; 4] = [
    User { kubeconfig: "kubeconfig", name: "admin", group: "system:masters" },
    User {
        kubeconfig: "controller-manager.kubeconfig",
        name: "system:kube-controller-manager",
        group: "system:authenticated",
    },
    User { kubeconfig: "scheduler.kubeconfig", name: "system:kube-scheduler", group: "system:authenticated" },
    User { kubeconfig: "kubelet.kubeconfig", name: "system:node:aviary", group: "system:nodes" },
];

/// Writes `tokens.csv` for the API server, `admin.token`, and a kubeconfig for every user.
pub(crate) fn write(directory: &Directory, api: SocketAddrV4) -> Result<()> {
    let mut tokens = String::new();
    for User { kubeconfig, name, group } in USERS {
        let token = random_token()?;
        writeln!(tokens, "{token},{name},{name},{group}")?;
        directory.write(kubeconfig, &kubeconfig_with(api, &directory.text("ca.crt"), &token))?;
        if name == "admin" {
            directory.write("admin.token", &token)?;
        }
    }
    directory.write("tokens.csv", &tokens)
}

fn random_token() -> Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .context("cannot draw a token")?;
    Ok(bytes.iter().fold(String::new(), |token, byte| format!("{token}{byte:02x}")))
}

fn kubeconfig_with(api: SocketAddrV4, authority: &str, token: &str) -> String {
    format!(
        "apiVersion: v1
kind: Config
clusters:
- name: aviary-test
  cluster: {{server: 'https://{api}', certificate-authority: '{authority}'}}
users:
- name: aviary-test
  user: {{token: {token:?}}}
contexts:
- name: aviary-test
  context: {{cluster: aviary-test, user: aviary-test}}
current-context: aviary-test
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kubelet_is_the_user_that_the_node_authorizer_expects() {
        assert!(USERS.iter().any(|user| user.name == format!("system:node:{NODE}")));
    }

    #[test]
    fn no_two_tokens_are_the_same() {
        assert_ne!(random_token().expect("a token"), random_token().expect("a token"));
    }
}
