//! Compares a record that the settings name with one of an answer, each by what its type means. Pure.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::kind::Kind;

/// One form for all spellings of a record: two records are the same where this text is the same. The error says why
/// the text is no record of this type.
pub fn canonical(kind: Kind, text: &str) -> Result<String, String> {
    let (form, right) = match kind {
        Kind::A => {
            (text.parse::<Ipv4Addr>().ok().map(|it| it.to_string()), "`192.0.2.1`, without leading zeros")
        }
        Kind::AAAA => (text.parse::<Ipv6Addr>().ok().map(|it| it.to_string()), "`2001:db8::1`"),
        Kind::CAA => (caa(text), "`0 issue \"ca.example.net\"`"),
        Kind::CNAME | Kind::NS | Kind::PTR | Kind::DNAME => (named(text), ""),
        Kind::MX => (fields(text, &[number, named]), "`10 mail.example.com`"),
        Kind::SRV => (fields(text, &[number, number, number, named]), "`0 100 443 api.example.com`"),
        Kind::SOA => (
            fields(text, &[named, named, number, number, number, number, number]),
            "`ns.example.com mail.example.com 1 2 3 4 5`",
        ),
        Kind::TLSA | Kind::SMIMEA => (hex(text, 3), "`3 1 1 0a1b…`"),
        Kind::DS | Kind::CDS => (hex(text, 3), "`12345 13 2 0a1b…`"),
        Kind::SSHFP => (hex(text, 2), "`4 2 0a1b…`"),
        Kind::DNSKEY | Kind::CDNSKEY => (joined(text, 3), "`257 3 13 mdsswUyr…`"),
        Kind::CERT => (joined(text, 3), "`PKIX 12345 RSASHA256 MIIB…`"),
        Kind::OPENPGPKEY => (joined(text, 0), "`mQINBF…`"),
        Kind::SVCB | Kind::HTTPS => (service(text), "`1 . alpn=h2,h3`"),
        Kind::TXT => (Some(text.to_owned()), ""),
        _ => (Some(spaced(text)), ""),
    };
    form.ok_or_else(|| format!("{text:?} is no {kind} record: write {right}"))
}

/// The name in small letters, without the last dot.
fn name(text: &str) -> String {
    text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase()
}

fn named(text: &str) -> Option<String> {
    Some(name(text))
}

fn number(text: &str) -> Option<String> {
    text.parse::<i64>().ok().map(|number| number.to_string())
}

/// The fields between spaces, each read by its own function. None if one is missing, wrong or too many.
fn fields(text: &str, readers: &[fn(&str) -> Option<String>]) -> Option<String> {
    let fields: Vec<_> = text.split_whitespace().collect();
    if fields.len() != readers.len() {
        return None;
    }
    let fields: Option<Vec<_>> = fields.iter().zip(readers).map(|(field, read)| read(field)).collect();
    Some(fields?.join(" "))
}

/// The fields with one space between them.
fn spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// So many fields, and the rest as one: tools break long data into pieces.
fn joined(text: &str, first: usize) -> Option<String> {
    let fields: Vec<_> = text.split_whitespace().collect();
    let (first, rest) = fields.split_at_checked(first).filter(|(_, rest)| !rest.is_empty())?;
    Some([first, &[&*rest.concat()]].concat().join(" "))
}

/// The same, where the data is hexadecimal digits, of which the case means nothing.
fn hex(text: &str, first: usize) -> Option<String> {
    joined(text, first).map(|text| text.to_ascii_lowercase())
}

/// Priority, target and parameters. Quotes around a value of these mean nothing (RFC 9460, section 2.1).
fn service(text: &str) -> Option<String> {
    let text = text.replace('"', "");
    let mut fields = text.split_whitespace();
    let head = [number(fields.next()?)?, name(fields.next()?)];
    let rest = fields.map(str::to_owned);
    Some(head.into_iter().chain(rest).collect::<Vec<_>>().join(" "))
}

/// Flags, tag and value. The case of a tag means nothing (RFC 8659), that of a value does. Quotes may be left out.
fn caa(text: &str) -> Option<String> {
    let (flags, rest) = text.trim_start().split_once(' ')?;
    let (tag, value) = rest.trim_start().split_once(' ')?;
    let value = value.trim_start();
    let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    Some(format!("{} {} {value}", number(flags)?, tag.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(kind: Kind, one: &str, other: &str) -> bool {
        canonical(kind, one).expect(one) == canonical(kind, other).expect(other)
    }

    #[test]
    fn names_are_compared_without_case_and_last_dot() {
        for kind in [Kind::CNAME, Kind::NS, Kind::PTR] {
            assert!(same(kind, "Mail.Example.", "mail.example"));
            assert!(!same(kind, "mail.example", "mail.example.org"));
        }
        assert!(same(Kind::MX, "10 Mail.Example.", "10 mail.example"));
        assert!(!same(Kind::MX, "1 mail.example", "10 mail.example"));
        assert!(same(Kind::SRV, "0 100 443 Api.Example.", "0  100 443 api.example"));
        assert!(same(Kind::SOA, "NS.a. Mail.a. 1 2 3 4 5", "ns.a mail.a 1 2 3 4 5"));
    }

    #[test]
    fn addresses_are_compared_as_addresses() {
        assert!(same(Kind::AAAA, "2001:0db8:0:0::1", "2001:DB8::1"));
        assert!(same(Kind::AAAA, "::ffff:192.0.2.1", "::ffff:c000:201"));
        assert!(!same(Kind::AAAA, "2001:db8::1", "2001:db8::10"));
        assert!(!same(Kind::A, "192.0.2.1", "192.0.2.10"));
    }

    #[test]
    fn texts_are_compared_byte_for_byte() {
        assert!(same(Kind::TXT, "v=DKIM1; p=AbC", "v=DKIM1; p=AbC"));
        assert!(!same(Kind::TXT, "v=DKIM1; p=AbC", "v=DKIM1; p=abc"));
        assert!(!same(Kind::TXT, "v=spf1 -all.", "v=spf1 -all"));
    }

    #[test]
    fn the_value_of_a_caa_record_has_its_case_and_its_tag_has_none() {
        assert!(same(Kind::CAA, "0 Issue ca.example", "0 issue \"ca.example\""));
        assert!(!same(Kind::CAA, "0 issue \"ca.example; a=X\"", "0 issue \"ca.example; a=x\""));
        assert!(!same(Kind::CAA, "0 issue \"ca.example\"", "128 issue \"ca.example\""));
    }

    #[test]
    fn digests_are_compared_without_case_and_keys_with_it_however_they_are_broken() {
        for kind in [Kind::TLSA, Kind::SMIMEA, Kind::DS, Kind::CDS] {
            assert!(same(kind, "3 1 1 0A1B 2C3D", "3 1 1 0a1b2c3d"));
            assert!(!same(kind, "3 1 1 0a1b", "3 1 2 0a1b"));
        }
        assert!(same(Kind::SSHFP, "4 2 AB CD", "4  2 abcd"));
        for (kind, head) in [(Kind::DNSKEY, "257 3 13 "), (Kind::OPENPGPKEY, "")] {
            assert!(same(kind, &format!("{head}AbCd EfGh"), &format!("{head}AbCdEfGh")));
            assert!(!same(kind, &format!("{head}AbCd"), &format!("{head}abcd")));
        }
    }

    #[test]
    fn service_bindings_are_compared_without_quotes_and_others_as_they_are_written() {
        assert!(same(Kind::HTTPS, "1 . alpn=\"h2,h3\"", "1 .  alpn=h2,h3"));
        assert!(same(Kind::SVCB, "1 Svc.Example. port=53", "1 svc.example port=53"));
        assert!(!same(Kind::HTTPS, "1 . alpn=h2", "1 . alpn=h3"));
        assert!(same(Kind(65_280), "\\# 2  0001", "\\# 2 0001"));
        assert!(!same(Kind(65_280), "\\# 2 0001", "\\# 2 0002"));
    }

    #[test]
    fn what_is_no_record_of_the_type_is_refused_with_the_right_spelling() {
        for (kind, text, right) in [
            (Kind::A, "010.0.0.1", "`192.0.2.1`"),
            (Kind::A, "2001:db8::1", "`192.0.2.1`"),
            (Kind::AAAA, "192.0.2.1", "`2001:db8::1`"),
            (Kind::MX, "mail.example", "`10 mail.example.com`"),
            (Kind::SRV, "0 x 443 api.example", "`0 100 443 api.example.com`"),
            (Kind::SOA, "ns.a mail.a 1", "1 2 3 4 5"),
            (Kind::CAA, "issue ca.example", "`0 issue"),
            (Kind::TLSA, "3 1 1", "`3 1 1 0a1b…`"),
            (Kind::SSHFP, "4 2", "`4 2 0a1b…`"),
        ] {
            let error = canonical(kind, text).expect_err(text);
            assert!(error.contains(text) && error.contains(right), "{error}");
        }
    }
}
