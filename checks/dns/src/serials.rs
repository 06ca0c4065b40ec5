//! Compares the serials that the name servers of a zone have.

use aviary_guest::Finding;
use aviary_guest::dns::{AnyData, AnyRecord, Error, RecordData, Reply, ResponseCode};

use crate::kind::Kind;
use crate::settings::Settings;

/// The most name servers of a zone that are asked.
const MOST_SERVERS: usize = 16;

/// Asks for the name servers of a zone, then each of them for its serial, and judges what they say.
/// Returns the serial that all have, in words.
pub fn compare(settings: &Settings, zone: &str) -> Result<String, Finding> {
    let mut question = settings.bare_question(zone, Kind::NS).recursion(settings.recursion);
    question.server.clone_from(&settings.server);
    let servers = name_servers(zone, &question.ask()).map_err(Finding::fail)?;
    let asked = servers.into_iter().map(|name| {
        let question = settings.bare_question(zone, Kind::SOA).server(&name).recursion(false);
        let serial = serial(zone, &question.ask());
        (name, serial)
    });
    judge(&asked.collect::<Vec<_>>())
}

/// A name server, and the serial that it has or why that is not known.
pub type Answered = (String, Result<u32, String>);

/// The name servers of a zone, each once.
fn name_servers(zone: &str, reply: &Result<Reply, Error>) -> Result<Vec<String>, String> {
    let records =
        of_zone(zone, reply).map_err(|reason| format!("the name servers are not known: {reason}"))?;
    let names = records.filter_map(|record| match &record.data {
        AnyData::Known(RecordData::Ns(name)) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names.dedup();
    match names.len() {
        0 => Err(format!("{zone} has no name servers: sameSerial needs the name of a zone")),
        1..=MOST_SERVERS => Ok(names),
        count => {
            Err(format!("{zone} has {count} name servers: sameSerial compares no more than {MOST_SERVERS}"))
        }
    }
}

/// The serial that a name server of a zone says.
fn serial(zone: &str, reply: &Result<Reply, Error>) -> Result<u32, String> {
    let serial = of_zone(zone, reply)?.find_map(|record| match &record.data {
        AnyData::Known(RecordData::Soa(soa)) => Some(soa.serial),
        _ => None,
    });
    match reply {
        Ok(reply) if !reply.authoritative => Err("it does not speak for the zone".into()),
        _ => serial.ok_or_else(|| "it has no SOA record of the zone".into()),
    }
}

/// The records of an answer that belong to the zone itself.
fn of_zone<'a>(
    zone: &'a str,
    reply: &'a Result<Reply, Error>,
) -> Result<impl Iterator<Item = &'a AnyRecord>, String> {
    let reply = reply.as_ref().map_err(ToString::to_string)?;
    if reply.code != ResponseCode::NoError {
        return Err(format!("{} says {}", reply.server, reply.code));
    }
    let bare = |name: &'a str| name.strip_suffix('.').unwrap_or(name);
    Ok(reply.answers.iter().filter(move |record| bare(&record.name).eq_ignore_ascii_case(bare(zone))))
}

/// The serial that all name servers have, or a fail that tells who has which and who has none.
fn judge(answered: &[Answered]) -> Result<String, Finding> {
    let mut serials: Vec<(u32, Vec<&str>)> = Vec::new();
    let mut silent = Vec::new();
    for (name, serial) in answered {
        match serial {
            Ok(serial) => match serials.iter_mut().find(|(known, _)| known == serial) {
                Some((_, names)) => names.push(name),
                None => serials.push((*serial, vec![name])),
            },
            Err(reason) => silent.push(format!("{name}: {reason}")),
        }
    }
    if let ([(serial, names)], []) = (&*serials, &*silent) {
        return Ok(format!("serial {serial} on {} name servers", names.len()));
    }
    let known = serials.iter().map(|(serial, names)| format!("serial {serial} on {}", names.join(", ")));
    let told: Vec<_> = known.chain(silent).collect();
    let what =
        if serials.len() > 1 { "the serials differ" } else { "not all name servers tell their serial" };
    Err(Finding::fail(format!("{what}: {}", told.join("; "))))
}

#[cfg(test)]
mod tests {
    use aviary_guest::dns::Soa;

    use super::*;

    fn reply(name: &str, kind: Kind, data: Vec<RecordData>) -> Reply {
        let record =
            |data| AnyRecord { name: name.into(), kind: kind.0, ttl: 60, data: AnyData::Known(data) };
        Reply {
            code: ResponseCode::NoError,
            answers: data.into_iter().map(record).collect(),
            authorities: Vec::new(),
            additionals: Vec::new(),
            authoritative: true,
            authenticated: false,
            recursion_available: false,
            server: "192.0.2.53:53".into(),
            duration_ns: 1,
        }
    }

    fn soa(serial: u32) -> RecordData {
        let (primary, mailbox) = ("ns1.example".to_owned(), "mail.example".to_owned());
        RecordData::Soa(Soa { primary, mailbox, serial, refresh: 1, retry: 2, expire: 3, minimum: 4 })
    }

    fn told(serials: &[(&str, Result<u32, &str>)]) -> Result<String, String> {
        let owned = |(name, serial): &(&str, Result<u32, &str>)| {
            ((*name).to_owned(), serial.map_err(ToOwned::to_owned))
        };
        judge(&serials.iter().map(owned).collect::<Vec<_>>()).map_err(|finding| finding.message)
    }

    #[test]
    fn name_servers_are_those_of_the_zone_itself_each_once() {
        let ns = |name: &str| RecordData::Ns(name.into());
        let names = vec![ns("ns2.example"), ns("NS1.example"), ns("ns1.example")];
        let answer = reply("Example.", Kind::NS, names);
        assert_eq!(
            name_servers("example", &Ok(answer.clone())),
            Ok(vec!["ns1.example".into(), "ns2.example".into()])
        );
        let error = name_servers("www.example", &Ok(answer)).expect_err("of another name");
        assert_eq!(error, "www.example has no name servers: sameSerial needs the name of a zone");
        let many = (0..17).map(|number| ns(&format!("ns{number}.example"))).collect();
        let error = name_servers("example", &Ok(reply("example", Kind::NS, many))).expect_err("too many");
        assert_eq!(error, "example has 17 name servers: sameSerial compares no more than 16");
        let error = name_servers("example", &Err(Error::Timeout)).expect_err("silence");
        assert_eq!(error, "the name servers are not known: timed out: the server did not answer");
    }

    #[test]
    fn a_serial_counts_only_from_a_server_that_speaks_for_the_zone() {
        let answer = reply("example", Kind::SOA, vec![soa(7)]);
        assert_eq!(serial("Example.", &Ok(answer.clone())), Ok(7));
        let lame = Reply { authoritative: false, ..answer.clone() };
        assert_eq!(serial("example", &Ok(lame)), Err("it does not speak for the zone".into()));
        assert_eq!(
            serial("other.example", &Ok(answer.clone())),
            Err("it has no SOA record of the zone".into())
        );
        let refused = Reply { code: ResponseCode::Refused, ..answer };
        assert_eq!(serial("example", &Ok(refused)), Err("192.0.2.53:53 says REFUSED".into()));
        let error = serial("example", &Err(Error::Timeout)).expect_err("silence");
        assert_eq!(error, "timed out: the server did not answer");
    }

    #[test]
    fn equal_serials_pass_and_others_are_told_with_their_servers() {
        assert_eq!(told(&[("ns1", Ok(7)), ("ns2", Ok(7))]), Ok("serial 7 on 2 name servers".into()));
        assert_eq!(
            told(&[("ns1", Ok(8)), ("ns2", Ok(7)), ("ns3", Ok(8))]),
            Err("the serials differ: serial 8 on ns1, ns3; serial 7 on ns2".into())
        );
        assert_eq!(
            told(&[("ns1", Ok(8)), ("ns2", Err("timed out"))]),
            Err("not all name servers tell their serial: serial 8 on ns1; ns2: timed out".into())
        );
        assert_eq!(told(&[("ns1", Err("a"))]), Err("not all name servers tell their serial: ns1: a".into()));
    }
}
