//! Which names of a cluster belong to one namespace of it.

use super::host::{is_below, trim};

/// The names of one namespace. Every Service has a name below `namespace.svc` and below
/// `namespace.svc.cluster.local`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Territory {
    short: String,
    full: String,
    domain: String,
}

/// The owner of a name of the DNS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameOwner {
    /// A Service of the namespace, or a pod behind it.
    Own,
    /// Something else in the cluster.
    Cluster,
    /// Nobody in the cluster, if the name is taken as complete.
    Outside,
}

impl Territory {
    /// The names of `namespace` in a cluster whose names end in `domain`, which has no final dot.
    pub(super) fn new(namespace: &str, domain: &str) -> Self {
        let short = format!("{namespace}.svc");
        Self { full: format!("{short}.{domain}"), short, domain: domain.to_owned() }
    }

    /// The owner of a complete name; its case and a final dot mean nothing.
    pub(super) fn place(&self, name: &str) -> NameOwner {
        let name = trim(name);
        let within = |zone: &str| name.eq_ignore_ascii_case(zone) || is_below(name, zone);
        if is_below(name, &self.short) || is_below(name, &self.full) {
            NameOwner::Own
        } else if within("svc") || within(&self.domain) {
            NameOwner::Cluster
        } else {
            NameOwner::Outside
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str) -> NameOwner {
        Territory::new("team-a", "cluster.local").place(name)
    }

    #[test]
    fn services_of_the_namespace_are_its_own_in_every_spelling() {
        for name in [
            "db.team-a.svc",
            "db.team-a.svc.",
            "DB.Team-A.SVC",
            "db.team-a.svc.cluster.local",
            "db.team-a.svc.Cluster.Local.",
            "web-0.web.team-a.svc.cluster.local",
            "_http._tcp.web.team-a.svc.cluster.local",
            // First a name below a Service called `svc`, then a Service called like another namespace.
            "x.other.svc.team-a.svc",
            "other.team-a.svc",
        ] {
            assert_eq!(place(name), NameOwner::Own, "{name}");
        }
    }

    #[test]
    fn no_spelling_makes_a_name_of_the_cluster_its_own() {
        for name in [
            "db.other.svc",
            "db.other.svc.",
            "DB.OTHER.SVC.CLUSTER.LOCAL",
            "db.other.svc.cluster.local.",
            "team-a.svc",
            "team-a.svc.cluster.local",
            "team-a.other.svc",
            "team-a.other.svc.cluster.local",
            "db.xteam-a.svc",
            "db.team-a.svc.other.svc",
            "db.team-a.svc.other.svc.cluster.local",
            "db.team-a.svc.cluster.local.other.svc",
            "db.team-a.svc.cluster.local.cluster.local",
            "10-0-0-5.team-a.pod.cluster.local",
            "10-0-0-5.other.pod.cluster.local",
            "svc",
            "svc.cluster.local",
            "cluster.local",
            "CLUSTER.local.",
        ] {
            assert_eq!(place(name), NameOwner::Cluster, "{name}");
        }
    }

    #[test]
    fn names_that_only_look_like_the_clusters_are_outside() {
        for name in [
            "example.com",
            "db.other",
            "kubernetes",
            "db.team-a",
            "db.team-a.svc.cluster.local.example.com",
            "notcluster.local",
            "xsvc",
            "db.team-a.svc..",
            "",
            ".",
        ] {
            assert_eq!(place(name), NameOwner::Outside, "{name}");
        }
    }
}
