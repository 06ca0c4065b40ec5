//! Tests of what a tenant tries, and how far that gets.

use super::*;
use crate::grant::Authorization;

/// A manifest that asks for everything there is.
const EVERYTHING: &str = "
http: [{ hosts: ['https://*:*', 'http://*:*'], private: true, methods: [GET, POST] },
       { hosts: ['http://db.other.svc', 'http://db.other', 'http://kubernetes', 'http://localhost', 'http://10.0.0.5',
                 'http://169.254.169.254', 'http://127.0.0.1', 'http://db.team-a.svc', 'http://intra.example.com'] }]
tcp: [{ targets: ['*:*'], private: true },
      { targets: ['db.other.svc:5432', '10.0.0.5:5432', '127.0.0.1:5432', '169.254.169.254:5432', 'localhost:5432',
                  'db.team-a.svc:5432'] }]
dns: { names: ['*', 10.0.0.5], servers: [cluster, 8.8.8.8, 10.0.0.10, 127.0.0.1] }
kubernetes: [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'], namespaces: ['*'] }]
";

const ADDRESSES: [&str; 8] =
    ["10.0.0.5", "192.168.0.1", "127.0.0.1", "169.254.1.1", "169.254.169.254", "224.0.0.1", "fd00::5", "::1"];

fn most(grants: &str) -> Arc<Bounds> {
    let grants = serde_saphyr::from_str(grants).expect("grants");
    Arc::new(Bounds { grants, ..Bounds::default() })
}

/// The authorization of a manifest of `team-a` with these `grants`, under this rule of the policy.
fn under(rule: &str, grants: &str) -> Authorization {
    let ceiling = Ceiling::tenant("team-a", "cluster.local", most(rule));
    let grants = serde_saphyr::from_str(grants).expect("valid grants");
    Authorization::new("team-a", grants, None, &ceiling).expect("no account was asked for")
}

fn greedy() -> Authorization {
    under("{}", EVERYTHING)
}

fn http(authorization: &Authorization, url: &str) -> Result<Reach, String> {
    let url = Url::parse(url).expect("a url");
    authorization.http(Method::Get, &url).map_err(|denied| denied.to_string())
}

fn tcp(authorization: &Authorization, host: &str) -> Result<Reach, String> {
    let host = Host::parse(host).expect("a host");
    let host = match &host {
        Host::Domain(name) => Host::Domain(name.as_str()),
        Host::Ipv4(address) => Host::Ipv4(*address),
        Host::Ipv6(address) => Host::Ipv6(*address),
    };
    authorization.tcp(&host, 5432).map_err(|denied| denied.to_string())
}

fn dns(authorization: &Authorization, name: &str, server: Option<&str>) -> Result<(), String> {
    let server = server.map(|server| server.parse().expect("an address and port"));
    authorization.dns(name, server).map_err(|denied| denied.to_string())
}

const POD: Access<'_> =
    Access { verb: "get", group: "", resource: "pods", namespace: Some("team-a"), name: Some("web") };

#[test]
fn a_tenant_reaches_its_own_services_in_every_spelling() {
    for host in [
        "db.team-a.svc",
        "DB.team-a.SVC.",
        "db.team-a.svc.cluster.local",
        "pod-0.db.team-a.svc.Cluster.Local.",
    ] {
        assert_eq!(http(&greedy(), &format!("http://{host}/")), Ok(Reach::Service), "{host}");
        assert_eq!(tcp(&greedy(), host), Ok(Reach::Service), "{host}");
    }
}

#[test]
fn names_of_the_cluster_that_are_not_the_tenants_are_refused_before_anybody_is_asked() {
    for host in [
        "db.other.svc",
        "DB.other.SVC.",
        "db.other.svc.cluster.local",
        "db.other.svc.Cluster.LOCAL.",
        "db.team-a.svc.other.svc",
        "team-a.other.svc",
        "10-0-0-5.other.pod.cluster.local",
        "cluster.local",
    ] {
        for refusal in [http(&greedy(), &format!("http://{host}/")), tcp(&greedy(), host)] {
            let refusal = refusal.expect_err(host);
            assert!(refusal.starts_with("the policy for namespace team-a does not allow "), "{refusal}");
        }
    }
}

#[test]
fn every_other_name_and_address_reaches_the_internet_only() {
    for host in [
        "example.com",
        "intra.example.com",
        "db.other",
        "svc.other-ns",
        "kubernetes",
        "localhost",
        "10.0.0.5",
        "2130706433",
        "0x7f.1",
        "[::ffff:10.0.0.5]",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "8.8.8.8",
        "db.team-a.svc..",
    ] {
        assert_eq!(http(&greedy(), &format!("http://{host}/")), Ok(Reach::Internet), "{host}");
        assert_eq!(tcp(&greedy(), host), Ok(Reach::Internet), "{host}");
    }
    for address in ADDRESSES {
        let class = Class::of(address.parse().expect("an address"));
        assert!(!Reach::Internet.allows(class), "{address}");
        assert_eq!(Reach::Service.allows(class), class == Class::Private, "{address}");
    }
}

#[test]
fn a_refused_address_is_blamed_on_the_key_that_is_missing() {
    let refusal = |authorization: &Authorization, host: &str, address: &str| {
        authorization.tcp_address(&Host::Domain(host), 5432, address.parse().expect("an address")).to_string()
    };
    for address in ADDRESSES {
        let refusal = refusal(&greedy(), "db.other", address);
        assert!(
            refusal.starts_with("the policy for namespace team-a does not allow db.other:5432 at "),
            "{refusal}"
        );
        assert!(refusal.contains("the operator's --policy would have to"), "{refusal}");
    }
    let wildcard = under("{}", "tcp: [{ targets: ['*:*'] }]");
    let own = refusal(&wildcard, "db.team-a.svc", "10.0.0.5");
    assert!(own.ends_with("grant it with `tcp: [{ targets: [\"db.team-a.svc:5432\"] }]`"), "{own}");
    let alias = refusal(&greedy(), "db.team-a.svc", "10.0.0.5");
    assert!(alias.contains("as an alias"), "{alias}");
}

#[test]
fn a_ceiling_grants_nothing_by_itself() {
    let rule = "{ http: [{ hosts: ['http://db.other.svc'] }], kubernetes: [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }] }";
    for authorization in [under("{}", "{}"), under(rule, "{}")] {
        let refusal = http(&authorization, "http://example.com/").expect_err("no grant");
        assert!(refusal.contains("does not allow") || refusal.starts_with("not granted"), "{refusal}");
        assert!(http(&authorization, "http://db.team-a.svc/").is_err());
        assert!(http(&authorization, "http://db.other.svc/").is_err());
        assert!(tcp(&authorization, "example.com").expect_err("no grant").starts_with("not granted: "));
        assert!(dns(&authorization, "example.com", None).expect_err("no grant").starts_with("not granted: "));
        assert!(
            authorization.kubernetes(&POD).expect_err("no grant").to_string().starts_with("not granted: ")
        );
    }
}

#[test]
fn a_tenant_looks_up_its_own_names_and_those_outside_of_the_cluster() {
    for name in
        ["db.team-a.svc.cluster.local.", "_pg._tcp.db.TEAM-A.svc.cluster.local", "example.com.", "db.other."]
    {
        assert_eq!(dns(&greedy(), name, None), Ok(()), "{name}");
    }
    for name in [
        "db.other.svc.cluster.local.",
        "DB.OTHER.svc.CLUSTER.local",
        "other.svc.cluster.local",
        "cluster.local.",
        "db.team-a.svc.other.svc.cluster.local",
        "10-0-0-5.other.pod.cluster.local",
        "5.0.0.10.in-addr.arpa.",
        "5.0.0.10.IN-ADDR.ARPA",
        "in-addr.arpa",
        "5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa",
    ] {
        let refusal = dns(&greedy(), name, None).expect_err(name);
        assert!(
            refusal.starts_with("the policy for namespace team-a does not allow a lookup of "),
            "{refusal}"
        );
    }
}

#[test]
fn a_tenant_asks_the_clusters_name_server_or_a_public_one() {
    assert_eq!(dns(&greedy(), "example.com", Some("8.8.8.8:53")), Ok(()));
    for server in ["10.0.0.10:53", "127.0.0.1:53", "[::ffff:10.0.0.10]:53", "[::ffff:127.0.0.1]:53"] {
        assert!(dns(&greedy(), "example.com", Some(server)).is_err(), "{server}");
    }
}

#[test]
fn a_tenant_stays_in_its_own_namespace_of_the_kubernetes_api() {
    assert_eq!(greedy().kubernetes(&POD), Ok(()));
    for namespace in
        [Some("other"), Some("Team-A"), Some("team-a/"), Some("team-a/../other"), Some("*"), Some(""), None]
    {
        for verb in ["get", "list", "create", "patch", "delete"] {
            let access = Access { verb, namespace, ..POD };
            let refusal = greedy().kubernetes(&access).expect_err("not its own").to_string();
            assert!(refusal.starts_with("the policy for namespace team-a does not allow "), "{refusal}");
        }
    }
}

#[test]
fn a_tenants_calls_are_always_those_of_an_account_of_its_namespace() {
    let account = |name: &str| Account { namespace: "team-a".to_owned(), name: name.to_owned() };
    assert_eq!(greedy().account(), Some(&account("aviary-check")));
    let plain = Ceiling::tenant("team-a", "cluster.local", Arc::default());
    assert_eq!(plain.account("team-a", Some("aviary-check")), Ok(Some(account("aviary-check"))));
    for other in ["default", "aviary", "Aviary-check", "aviary-check2"] {
        let refusal = plain.account("team-a", Some(other)).expect_err("another").to_string();
        assert!(refusal.contains(&format!("does not allow the service account {other}; ")), "{refusal}");
        assert!(refusal.ends_with(&format!("`serviceAccounts: [{other}]`")), "{refusal}");
    }
    let accounts = Some(vec!["dns".to_owned(), "web".to_owned()]);
    let listed =
        Ceiling::tenant("team-a", "cluster.local", Arc::new(Bounds { accounts, ..Bounds::default() }));
    assert_eq!(listed.account("team-a", None), Ok(Some(account("dns"))));
    assert_eq!(listed.account("team-a", Some("web")), Ok(Some(account("web"))));
    assert!(listed.account("team-a", Some("aviary-check")).is_err());
}

#[test]
fn who_is_trusted_has_the_daemons_identity_unless_the_manifest_names_another() {
    for ceiling in [Ceiling::open(), Ceiling::trusted("platform")] {
        assert_eq!(ceiling.account("platform", None), Ok(None));
        let account = ceiling.account("platform", Some("dns")).expect("any").expect("an account");
        assert_eq!(account.to_string(), "system:serviceaccount:platform:dns");
        for kind in [SecretKind::File, SecretKind::Env, SecretKind::SecretKeyRef] {
            assert_eq!(ceiling.secret(kind), Ok(()));
        }
        let grants = serde_saphyr::from_str(EVERYTHING).expect("valid grants");
        let authorization = Authorization::new("platform", grants, None, &ceiling).expect("valid");
        assert_eq!(http(&authorization, "http://169.254.169.254/"), Ok(Reach::Literal));
        assert_eq!(http(&authorization, "http://db.other.svc/"), Ok(Reach::Private));
        assert_eq!(authorization.kubernetes(&Access { namespace: None, ..POD }), Ok(()));
    }
}

#[test]
fn a_tenants_secrets_come_from_its_own_namespace() {
    let tenant = Ceiling::tenant("team-a", "cluster.local", Arc::default());
    assert_eq!(tenant.secret(SecretKind::SecretKeyRef), Ok(()));
    for (kind, name) in [(SecretKind::File, "file"), (SecretKind::Env, "env")] {
        let refusal = tenant.secret(kind).expect_err("the daemon's").to_string();
        assert!(refusal.contains(&format!("does not allow secrets from `{name}`")), "{refusal}");
    }
    let secrets = Some(vec![SecretKind::File]);
    let other = Ceiling::tenant("team-a", "cluster.local", Arc::new(Bounds { secrets, ..Bounds::default() }));
    assert!(other.secret(SecretKind::File).is_ok() && other.secret(SecretKind::SecretKeyRef).is_err());
}

#[test]
fn a_rule_replaces_what_it_mentions_and_leaves_the_rest() {
    let authorization = under("tcp: [{ targets: ['10.0.0.5:5432'] }]", EVERYTHING);
    assert_eq!(tcp(&authorization, "10.0.0.5"), Ok(Reach::Literal));
    assert!(tcp(&authorization, "example.com").is_err() && tcp(&authorization, "db.team-a.svc").is_err());
    assert_eq!(http(&authorization, "http://db.team-a.svc/"), Ok(Reach::Service));
    let authorization = under("{ http: [], dns: { names: [] }, kubernetes: [] }", EVERYTHING);
    assert!(http(&authorization, "http://example.com/").is_err());
    assert!(dns(&authorization, "example.com", None).is_err());
    assert!(authorization.kubernetes(&POD).is_err());
    assert_eq!(tcp(&authorization, "example.com"), Ok(Reach::Internet));
}

#[test]
fn the_nearer_of_the_two_reaches_counts() {
    let rule = "http: [{ hosts: ['http://intra.example.com', 'http://*.test'] }]";
    let authorization = under(rule, "http: [{ hosts: ['http://*'] }, { hosts: ['http://a.test'] }]");
    assert_eq!(http(&authorization, "http://intra.example.com/"), Ok(Reach::Public));
    assert_eq!(http(&authorization, "http://a.test/"), Ok(Reach::Public));
    let authorization = under(rule, "http: [{ hosts: ['http://*'], private: true }]");
    assert_eq!(http(&authorization, "http://intra.example.com/"), Ok(Reach::Private));
}

#[test]
fn no_rule_lets_a_tenants_own_service_be_an_alias() {
    let rule = "http: [{ hosts: ['http://*'], private: true }]";
    assert_eq!(http(&under(rule, EVERYTHING), "http://db.team-a.svc/"), Ok(Reach::Service));
    assert_eq!(http(&under(rule, EVERYTHING), "http://db.other.svc/"), Ok(Reach::Private));
}

#[test]
fn what_the_refusal_asks_of_the_policy_would_allow_it() {
    let line = |refusal: String| {
        let (_, line) = refusal.split_once("would have to, with `").expect("advice");
        line.trim_end_matches('`').to_owned()
    };
    let rule = line(http(&greedy(), "http://db.other.svc/").expect_err("another's"));
    assert_eq!(http(&under(&rule, EVERYTHING), "http://db.other.svc/"), Ok(Reach::Private));
    let rule = line(tcp(&greedy(), "db.other.svc").expect_err("another's"));
    assert_eq!(tcp(&under(&rule, EVERYTHING), "db.other.svc"), Ok(Reach::Private));
    let rule = line(dns(&greedy(), "db.other.svc.cluster.local", None).expect_err("another's"));
    assert_eq!(dns(&under(&rule, EVERYTHING), "db.other.svc.cluster.local", None), Ok(()));
    for namespace in [Some("other"), None] {
        let access = Access { namespace, ..POD };
        let rule = line(greedy().kubernetes(&access).expect_err("another's").to_string());
        assert_eq!(under(&rule, EVERYTHING).kubernetes(&access), Ok(()));
    }
}
