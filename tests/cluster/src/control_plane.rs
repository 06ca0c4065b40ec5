//! The control plane: etcd, the API server, the controller manager and the scheduler.

use crate::{
    api::Api,
    binaries::Binaries,
    certificates::{self, SERVICE},
    credentials,
    directory::Directory,
    ports,
    process::Process,
};
use anyhow::Result;
use std::{net::SocketAddrV4, time::Duration};

/// How long the control plane may take to start. It takes 3 to 13 s, but a machine with two cores may be
/// building meanwhile.
const LIMIT: Duration = Duration::from_secs(120);
/// The last minor version that has ports of its own for plain HTTP. They are open unless they are closed.
const LAST_WITH_PLAIN_PORTS: u32 = 23;
const API: &str = "kube-apiserver";

/// Starts the control plane and waits until it answers. Only the API server listens on an address that is not
/// loopback.
pub(crate) fn start(directory: &Directory, binaries: &Binaries, api: SocketAddrV4) -> Result<()> {
    let [etcd, peer] = ports::free()?;
    directory.write("address", &api.to_string())?;
    certificates::write(directory, *api.ip())?;
    credentials::write(directory, api)?;
    let minor = binaries.minor()?;
    let controllers = binaries.get("kube-controller-manager");
    start_program(directory, "etcd", binaries.require("etcd")?, etcd_arguments(directory, etcd, peer))?;
    let mut arguments = api_arguments(directory, api, etcd);
    if controllers.is_none() {
        // Without the controller manager, nobody makes the service accounts that pods are given.
        arguments.push("--disable-admission-plugins=ServiceAccount".to_owned());
    }
    let server = start_program(directory, API, binaries.require(API)?, arguments)?;
    wait_until_ready(directory, &server)?;
    if let Some(program) = binaries.get("kube-scheduler") {
        start_program(directory, "kube-scheduler", program, scheduler_arguments(directory, minor))?;
    }
    let Some(program) = controllers else {
        eprintln!(
            "there is no kube-controller-manager: nothing that was deleted takes anything else with it"
        );
        return Ok(());
    };
    let name = "kube-controller-manager";
    let controllers = start_program(directory, name, program, controller_arguments(directory, minor))?;
    wait_for_service_account(directory, &controllers, minor)
}

/// Ends the API server as a crash would.
pub(crate) fn stop_api(directory: &Directory) -> Result<()> {
    crate::process::find(directory, API)?.stop()
}

/// Starts the API server again as it was and waits until it is ready.
pub(crate) fn start_api(directory: &Directory) -> Result<()> {
    let server = crate::process::find(directory, API)?;
    let server = if server.is_alive() { server } else { server.start_again(directory)? };
    wait_until_ready(directory, &server)
}

fn start_program(
    directory: &Directory,
    name: &str,
    program: String,
    arguments: Vec<String>,
) -> Result<Process> {
    Process::start(directory, name, [vec![program], arguments].concat())
}

fn wait_until_ready(directory: &Directory, server: &Process) -> Result<()> {
    let api = Api::of(directory)?;
    server.wait(directory, "the API server to be ready", LIMIT, || api.get("/readyz").is_ok())
}

fn wait_for_service_account(directory: &Directory, controllers: &Process, minor: u32) -> Result<()> {
    let api = Api::of(directory)?;
    let account = "/api/v1/namespaces/default/serviceaccounts/default";
    // Until 1.23, pods are refused while the account has no token of its own.
    let complete = |account: String| minor > LAST_WITH_PLAIN_PORTS || account.contains("\"secrets\"");
    let exists = || api.get(account).is_ok_and(complete);
    controllers.wait(directory, "the default service account", LIMIT, exists)
}

fn etcd_arguments(directory: &Directory, client: u16, peer: u16) -> Vec<String> {
    vec![
        format!("--data-dir={}", directory.text("etcd")),
        format!("--listen-client-urls=http://127.0.0.1:{client}"),
        format!("--advertise-client-urls=http://127.0.0.1:{client}"),
        format!("--listen-peer-urls=http://127.0.0.1:{peer}"),
        // Syncing takes most of the time, and only a crash of the machine needs it.
        "--unsafe-no-fsync".to_owned(),
    ]
}

fn api_arguments(directory: &Directory, api: SocketAddrV4, etcd: u16) -> Vec<String> {
    let file = |name: &str| directory.text(name);
    vec![
        format!("--etcd-servers=http://127.0.0.1:{etcd}"),
        format!("--bind-address={}", api.ip()),
        format!("--secure-port={}", api.port()),
        format!("--tls-cert-file={}", file("api.crt")),
        format!("--tls-private-key-file={}", file("api.key")),
        format!("--client-ca-file={}", file("ca.crt")),
        format!("--token-auth-file={}", file("tokens.csv")),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--enable-admission-plugins=NodeRestriction".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-key-file={}", file("service-accounts.pub")),
        format!("--service-account-signing-key-file={}", file("service-accounts.key")),
        format!("--service-cluster-ip-range={SERVICE}/24"),
        format!("--kubelet-client-certificate={}", file("api-to-kubelet.crt")),
        format!("--kubelet-client-key={}", file("api-to-kubelet.key")),
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
        "--endpoint-reconciler-type=none".to_owned(),
        "--allow-privileged=true".to_owned(),
    ]
}

fn controller_arguments(directory: &Directory, minor: u32) -> Vec<String> {
    let specific = vec![
        "--use-service-account-credentials".to_owned(),
        format!("--root-ca-file={}", directory.text("ca.crt")),
        format!("--service-account-private-key-file={}", directory.text("service-accounts.key")),
    ];
    [client_arguments(directory, "controller-manager", minor), specific].concat()
}

fn scheduler_arguments(directory: &Directory, minor: u32) -> Vec<String> {
    client_arguments(directory, "scheduler", minor)
}

fn client_arguments(directory: &Directory, name: &str, minor: u32) -> Vec<String> {
    let mut arguments = vec![
        format!("--kubeconfig={}", directory.text(&format!("{name}.kubeconfig"))),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
    ];
    if minor <= LAST_WITH_PLAIN_PORTS {
        arguments.push("--port=0".to_owned());
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn directory() -> Directory {
        Directory::at("/cluster".as_ref()).expect("a path")
    }

    #[test]
    fn old_versions_are_told_to_close_their_plain_ports() {
        let closes = |minor| scheduler_arguments(&directory(), minor).contains(&"--port=0".to_owned());
        assert!(closes(20));
        assert!(!closes(24), "newer ones refuse the flag");
    }

    #[test]
    fn everything_listens_on_the_address_that_was_chosen() {
        let api = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 6443);
        let arguments = api_arguments(&directory(), api, 2379);
        for expected in
            ["--bind-address=127.0.0.1", "--secure-port=6443", "--etcd-servers=http://127.0.0.1:2379"]
        {
            assert!(arguments.iter().any(|argument| argument == expected), "{expected} is missing");
        }
        let etcd = etcd_arguments(&directory(), 2379, 2380);
        assert!(etcd.iter().filter(|flag| flag.contains("http")).all(|flag| flag.contains("//127.0.0.1:")));
    }
}
