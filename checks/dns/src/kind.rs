//! The types of record, by their names and numbers.

use std::fmt::{self, Display, Formatter};

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// A type of record by its number (IANA, DNS Parameters). Settings write its name or its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind(pub u16);

#[expect(missing_docs, reason = "the names say it")]
impl Kind {
    pub const A: Self = Self(1);
    pub const NS: Self = Self(2);
    pub const CNAME: Self = Self(5);
    pub const SOA: Self = Self(6);
    pub const PTR: Self = Self(12);
    pub const MX: Self = Self(15);
    pub const TXT: Self = Self(16);
    pub const AAAA: Self = Self(28);
    pub const SRV: Self = Self(33);
    pub const CERT: Self = Self(37);
    pub const DNAME: Self = Self(39);
    pub const DS: Self = Self(43);
    pub const SSHFP: Self = Self(44);
    pub const DNSKEY: Self = Self(48);
    pub const TLSA: Self = Self(52);
    pub const SMIMEA: Self = Self(53);
    pub const CDS: Self = Self(59);
    pub const CDNSKEY: Self = Self(60);
    pub const OPENPGPKEY: Self = Self(61);
    pub const SVCB: Self = Self(64);
    pub const HTTPS: Self = Self(65);
    pub const ANY: Self = Self(255);
    pub const CAA: Self = Self(257);
}

const NAMES: [(&str, Kind); 34] = [
    ("A", Kind::A),
    ("NS", Kind::NS),
    ("CNAME", Kind::CNAME),
    ("SOA", Kind::SOA),
    ("NULL", Kind(10)),
    ("PTR", Kind::PTR),
    ("HINFO", Kind(13)),
    ("MX", Kind::MX),
    ("TXT", Kind::TXT),
    ("SIG", Kind(24)),
    ("KEY", Kind(25)),
    ("AAAA", Kind::AAAA),
    ("SRV", Kind::SRV),
    ("NAPTR", Kind(35)),
    ("CERT", Kind::CERT),
    ("DNAME", Kind::DNAME),
    ("DS", Kind::DS),
    ("SSHFP", Kind::SSHFP),
    ("RRSIG", Kind(46)),
    ("NSEC", Kind(47)),
    ("DNSKEY", Kind::DNSKEY),
    ("NSEC3", Kind(50)),
    ("NSEC3PARAM", Kind(51)),
    ("TLSA", Kind::TLSA),
    ("SMIMEA", Kind::SMIMEA),
    ("CDS", Kind::CDS),
    ("CDNSKEY", Kind::CDNSKEY),
    ("OPENPGPKEY", Kind::OPENPGPKEY),
    ("CSYNC", Kind(62)),
    ("SVCB", Kind::SVCB),
    ("HTTPS", Kind::HTTPS),
    ("ANY", Kind::ANY),
    ("CAA", Kind::CAA),
    ("ANAME", Kind(65_305)),
];

impl Display for Kind {
    /// Writes the name; without one, `TYPE` and the number (RFC 3597).
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(_, kind)| kind == self) {
            Some((name, _)) => f.write_str(name),
            None => write!(f, "TYPE{}", self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_any(NameOrNumber)
    }
}

struct NameOrNumber;

impl Visitor<'_> for NameOrNumber {
    type Value = Kind;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("a type of record by its name or its number up to 65535")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Kind, E> {
        let kind = NAMES.iter().find(|(name, _)| *name == text).map(|(_, kind)| *kind);
        kind.ok_or_else(|| {
            E::custom(format_args!(
                "no type of record with the name {text:?} is known here: write its number, for example 65 for HTTPS"
            ))
        })
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Kind, E> {
        let kind = u16::try_from(number).map(Kind);
        kind.map_err(|_| E::custom(format_args!("{number} is no type of record: they end at 65535")))
    }
}

#[cfg(test)]
mod tests {
    use aviary_guest::json::{from_value, json};

    use super::*;

    #[test]
    fn a_type_is_read_by_its_name_or_its_number() {
        for (name, kind) in NAMES {
            assert_eq!(from_value::<Kind>(json!(name)).expect(name), kind);
            assert_eq!(from_value::<Kind>(json!(kind.0)).expect(name), kind);
            assert_eq!(kind.to_string(), name);
        }
        let unknown: Kind = from_value(json!(65_280)).expect("a number");
        assert_eq!(unknown.to_string(), "TYPE65280");
    }

    #[test]
    fn what_is_no_type_is_refused_with_advice() {
        let error = from_value::<Kind>(json!("LOC")).expect_err("no name");
        assert!(error.to_string().contains("\"LOC\" is known here: write its number"), "{error}");
        assert!(from_value::<Kind>(json!(65_536)).is_err());
        assert!(from_value::<Kind>(json!(-1)).is_err());
    }
}
