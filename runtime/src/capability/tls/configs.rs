//! TLS configurations of the client, built once and shared.

use super::{Alpn, client_certificate, roots::Roots};
use crate::capability::bindings::aviary::check::tls::{TlsClient, TlsOptions, TlsVersion};
use rustls::{
    ClientConfig, RootCertStore,
    client::Resumption,
    crypto::{CryptoProvider, ring},
    version::{TLS12, TLS13},
};
use sha2::{Digest, Sha256};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

/// The most bytes of the certificates that a guest may give to trust.
const LONGEST_CA: usize = 64 * 1024;
/// The most configurations of guests' own that are kept.
const KEPT: usize = 32;

/// What a TLS connection was made with; equal for equal options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trust {
    verify: bool,
    /// The SHA-256 digest of all options beside `verify`; none if they are the defaults.
    options: Option<[u8; 32]>,
}

/// A TLS configuration, and whom it trusts.
#[derive(Debug)]
pub struct TlsConfig {
    pub(super) config: ClientConfig,
    /// The root certificates; none accepts any certificate.
    pub(super) roots: Option<Arc<Roots>>,
    /// The lowest version that is offered.
    pub(super) minimum: TlsVersion,
}

/// The TLS configurations of the client. Building one costs more than a handshake.
pub struct TlsConfigs {
    provider: Arc<CryptoProvider>,
    roots: Arc<Roots>,
    verifying: [Arc<TlsConfig>; 2],
    trusting: [Arc<TlsConfig>; 2],
    own: Mutex<VecDeque<(Trust, Alpn, Arc<TlsConfig>)>>,
}

impl From<TlsOptions> for TlsClient {
    fn from(trust: TlsOptions) -> Self {
        Self { trust, server_name: None, minimum_version: None, client_certificate: None }
    }
}

impl Trust {
    /// What a connection with these options is made with; without options, with the daemon's root certificates.
    pub fn of(client: Option<&TlsClient>) -> Self {
        let Some(client) = client else { return Self { verify: true, options: None } };
        let TlsClient { trust, server_name, minimum_version, client_certificate } = client;
        let ca = trust.ca.as_deref().filter(|_| trust.verify);
        if (ca, server_name, minimum_version) == (None, &None, &None) && client_certificate.is_none() {
            return Self { verify: trust.verify, options: None };
        }
        let mut digest = Sha256::new();
        let version = minimum_version.map(TlsVersion::name);
        let identity = client_certificate.as_ref();
        for part in [
            ca,
            server_name.as_deref(),
            version,
            identity.map(|identity| identity.chain.as_str()),
            identity.map(|identity| identity.key.as_str()),
        ] {
            digest.update(part.map_or(0, |part| part.len() as u64 + 1).to_be_bytes());
            digest.update(part.unwrap_or_default());
        }
        Self { verify: trust.verify, options: Some(digest.finalize().into()) }
    }
}

impl TlsVersion {
    fn name(self) -> &'static str {
        match self {
            Self::Tls12 => "1.2",
            Self::Tls13 => "1.3",
        }
    }
}

impl TlsConfigs {
    /// Trusts the root certificates of the system and those of `ca`, as PEM. An error if `ca` is no PEM text.
    pub fn new(ca: Option<&str>) -> Result<Self, String> {
        let provider = Arc::new(ring::default_provider());
        let mut roots = Roots::of_system();
        if let Some(pem) = ca {
            roots.add(pem)?;
        }
        let roots = Arc::new(roots);
        let both = |roots: Option<&Arc<Roots>>| -> Result<_, String> {
            let build = |alpn| build(&provider, roots, None, alpn);
            Ok([build(Alpn::Http)?, build(Alpn::None)?])
        };
        let (verifying, trusting) = (both(Some(&roots))?, both(None)?);
        Ok(Self { verifying, trusting, provider, roots, own: Mutex::default() })
    }

    /// The configuration for these options. An error if their certificates or key cannot be used.
    pub fn get(&self, client: Option<&TlsClient>, alpn: Alpn) -> Result<Arc<TlsConfig>, String> {
        let trust = Trust::of(client);
        let shared = if trust.verify { &self.verifying } else { &self.trusting };
        match client {
            Some(client) if trust.options.is_some() => self.get_own(trust, client, alpn),
            _ => Ok(Arc::clone(&shared[alpn as usize])),
        }
    }

    fn get_own(&self, trust: Trust, client: &TlsClient, alpn: Alpn) -> Result<Arc<TlsConfig>, String> {
        let own = || self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, _, config)) = own().iter().find(|kept| (kept.0, kept.1) == (trust, alpn)) {
            return Ok(Arc::clone(config));
        }
        let roots = match client.trust.ca.as_deref() {
            Some(pem) if pem.len() > LONGEST_CA => {
                return Err(format!("the CA certificates are longer than {LONGEST_CA} bytes"));
            }
            Some(pem) if trust.verify => {
                let mut roots = Roots::clone(&self.roots);
                roots.add(pem)?;
                Some(Arc::new(roots))
            }
            _ => trust.verify.then(|| Arc::clone(&self.roots)),
        };
        let config = build(&self.provider, roots.as_ref(), Some(client), alpn)?;
        let mut own = own();
        own.truncate(KEPT - 1);
        own.push_front((trust, alpn, Arc::clone(&config)));
        Ok(config)
    }
}

fn build(
    provider: &Arc<CryptoProvider>,
    roots: Option<&Arc<Roots>>,
    client: Option<&TlsClient>,
    alpn: Alpn,
) -> Result<Arc<TlsConfig>, String> {
    let minimum = client.and_then(|client| client.minimum_version).unwrap_or(TlsVersion::Tls12);
    let versions: &[_] = match minimum {
        TlsVersion::Tls13 => &[&TLS13],
        TlsVersion::Tls12 => &[&TLS13, &TLS12],
    };
    let builder = ClientConfig::builder_with_provider(Arc::clone(provider)).with_protocol_versions(versions);
    let builder = builder.map_err(|error| error.to_string())?;
    // Each handshake sets a verifier of its own.
    let builder = builder.with_root_certificates(RootCertStore::empty());
    let mut config = match client.and_then(|client| client.client_certificate.as_ref()) {
        Some(own) => {
            let (chain, key) = client_certificate::read(own)?;
            let config = builder.with_client_auth_cert(chain, key);
            config.map_err(|error| client_certificate::explain(&error))?
        }
        None => builder.with_no_client_auth(),
    };
    // No resumption, as a check measures a whole handshake.
    config.resumption = Resumption::disabled();
    if alpn == Alpn::Http {
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    }
    Ok(Arc::new(TlsConfig { config, roots: roots.cloned(), minimum }))
}
