//! The capabilities: what can be granted to a guest.

/// Something that the host can do for a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// DNS lookups.
    Dns,
    /// HTTP requests.
    Http,
    /// The Kubernetes API.
    Kubernetes,
    /// Log lines.
    Log,
    /// Metrics of the check itself.
    Metrics,
    /// Secrets by name.
    Secrets,
    /// TCP connections.
    Tcp,
}

impl Capability {
    /// Every capability, in the order of the discriminants.
    pub const ALL: [Self; 7] =
        [Self::Dns, Self::Http, Self::Kubernetes, Self::Log, Self::Metrics, Self::Secrets, Self::Tcp];

    /// The name of the capability, which is also that of its interface in `wit/`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Http => "http",
            Self::Kubernetes => "kubernetes",
            Self::Log => "log",
            Self::Metrics => "metrics",
            Self::Secrets => "secrets",
            Self::Tcp => "tcp",
        }
    }
}
