//! Tests of looking up the names of a cluster.

use super::*;
use crate::capability::testing::name_server;
use hickory_resolver::proto::rr::{
    Name, RData,
    rdata::{A, CNAME},
};
use std::time::Duration;

/// The network of a cluster whose names are in the domain `test`.
async fn cluster() -> Network {
    let a = |address: [u8; 4]| RData::A(A(address.into()));
    let alias = |name: &str| RData::CNAME(CNAME(Name::from_ascii(name).expect("a name")));
    let records = vec![
        ("db.team-a.svc.test.", a([10, 0, 0, 5])),
        ("db.other.svc.test.", a([10, 0, 0, 6])),
        ("alias.team-a.svc.test.", alias("db.other.svc.test.")),
        ("chain.team-a.svc.test.", alias("alias.team-a.svc.test.")),
        ("public.team-a.svc.test.", alias("www.test.")),
        ("www.test.", a([8, 8, 8, 8])),
    ]
    .into_iter()
    // The name has hundreds of addresses, and machines are at few of them.
    .chain((0..200).map(|number| ("many.test.", a([127, 0, 0, number]))))
    .chain((0..200).map(|number| ("many.test.", a([9, 0, 0, number]))))
    .collect();
    let name_server = Some(name_server(records).await);
    let cluster_domain = Some("test".to_owned());
    Network::new(&NetworkOptions { name_server, cluster_domain, ..NetworkOptions::default() })
        .expect("a network")
}

async fn resolve(name: &str, reach: Reach) -> Result<String, DialError> {
    let addresses = cluster().await.resolve("team-a", &Host::Domain(name), IpFamily::Any, reach).await?;
    Ok(addresses.iter().map(ToString::to_string).collect())
}

#[tokio::test]
async fn a_services_name_is_looked_up_in_the_domain_of_the_cluster() {
    for name in ["db.team-a.svc", "db.team-a.svc.", "db.team-a.svc.test", "DB.team-a.svc.TEST."] {
        let found = resolve(name, Reach::Service).await;
        assert!(found.as_deref().is_ok_and(|found| found == "10.0.0.5"), "{name}: {found:?}");
    }
    for reach in [Reach::Internet, Reach::Private] {
        let found = resolve("db.team-a.svc", reach).await;
        assert!(matches!(found, Err(DialError::Resolve(_))), "{found:?}");
    }
}

#[tokio::test]
async fn a_service_that_is_an_alias_leads_to_public_addresses_only() {
    for name in ["alias.team-a.svc", "chain.team-a.svc"] {
        let found = resolve(name, Reach::Service).await;
        assert!(matches!(found, Err(DialError::Forbidden(_))), "{name}: {found:?}");
    }
    let found = resolve("public.team-a.svc", Reach::Service).await;
    assert!(found.as_deref().is_ok_and(|found| found == "8.8.8.8"), "{found:?}");
    let found = resolve("alias.team-a.svc.test", Reach::Private).await;
    assert!(found.as_deref().is_ok_and(|found| found == "10.0.0.6"), "{found:?}");
}

#[tokio::test]
async fn of_many_addresses_a_few_are_dialled_and_only_those_that_are_allowed() {
    let (network, many) = (cluster().await, Host::Domain("many.test"));
    for reach in [Reach::Internet, Reach::Public, Reach::Private] {
        let found = network.resolve("team-a", &many, IpFamily::Any, reach).await.expect("addresses");
        assert_eq!(found.len(), MOST_ADDRESSES);
        assert!(found.iter().all(|address| Class::of(*address) == Class::Public), "{found:?}");
    }
}

#[tokio::test]
async fn a_namespace_has_so_many_lookups_and_leaves_the_others_theirs() {
    let network = Network { lookups: FairSemaphore::new(2, 1), ..cluster().await };
    let _held = network.lookups.take("loud").await;
    let (name, address) = (Host::Domain("www.test"), Host::Ipv4(Ipv4Addr::new(8, 8, 8, 8)));
    let look = |namespace, host| network.resolve(namespace, host, IpFamily::Any, Reach::Internet);
    assert!(timeout(Duration::from_millis(100), look("loud", &name)).await.is_err(), "waits");
    assert!(look("loud", &address).await.is_ok(), "an address needs no lookup");
    assert!(look("quiet", &name).await.is_ok());
}

#[tokio::test]
async fn names_are_complete_where_search_domains_would_lead_inside() {
    let network = cluster().await;
    assert_eq!(network.in_full("db.other", Reach::Internet), "db.other.");
    assert_eq!(network.in_full("db.other.", Reach::Internet), "db.other.");
    assert_eq!(network.in_full("db.team-a.svc", Reach::Service), "db.team-a.svc.test.");
    assert_eq!(network.in_full("db.other", Reach::Public), "db.other");
}
