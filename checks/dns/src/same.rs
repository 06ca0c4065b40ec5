//! Compares a record that the settings name with one of an answer, each by what its type means. Pure.

use std::net::{Ipv4Addr, Ipv6Addr};

use aviary_guest::dns::RecordType;

/// One form for all spellings of a record: two records are the same where this text is the same. The error says why
/// the text is no record of this type.
pub fn canonical(kind: RecordType, text: &str) -> Result<String, String> {
    match kind {
        RecordType::A => {
            let address = text.parse::<Ipv4Addr>().map(|address| address.to_string());
            address
                .map_err(|_| format!("{text:?} is no IPv4 address: write `192.0.2.1`, without leading zeros"))
        }
        RecordType::Aaaa => {
            let address = text.parse::<Ipv6Addr>().map(|address| address.to_string());
            address.map_err(|_| format!("{text:?} is no IPv6 address: write `2001:db8::1`"))
        }
        RecordType::Caa => {
            caa(text).ok_or_else(|| format!("{text:?} is no CAA record: write `0 issue \"ca.example.net\"`"))
        }
        RecordType::Txt => Ok(text.to_owned()),
        RecordType::Cname | RecordType::Ns | RecordType::Ptr => Ok(name(text)),
        RecordType::Mx => fields(text, &[number, named])
            .ok_or_else(|| format!("{text:?} is no MX record: write `10 mail.example.com`")),
        RecordType::Srv => fields(text, &[number, number, number, named])
            .ok_or_else(|| format!("{text:?} is no SRV record: write `0 100 443 api.example.com`")),
        RecordType::Soa => {
            fields(text, &[named, named, number, number, number, number, number]).ok_or_else(|| {
                format!("{text:?} is no SOA record: write `ns.example.com mail.example.com 1 2 3 4 5`")
            })
        }
    }
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

    fn same(kind: RecordType, one: &str, other: &str) -> bool {
        canonical(kind, one).expect(one) == canonical(kind, other).expect(other)
    }

    #[test]
    fn names_are_compared_without_case_and_last_dot() {
        for kind in [RecordType::Cname, RecordType::Ns, RecordType::Ptr] {
            assert!(same(kind, "Mail.Example.", "mail.example"));
            assert!(!same(kind, "mail.example", "mail.example.org"));
        }
        assert!(same(RecordType::Mx, "10 Mail.Example.", "10 mail.example"));
        assert!(!same(RecordType::Mx, "1 mail.example", "10 mail.example"));
        assert!(same(RecordType::Srv, "0 100 443 Api.Example.", "0  100 443 api.example"));
        assert!(same(RecordType::Soa, "NS.a. Mail.a. 1 2 3 4 5", "ns.a mail.a 1 2 3 4 5"));
    }

    #[test]
    fn addresses_are_compared_as_addresses() {
        assert!(same(RecordType::Aaaa, "2001:0db8:0:0::1", "2001:DB8::1"));
        assert!(same(RecordType::Aaaa, "::ffff:192.0.2.1", "::ffff:c000:201"));
        assert!(!same(RecordType::Aaaa, "2001:db8::1", "2001:db8::10"));
        assert!(!same(RecordType::A, "192.0.2.1", "192.0.2.10"));
    }

    #[test]
    fn texts_are_compared_byte_for_byte() {
        assert!(same(RecordType::Txt, "v=DKIM1; p=AbC", "v=DKIM1; p=AbC"));
        assert!(!same(RecordType::Txt, "v=DKIM1; p=AbC", "v=DKIM1; p=abc"));
        assert!(!same(RecordType::Txt, "v=spf1 -all.", "v=spf1 -all"));
    }

    #[test]
    fn the_value_of_a_caa_record_has_its_case_and_its_tag_has_none() {
        assert!(same(RecordType::Caa, "0 Issue ca.example", "0 issue \"ca.example\""));
        assert!(!same(RecordType::Caa, "0 issue \"ca.example; a=X\"", "0 issue \"ca.example; a=x\""));
        assert!(!same(RecordType::Caa, "0 issue \"ca.example\"", "128 issue \"ca.example\""));
    }

    #[test]
    fn what_is_no_record_of_the_type_is_refused_with_the_right_spelling() {
        for (kind, text, right) in [
            (RecordType::A, "010.0.0.1", "`192.0.2.1`"),
            (RecordType::A, "2001:db8::1", "`192.0.2.1`"),
            (RecordType::Aaaa, "192.0.2.1", "`2001:db8::1`"),
            (RecordType::Mx, "mail.example", "`10 mail.example.com`"),
            (RecordType::Srv, "0 x 443 api.example", "`0 100 443 api.example.com`"),
            (RecordType::Soa, "ns.a mail.a 1", "1 2 3 4 5"),
            (RecordType::Caa, "issue ca.example", "`0 issue"),
        ] {
            let error = canonical(kind, text).expect_err(text);
            assert!(error.contains(text) && error.contains(right), "{error}");
        }
    }
}
