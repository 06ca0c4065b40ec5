//! Records and response codes as texts.

use std::fmt::{self, Display, Formatter};

use super::{AnyData, RecordData, ResponseCode};

impl Display for RecordData {
    /// Writes the record as zone files do, with names without the trailing dot.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::A(text) | Self::Aaaa(text) | Self::Cname(text) | Self::Ns(text) | Self::Ptr(text) => {
                f.write_str(text.trim_end_matches('.'))
            }
            Self::Txt(text) => f.write_str(text),
            Self::Mx(mx) => write!(f, "{} {}", mx.preference, mx.exchange.trim_end_matches('.')),
            Self::Srv(srv) => {
                write!(f, "{} {} {} {}", srv.priority, srv.weight, srv.port, srv.target.trim_end_matches('.'))
            }
            Self::Caa(caa) => {
                write!(f, "{} {} \"{}\"", if caa.critical { 128 } else { 0 }, caa.tag, caa.value)
            }
            Self::Soa(soa) => write!(
                f,
                "{} {} {} {} {} {} {}",
                soa.primary.trim_end_matches('.'),
                soa.mailbox.trim_end_matches('.'),
                soa.serial,
                soa.refresh,
                soa.retry,
                soa.expire,
                soa.minimum
            ),
        }
    }
}

impl Display for AnyData {
    /// Writes the record as zone files do; in records of the usual types, names have no trailing dot.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(data) => data.fmt(f),
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// The numbers and names of response codes (IANA, DNS Parameters).
const CODES: [(u16, &str); 12] = [
    (0, "NOERROR"),
    (1, "FORMERR"),
    (2, "SERVFAIL"),
    (3, "NXDOMAIN"),
    (4, "NOTIMP"),
    (5, "REFUSED"),
    (6, "YXDOMAIN"),
    (7, "YXRRSET"),
    (8, "NXRRSET"),
    (9, "NOTAUTH"),
    (10, "NOTZONE"),
    (16, "BADVERS"),
];

impl ResponseCode {
    /// The code of this name: `NOERROR`, `NXDOMAIN`, …; none if there is no such name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        CODES.iter().find(|(_, known)| *known == name).map(|(number, _)| Self::from(*number))
    }
}

impl From<u16> for ResponseCode {
    fn from(number: u16) -> Self {
        match number {
            0 => Self::NoError,
            1 => Self::FormatError,
            2 => Self::ServerFailure,
            3 => Self::NameError,
            4 => Self::NotImplemented,
            5 => Self::Refused,
            other => Self::Other(other),
        }
    }
}

impl From<ResponseCode> for u16 {
    fn from(code: ResponseCode) -> Self {
        match code {
            ResponseCode::NoError => 0,
            ResponseCode::FormatError => 1,
            ResponseCode::ServerFailure => 2,
            ResponseCode::NameError => 3,
            ResponseCode::NotImplemented => 4,
            ResponseCode::Refused => 5,
            ResponseCode::Other(other) => other,
        }
    }
}

impl Display for ResponseCode {
    /// Writes the usual name of the code: `NOERROR`, `NXDOMAIN`, …; without one, `RCODE` and its number.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let number = u16::from(*self);
        match CODES.iter().find(|(known, _)| *known == number) {
            Some((_, name)) => f.write_str(name),
            None => write!(f, "RCODE{number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{Mx, Srv};

    #[test]
    fn records_read_as_in_a_zone_file() {
        let srv = Srv { priority: 0, weight: 100, port: 443, target: "api.example.com.".into() };
        assert_eq!(RecordData::Srv(srv).to_string(), "0 100 443 api.example.com");
        let mx = Mx { preference: 10, exchange: "mail.example.com.".into() };
        assert_eq!(RecordData::Mx(mx).to_string(), "10 mail.example.com");
        assert_eq!(RecordData::Txt("v=spf1 -all.".into()).to_string(), "v=spf1 -all.");
    }

    #[test]
    fn each_name_of_a_code_is_read_as_it_is_written() {
        for (number, name) in CODES {
            let code = ResponseCode::named(name).expect(name);
            assert_eq!((u16::from(code), code.to_string().as_str()), (number, name));
        }
        assert_eq!(ResponseCode::named("RCODE11"), None);
        assert_eq!(ResponseCode::Other(11).to_string(), "RCODE11");
    }
}
