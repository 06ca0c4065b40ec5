//! The classes of IP addresses, and which of them may be dialled. Pure: it is told an address and knows
//! nothing else.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The kind of place that an IP address is, from harmless to delicate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// An address of the Internet.
    Public,
    /// An address of a private network: 10/8, 172.16/12, 192.168/16, 100.64/10, fc00::/7.
    Private,
    /// An address of the daemon's own machine or pod: 127/8, ::1.
    Loopback,
    /// A link-local address: 169.254/16, fe80::/10.
    LinkLocal,
    /// The address of a cloud's metadata service, which hands out credentials.
    Metadata,
    /// A multicast or broadcast address, which means many machines at once.
    Multicast,
    /// An address of no machine at all, or of a range kept for documentation, tests and the future.
    Reserved,
}

/// How far a grant reaches, from near to far. Each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Public addresses only, of names that are complete: no search domain is tried.
    Internet,
    /// Public addresses only: the grant named the host with a wildcard.
    Public,
    /// Public addresses, and private ones of the cluster's Service of that name. Neither a search domain nor
    /// an alias leads elsewhere.
    Service,
    /// Public and private addresses: the grant lists the name, or says `private: true`.
    Private,
    /// Public, private and loopback addresses: the grant lists `localhost`.
    Loopback,
    /// Any address: the grant lists the very address.
    Literal,
}

impl Reach {
    /// Whether an address of this class may be dialled within this reach.
    pub fn allows(self, class: Class) -> bool {
        let needed = match class {
            Class::Public => Self::Internet,
            Class::Private => Self::Service,
            Class::Loopback => Self::Loopback,
            _ => Self::Literal,
        };
        self >= needed
    }
}

impl Class {
    /// The class of an address. An IPv6 address that carries an IPv4 address is judged as that address.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => class_v4(address),
            IpAddr::V6(address) => class_v6(address),
        }
    }

    /// The class in words, as in "at 10.0.0.1, a private address".
    pub fn describe(self) -> &'static str {
        match self {
            Self::Public => "a public address",
            Self::Private => "a private address",
            Self::Loopback => "a loopback address",
            Self::LinkLocal => "a link-local address",
            Self::Metadata => "a cloud metadata address",
            Self::Multicast => "a multicast address",
            Self::Reserved => "a reserved address",
        }
    }
}

const METADATA_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(169, 254, 169, 254), Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16)];
const METADATA_V6: [Ipv6Addr; 4] = [
    // The metadata services of Google, Scaleway, Akamai and Oracle.
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42),
    Ipv6Addr::new(0xfd00, 0xa9fe, 0xa9fe, 0, 0, 0, 0, 1),
    Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe),
];

fn class_v4(address: Ipv4Addr) -> Class {
    match address.octets() {
        _ if METADATA_V4.contains(&address) => Class::Metadata,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Class::Private,
        [127, ..] => Class::Loopback,
        [169, 254, ..] => Class::LinkLocal,
        [224..=239, ..] => Class::Multicast,
        [0 | 240..=255, ..]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => Class::Reserved,
        _ => Class::Public,
    }
}

fn class_v6(address: Ipv6Addr) -> Class {
    if let Some(carried) = carried_v4(address) {
        return carried;
    }
    match address.segments() {
        _ if METADATA_V6.contains(&address) => Class::Metadata,
        // All of Amazon's services on the machine: instance metadata, and the credentials of pods.
        [0xfd00, 0xec2, ..] => Class::Metadata,
        [0, 0, 0, 0, 0, 0, 0, 1] => Class::Loopback,
        [0xfc00..=0xfdff, ..] => Class::Private,
        [0xfe80..=0xfebf, ..] => Class::LinkLocal,
        [0xff00..=0xffff, ..] => Class::Multicast,
        // Ranges for documentation, ORCHID, benchmarks and the other special parts of 2001::/23.
        [0x2001, 0x0db8 | 0..=0x01ff, ..] | [0x3fff, 0..=0x0fff, ..] => Class::Reserved,
        [0x2000..=0x3fff, ..] => Class::Public,
        _ => Class::Reserved,
    }
}

/// The class of the IPv4 address that an IPv6 address carries, if it carries one: packets to the one end up
/// at the other.
fn carried_v4(address: Ipv6Addr) -> Option<Class> {
    let join = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        // `::` and `::1` are addresses of their own.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        // IPv4-compatible, IPv4-mapped, and NAT64 with the well-known prefix or a local one.
        [0, 0, 0, 0, 0, 0, high, low]
        | [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x64, 0xff9b, 1, 0, 0, 0, high, low] => Some(class_v4(join(high, low))),
        // 6to4 carries the IPv4 address after its first 16 bits.
        [0x2002, high, low, ..] => Some(class_v4(join(high, low))),
        // Teredo carries the address of its server, and that of its client with all bits flipped.
        [0x2001, 0, server_high, server_low, _, _, high, low] => {
            Some(class_v4(join(server_high, server_low)).max(class_v4(join(!high, !low))))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(address: &str) -> Class {
        Class::of(address.parse().expect("an address"))
    }

    #[test]
    fn each_address_has_its_class() {
        for (address, expected) in [
            ("8.8.8.8", Class::Public),
            ("2606:4700::1111", Class::Public),
            ("10.1.2.3", Class::Private),
            ("172.16.0.1", Class::Private),
            ("172.32.0.1", Class::Public),
            ("192.168.1.1", Class::Private),
            ("100.64.0.1", Class::Private),
            ("fc00::1", Class::Private),
            ("fd12::1", Class::Private),
            ("127.0.0.1", Class::Loopback),
            ("127.255.0.9", Class::Loopback),
            ("::1", Class::Loopback),
            ("169.254.1.1", Class::LinkLocal),
            ("fe80::1", Class::LinkLocal),
            ("169.254.169.254", Class::Metadata),
            ("100.100.100.200", Class::Metadata),
            ("168.63.129.16", Class::Metadata),
            ("fd00:ec2::254", Class::Metadata),
            ("fd00:ec2::23", Class::Metadata),
            ("fd20:ce::254", Class::Metadata),
            ("fd00:42::42", Class::Metadata),
            ("fd00:a9fe:a9fe::1", Class::Metadata),
            ("fd00:c1::a9fe:a9fe", Class::Metadata),
            ("fd00:ec3::254", Class::Private),
            ("224.0.0.1", Class::Multicast),
            ("ff02::1", Class::Multicast),
            ("0.0.0.0", Class::Reserved),
            ("0.1.2.3", Class::Reserved),
            ("255.255.255.255", Class::Reserved),
            ("192.0.2.1", Class::Reserved),
            ("::", Class::Reserved),
            ("2001:db8::1", Class::Reserved),
            ("100::1", Class::Reserved),
        ] {
            assert_eq!(class(address), expected, "{address}");
        }
    }

    #[test]
    fn an_ipv4_address_cannot_hide_in_an_ipv6_address() {
        for (address, expected) in [
            ("::ffff:169.254.169.254", Class::Metadata),
            ("::ffff:127.0.0.1", Class::Loopback),
            ("::ffff:8.8.8.8", Class::Public),
            ("::10.0.0.1", Class::Private),
            ("64:ff9b::169.254.169.254", Class::Metadata),
            ("64:ff9b::8.8.8.8", Class::Public),
            ("64:ff9b:1::10.0.0.1", Class::Private),
            ("64:ff9b:1:a9fe:a9:fe00::", Class::Reserved),
            ("::ffff:0:169.254.169.254", Class::Reserved),
            ("2002:a9fe:a9fe::", Class::Metadata),
            ("fe80::5efe:8.8.8.8", Class::LinkLocal),
            ("fec0::1", Class::Reserved),
            ("2002:7f00:1::1", Class::Loopback),
            ("2002:808:808::1", Class::Public),
            // Teredo addresses: with the good server 8.8.8.8 and the client 127.0.0.1, and the other way
            // round.
            ("2001:0:808:808::80ff:fffe", Class::Loopback),
            ("2001:0:a9fe:a9fe::f7f7:f7f7", Class::Metadata),
        ] {
            assert_eq!(class(address), expected, "{address}");
        }
    }

    #[test]
    fn a_reach_includes_the_nearer_ones_and_only_a_literal_address_goes_everywhere() {
        assert!(Reach::Public.allows(Class::Public) && !Reach::Public.allows(Class::Private));
        assert!(Reach::Private.allows(Class::Private) && !Reach::Private.allows(Class::Loopback));
        assert!(Reach::Loopback.allows(Class::Loopback) && !Reach::Loopback.allows(Class::LinkLocal));
        for class in [Class::LinkLocal, Class::Metadata, Class::Multicast, Class::Reserved] {
            assert!(Reach::Literal.allows(class) && !Reach::Loopback.allows(class));
        }
    }
}
