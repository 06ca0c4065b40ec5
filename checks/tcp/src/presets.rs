//! What is said before TLS in well-known protocols. Pure.

use aviary_guest::pattern::Pattern;
use serde::Deserialize;

/// A protocol whose way to TLS is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// SMTP and submission (RFC 3207).
    Smtp,
    /// IMAP (RFC 9051, section 6.2.1).
    Imap,
    /// POP3 (RFC 2595, section 4).
    Pop3,
    /// FTP (RFC 4217).
    Ftp,
    /// LDAP (RFC 4511, section 4.14).
    Ldap,
    /// PostgreSQL (Frontend/Backend Protocol, SSL Session Encryption).
    Postgres,
    /// MySQL and MariaDB (Client/Server Protocol, SSLRequest).
    Mysql,
    /// XMPP for clients (RFC 6120, section 5).
    Xmpp,
}

/// One step on the way to TLS.
#[derive(Debug)]
pub(crate) enum Talk {
    /// Sends these bytes.
    Say(Vec<u8>),
    /// Waits for text that matches.
    Hear(Pattern),
    /// Waits for one message of a binary protocol.
    Message(Message),
}

/// A message of a binary protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Message {
    /// The answer to an extended request of LDAP, which has to be a success.
    LdapSuccess,
    /// The one byte with which PostgreSQL agrees to TLS.
    PostgresYes,
    /// The greeting of MySQL, which has to offer TLS.
    MysqlGreeting,
}

impl Preset {
    /// The steps up to the handshake, for a target with this host.
    pub(crate) fn steps(self, host: &str) -> Vec<Talk> {
        let say = |text: &str| Talk::Say(text.as_bytes().to_vec());
        // The expressions stand here, and are valid.
        let hear = |expression: &str| Pattern::new(expression).map(Talk::Hear).ok();
        let lines = |greeting: &str, question: &str, answer: &str| {
            [hear(greeting), Some(say(question)), hear(answer)].into_iter().flatten().collect::<Vec<_>>()
        };
        match self {
            Self::Smtp => {
                let mut steps = lines("^220 [^\n]*\n", "EHLO aviary\r\n", "^250 [^\n]*\n");
                steps.push(say("STARTTLS\r\n"));
                steps.extend(hear("^220 [^\n]*\n"));
                steps
            }
            Self::Imap => lines("^\\* OK[^\n]*\n", "a1 STARTTLS\r\n", "^a1 OK[^\n]*\n"),
            Self::Pop3 => lines("^\\+OK[^\n]*\n", "STLS\r\n", "^\\+OK[^\n]*\n"),
            Self::Ftp => lines("^220 [^\n]*\n", "AUTH TLS\r\n", "^234[^\n]*\n"),
            Self::Ldap => {
                let mut request = vec![0x30, 0x1d, 0x02, 0x01, 0x01, 0x77, 0x18, 0x80, 0x16];
                request.extend(b"1.3.6.1.4.1.1466.20037");
                vec![Talk::Say(request), Talk::Message(Message::LdapSuccess)]
            }
            Self::Postgres => {
                let request = vec![0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
                vec![Talk::Say(request), Talk::Message(Message::PostgresYes)]
            }
            Self::Mysql => {
                // PROTOCOL_41, SSL and SECURE_CONNECTION; packets up to 16 MiB; utf8mb4; 23 zeros.
                let mut request = vec![0x20, 0, 0, 1, 0x00, 0x8a, 0, 0, 0, 0, 0, 1, 45];
                request.resize(36, 0);
                vec![Talk::Message(Message::MysqlGreeting), Talk::Say(request)]
            }
            Self::Xmpp => {
                let host: String = host.chars().filter(|letter| !"<>&'\"".contains(*letter)).collect();
                let open = format!(
                    "<?xml version='1.0'?><stream:stream to='{host}' xmlns='jabber:client' \
                     xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"
                );
                let mut steps = vec![say(&open)];
                steps.extend(hear("(?s)<starttls.*</stream:features>"));
                steps.push(say("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"));
                steps.extend(hear("<proceed[^>]*/>|<proceed[^>]*></proceed>"));
                steps
            }
        }
    }
}

impl Message {
    /// The length of the message that begins with these bytes; none if more of them are needed.
    pub(crate) fn length(self, start: &[u8]) -> Option<usize> {
        match self {
            Self::PostgresYes => Some(1),
            // Three bytes of length, one of sequence.
            Self::MysqlGreeting => {
                let [one, two, three, ..] = *start else { return None };
                Some(usize::from(one) + (usize::from(two) << 8) + (usize::from(three) << 16) + 4)
            }
            // BER: a tag, and a length of one byte or of those that the first one counts.
            Self::LdapSuccess => match *start.get(1)? {
                short @ 0..0x80 => Some(usize::from(short) + 2),
                long => {
                    let count = usize::from(long & 0x7f).min(4);
                    let bytes = start.get(2..2 + count)?;
                    let length = bytes.iter().fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
                    Some(length.saturating_add(2 + count))
                }
            },
        }
    }

    /// An error if the message is not the one that leads to TLS.
    pub(crate) fn judge(self, message: &[u8]) -> Result<(), String> {
        match self {
            Self::PostgresYes if message == b"S" => Ok(()),
            Self::PostgresYes if message == b"N" => {
                Err("the server is not set up for TLS (it answered `N`)".into())
            }
            Self::PostgresYes => {
                Err("the peer is no PostgreSQL server: it answered neither `S` nor `N`".into())
            }
            Self::MysqlGreeting => judge_mysql(message),
            Self::LdapSuccess => {
                // The message 1, which is an extended response, and its result code 0.
                let success = message.windows(4).any(|part| part == [0x02, 0x01, 0x01, 0x78])
                    && message.windows(3).any(|part| part == [0x0a, 0x01, 0x00]);
                if success {
                    Ok(())
                } else {
                    Err("the server refused to start TLS, or is no LDAP server".into())
                }
            }
        }
    }
}

/// The greeting is: the version 10, the server's version up to a zero, four bytes, eight of a salt, a zero, and the
/// lower half of the capabilities, in which 0x0800 is TLS.
fn judge_mysql(message: &[u8]) -> Result<(), String> {
    let body = message.get(4..).unwrap_or_default();
    if body.first() == Some(&0xff) {
        let text = String::from_utf8_lossy(body.get(3..).unwrap_or_default()).into_owned();
        return Err(format!(
            "the server refuses connections: {:?}",
            text.chars().take(80).collect::<String>()
        ));
    }
    let version = body.iter().position(|byte| *byte == 0).filter(|_| body.first() == Some(&10));
    let capabilities = version.and_then(|end| body.get(end + 14..end + 16));
    match capabilities {
        Some([_, high]) if high & 0x08 != 0 => Ok(()),
        Some(_) => Err("the server does not offer TLS".into()),
        None => Err("the peer is no MySQL server".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_expression_of_a_preset_is_valid() {
        let count = |preset: Preset| preset.steps("a.example").len();
        let all = [
            Preset::Smtp,
            Preset::Imap,
            Preset::Pop3,
            Preset::Ftp,
            Preset::Ldap,
            Preset::Postgres,
            Preset::Mysql,
            Preset::Xmpp,
        ];
        assert_eq!(all.map(count), [5, 3, 3, 3, 2, 2, 2, 4]);
    }

    #[test]
    fn the_host_of_xmpp_cannot_change_the_stream() {
        let steps = Preset::Xmpp.steps("a'><evil/>");
        let Talk::Say(open) = &steps[0] else { panic!("nothing is said") };
        assert!(String::from_utf8_lossy(open).contains("to='aevil/'"));
    }

    #[test]
    fn a_message_has_the_length_that_it_says() {
        assert_eq!(Message::MysqlGreeting.length(&[0x4a, 0, 0, 0]), Some(78));
        assert_eq!(Message::MysqlGreeting.length(&[0x4a]), None);
        assert_eq!(Message::LdapSuccess.length(&[0x30, 0x0c]), Some(14));
        assert_eq!(Message::LdapSuccess.length(&[0x30, 0x84, 0, 0, 0, 0x0c]), Some(18));
        assert_eq!(Message::LdapSuccess.length(&[0x30]), None);
        assert_eq!(Message::PostgresYes.length(b"S"), Some(1));
    }

    #[test]
    fn a_server_without_tls_is_told_from_one_of_another_kind() {
        assert_eq!(Message::PostgresYes.judge(b"S"), Ok(()));
        assert!(Message::PostgresYes.judge(b"N").is_err_and(|words| words.contains("not set up for TLS")));
        assert!(Message::PostgresYes.judge(b"H").is_err_and(|words| words.contains("no PostgreSQL")));
        let success = [0x30, 0x0c, 0x02, 0x01, 0x01, 0x78, 0x07, 0x0a, 0x01, 0x00, 0x04, 0x00, 0x04, 0x00];
        assert_eq!(Message::LdapSuccess.judge(&success), Ok(()));
        let refused = [0x30, 0x0c, 0x02, 0x01, 0x01, 0x78, 0x07, 0x0a, 0x01, 0x02, 0x04, 0x00, 0x04, 0x00];
        assert!(Message::LdapSuccess.judge(&refused).is_err());
        let mut greeting = b"\x4a\0\0\0\x0a8.0.36\0".to_vec();
        greeting.extend([1, 0, 0, 0]);
        greeting.extend([b's'; 8]);
        greeting.extend([0, 0xff, 0xff]);
        assert_eq!(Message::MysqlGreeting.judge(&greeting), Ok(()));
        let last = greeting.len() - 1;
        greeting[last] = 0xf7;
        assert_eq!(Message::MysqlGreeting.judge(&greeting), Err("the server does not offer TLS".into()));
        let refusal = b"\x10\0\0\0\xff\x6a\x04Host is blocked";
        assert!(Message::MysqlGreeting.judge(refusal).is_err_and(|words| words.contains("Host is blocked")));
    }
}
