//! The data of records of which the contract has no type, as zone files write it.

use base64::{Engine, prelude::BASE64_STANDARD};
use hickory_resolver::proto::{
    rr::{
        Name, RData, RecordType,
        rdata::svcb::{SVCB, SvcParamKey, SvcParamValue},
    },
    serialize::binary::{BinDecodable, BinDecoder, BinEncodable},
};
use std::fmt::{Display, Write};

/// The data as zone files write it. What has no other form is written as RFC 3597 does. Bitmaps of types are among
/// that, as their names would take many times the bytes that came.
pub(super) fn text(data: &RData) -> String {
    match data {
        RData::ANAME(name) => name.0.to_ascii(),
        RData::CERT(_) | RData::OPENPGPKEY(_) | RData::SMIMEA(_) | RData::SSHFP(_) | RData::TLSA(_) => {
            data.to_string()
        }
        RData::HINFO(host) => format!("{} {}", quoted(&host.cpu), quoted(&host.os)),
        RData::HTTPS(service) => service_binding(&service.0),
        RData::SVCB(service) => service_binding(service),
        RData::NAPTR(rule) => format!(
            "{} {} {} {} {} {}",
            rule.order,
            rule.preference,
            quoted(&rule.flags),
            quoted(&rule.services),
            quoted(&rule.regexp),
            rule.replacement.to_ascii()
        ),
        RData::Unknown { code, rdata } => {
            named(*code, &rdata.anything).unwrap_or_else(|| unknown(&rdata.anything))
        }
        data => unknown(&data.to_bytes().unwrap_or_default()),
    }
}

/// The data of a type that the library hands out as bytes; none if it is not as its type demands.
fn named(kind: RecordType, bytes: &[u8]) -> Option<String> {
    match kind {
        RecordType::DS | RecordType::CDS => digest_or_key(bytes, hex),
        RecordType::DNSKEY | RecordType::CDNSKEY => digest_or_key(bytes, |key| BASE64_STANDARD.encode(key)),
        RecordType::DNAME => Name::read(&mut BinDecoder::new(bytes)).ok().map(|name| name.to_ascii()),
        _ => None,
    }
}

/// A number of two bytes, two of one, and the rest: key tag, algorithm, type and digest, or flags, protocol,
/// algorithm and key (RFC 4034).
fn digest_or_key(bytes: &[u8], rest: impl Fn(&[u8]) -> String) -> Option<String> {
    let [high, low, first, second, tail @ ..] = bytes else { return None };
    Some(format!("{} {first} {second} {}", u16::from_be_bytes([*high, *low]), rest(tail)))
}

fn unknown(bytes: &[u8]) -> String {
    format!("\\# {} {}", bytes.len(), hex(bytes)).trim_end().to_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A character string (RFC 1035, section 5.1).
fn quoted(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for byte in bytes {
        let _ = match byte {
            b'"' | b'\\' => write!(text, "\\{}", char::from(*byte)),
            b' '..=b'~' => write!(text, "{}", char::from(*byte)),
            _ => write!(text, "\\{byte:03}"),
        };
    }
    text + "\""
}

/// Priority, target and parameters (RFC 9460, section 2.1). The library's own text has commas too many.
fn service_binding(service: &SVCB) -> String {
    let mut text = format!("{} {}", service.svc_priority, service.target_name.to_ascii());
    for (key, value) in &service.svc_params {
        text += " ";
        text += &key_name(*key);
        let value = match value {
            SvcParamValue::Mandatory(keys) => {
                keys.0.iter().map(|key| key_name(*key)).collect::<Vec<_>>().join(",")
            }
            SvcParamValue::Alpn(names) => names.0.join(","),
            SvcParamValue::NoDefaultAlpn => continue,
            SvcParamValue::Port(port) => port.to_string(),
            SvcParamValue::Ipv4Hint(addresses) => listed(&addresses.0),
            SvcParamValue::Ipv6Hint(addresses) => listed(&addresses.0),
            SvcParamValue::EchConfigList(config) => BASE64_STANDARD.encode(&config.0),
            SvcParamValue::Unknown(bytes) => quoted(&bytes.0),
        };
        text += "=";
        text += &value;
    }
    text
}

fn listed(values: &[impl Display]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn key_name(key: SvcParamKey) -> String {
    match key {
        SvcParamKey::Unknown(number) => format!("key{number}"),
        key => key.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_resolver::proto::rr::rdata::{CSYNC, HINFO, NAPTR, NULL};

    fn of(kind: u16, bytes: &[u8]) -> String {
        text(&RData::Unknown { code: RecordType::from(kind), rdata: NULL::with(bytes.to_vec()) })
    }

    fn name(text: &str) -> Name {
        Name::from_ascii(text).expect("a name")
    }

    #[test]
    fn an_unknown_kind_is_written_as_rfc_3597_does() {
        assert_eq!(of(65_280, &[0, 1, 0xab]), "\\# 3 0001ab");
        assert_eq!(text(&RData::Update0(RecordType::A)), "\\# 0");
        let types = CSYNC::new(7, true, false, [RecordType::A]);
        assert_eq!(text(&RData::CSYNC(types)), "\\# 9 000000070001000140");
    }

    #[test]
    fn keys_and_digests_of_dnssec_are_written_as_in_zone_files() {
        assert_eq!(of(43, &[0x12, 0x34, 13, 2, 0xde, 0xad]), "4660 13 2 dead");
        assert_eq!(of(48, &[1, 1, 3, 13, 1, 2, 3, 4]), "257 3 13 AQIDBA==");
        assert_eq!(of(48, &[1, 1, 3]), "\\# 3 010103");
    }

    #[test]
    fn an_alias_of_a_whole_zone_is_a_name() {
        assert_eq!(of(39, b"\x07example\x00"), "example.");
        assert_eq!(of(39, b"\x3fexample\x00"), "\\# 9 3f6578616d706c6500");
    }

    #[test]
    fn what_a_text_cannot_hold_is_escaped() {
        let host = RData::HINFO(HINFO::from_bytes(b"a \"b\"".to_vec().into(), b"\\\xff".to_vec().into()));
        assert_eq!(text(&host), "\"a \\\"b\\\"\" \"\\\\\\255\"");
        let empty = || Vec::new().into_boxed_slice();
        let rule = NAPTR::new(10, 20, b"u".to_vec().into(), b"E2U+sip".to_vec().into(), empty(), name("."));
        assert_eq!(text(&RData::NAPTR(rule)), "10 20 \"u\" \"E2U+sip\" \"\" .");
    }
}
