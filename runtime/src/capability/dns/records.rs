//! DNS records in the types of the contract.

use super::presentation;
use crate::capability::bindings::aviary::check::dns::{
    AnyData, AnyRecord, Caa, Mx, RecordData, RecordType, ResourceRecord, ResponseCode, Soa, Srv,
};
use hickory_resolver::proto::{
    op,
    rr::{self, Name, RData, Record},
};

/// The most aliases that are followed from the name that was asked for, as a bound for hostile answers.
const MOST_ALIASES: usize = 16;

/// The type of record on the wire for a type of the contract.
pub(super) fn kind(kind: RecordType) -> rr::RecordType {
    match kind {
        RecordType::A => rr::RecordType::A,
        RecordType::Aaaa => rr::RecordType::AAAA,
        RecordType::Caa => rr::RecordType::CAA,
        RecordType::Cname => rr::RecordType::CNAME,
        RecordType::Mx => rr::RecordType::MX,
        RecordType::Ns => rr::RecordType::NS,
        RecordType::Ptr => rr::RecordType::PTR,
        RecordType::Soa => rr::RecordType::SOA,
        RecordType::Srv => rr::RecordType::SRV,
        RecordType::Txt => rr::RecordType::TXT,
    }
}

/// Whether records of this type exist that one question can ask for. Zero, OPT and all from 128 to 252 are none: they
/// are part of the protocol, TKEY, TSIG and zone transfers among them (RFC 6895, section 3.1).
pub(super) fn can_be_asked_for(kind: u16) -> bool {
    !matches!(kind, 0 | 41 | 128..=252)
}

/// The response code in the type of the contract.
pub(super) fn code(code: op::ResponseCode) -> ResponseCode {
    match code {
        op::ResponseCode::NoError => ResponseCode::NoError,
        op::ResponseCode::FormErr => ResponseCode::FormatError,
        op::ResponseCode::ServFail => ResponseCode::ServerFailure,
        op::ResponseCode::NXDomain => ResponseCode::NameError,
        op::ResponseCode::NotImp => ResponseCode::NotImplemented,
        op::ResponseCode::Refused => ResponseCode::Refused,
        other => ResponseCode::Other(other.into()),
    }
}

/// The records that belong to a name or to one of its aliases, in their order.
pub(super) fn of_name<'a>(asked: &'a Name, answers: &'a [Record]) -> impl Iterator<Item = &'a Record> {
    let mut names = vec![asked];
    let mut next = 0;
    while let Some(name) = names.get(next).copied() {
        next += 1;
        for record in answers.iter().filter(|record| record.name == *name) {
            if let RData::CNAME(alias) = &record.data
                && names.len() <= MOST_ALIASES
                && !names.contains(&&alias.0)
            {
                names.push(&alias.0);
            }
        }
    }
    answers.iter().filter(move |record| names.contains(&&record.name))
}

/// A record in the type of the contract; none if it is of a type that cannot be asked for.
pub(super) fn read(record: &Record) -> Option<ResourceRecord> {
    Some(ResourceRecord { name: text(&record.name), ttl: record.ttl, data: data(&record.data)? })
}

/// A record of any type in the type of the contract.
pub(super) fn read_any(record: &Record) -> AnyRecord {
    let known = data(&record.data).map(AnyData::Known);
    AnyRecord {
        name: text(&record.name),
        kind: record.record_type().into(),
        ttl: record.ttl,
        data: known.unwrap_or_else(|| AnyData::Other(presentation::text(&record.data))),
    }
}

/// How many bytes the texts of a record have.
pub(super) fn length(record: &ResourceRecord) -> usize {
    record.name.len() + length_of(&record.data)
}

/// How many bytes the texts of a record of any type have.
pub(super) fn length_of_any(record: &AnyRecord) -> usize {
    let data = match &record.data {
        AnyData::Known(data) => length_of(data),
        AnyData::Other(text) => text.len(),
    };
    record.name.len() + data
}

fn length_of(data: &RecordData) -> usize {
    match data {
        RecordData::A(text)
        | RecordData::Aaaa(text)
        | RecordData::Cname(text)
        | RecordData::Ns(text)
        | RecordData::Ptr(text)
        | RecordData::Txt(text) => text.len(),
        RecordData::Caa(caa) => caa.tag.len() + caa.value.len(),
        RecordData::Mx(mx) => mx.exchange.len(),
        RecordData::Soa(soa) => soa.primary.len() + soa.mailbox.len(),
        RecordData::Srv(srv) => srv.target.len(),
    }
}

fn data(data: &RData) -> Option<RecordData> {
    Some(match data {
        RData::A(address) => RecordData::A(address.0.to_string()),
        RData::AAAA(address) => RecordData::Aaaa(address.0.to_string()),
        RData::CAA(caa) => RecordData::Caa(Caa {
            critical: caa.issuer_critical,
            tag: caa.tag.clone(),
            value: String::from_utf8_lossy(&caa.value).into_owned(),
        }),
        RData::CNAME(name) => RecordData::Cname(text(&name.0)),
        RData::MX(mx) => RecordData::Mx(Mx { preference: mx.preference, exchange: text(&mx.exchange) }),
        RData::NS(name) => RecordData::Ns(text(&name.0)),
        RData::PTR(name) => RecordData::Ptr(text(&name.0)),
        RData::SOA(soa) => RecordData::Soa(Soa {
            primary: text(&soa.mname),
            mailbox: text(&soa.rname),
            serial: soa.serial,
            refresh: soa.refresh,
            retry: soa.retry,
            expire: soa.expire,
            minimum: soa.minimum,
        }),
        RData::SRV(srv) => RecordData::Srv(Srv {
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            target: text(&srv.target),
        }),
        RData::TXT(txt) => RecordData::Txt(String::from_utf8_lossy(&txt.txt_data.concat()).into_owned()),
        _ => return None,
    })
}

/// The name without its final dot, except that of the root.
fn text(name: &Name) -> String {
    let mut text = name.to_ascii();
    if text.len() > 1 && text.ends_with('.') {
        text.pop();
    }
    text
}
