//! The certificates of one cluster, which nobody outside of it trusts.

use crate::directory::Directory;
use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use std::net::Ipv4Addr;

/// The first address of the range of services. Pods find the API server there, as `kubernetes.default`.
pub(crate) const SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);

/// Writes `ca.crt`, `api.{crt,key}`, `api-to-kubelet.{crt,key}` and `service-accounts.{key,pub}`.
pub(crate) fn write(directory: &Directory, address: Ipv4Addr) -> Result<()> {
    let authority = CertifiedIssuer::self_signed(authority(), KeyPair::generate()?)?;
    directory.write("ca.crt", &authority.pem())?;
    for (name, params) in [("api", server(address)?), ("api-to-kubelet", client())] {
        let key = KeyPair::generate()?;
        directory.write(&format!("{name}.crt"), &params.signed_by(&key, &authority)?.pem())?;
        directory.write(&format!("{name}.key"), &key.serialize_pem())?;
    }
    let service_accounts = KeyPair::generate()?;
    directory.write("service-accounts.key", &service_accounts.serialize_pem())?;
    directory.write("service-accounts.pub", &service_accounts.public_key_pem())
}

fn authority() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(DnType::CommonName, "aviary-test-cluster");
    params
}

fn server(address: Ipv4Addr) -> Result<CertificateParams> {
    let names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost"];
    let addresses = [address, Ipv4Addr::LOCALHOST, SERVICE].map(|address| address.to_string());
    let names: Vec<String> = names.map(str::to_owned).into_iter().chain(addresses).collect();
    let mut params = CertificateParams::new(names)?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.distinguished_name.push(DnType::CommonName, "kube-apiserver");
    Ok(params)
}

fn client() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.distinguished_name.push(DnType::OrganizationName, "system:masters");
    params.distinguished_name.push(DnType::CommonName, "kube-apiserver-kubelet-client");
    params
}
