//! The bytes that the peer has sent. Pure.

use aviary_guest::pattern::Pattern;

/// The most bytes that are read. A peer that sends more is not the expected one.
const MOST_BYTES: usize = 64 * 1_024;

/// The bytes that the peer has sent, and how many of them the steps have matched.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    bytes: Vec<u8>,
    taken: usize,
}

impl Heard {
    /// Takes everything up to the end of the next match; false if nothing matches yet.
    pub(crate) fn take(&mut self, pattern: &Pattern) -> bool {
        let end = pattern.find_end(&String::from_utf8_lossy(&self.bytes), self.taken);
        self.taken = end.unwrap_or(self.taken);
        end.is_some()
    }

    /// Adds the bytes that were just received. The error says that nothing more will match.
    pub(crate) fn add(&mut self, bytes: &[u8]) -> Result<(), String> {
        if bytes.is_empty() {
            return Err(format!("the peer ended the connection {}", self.so_far()));
        }
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() > MOST_BYTES {
            return Err(format!("more than {} KiB came", MOST_BYTES / 1_024));
        }
        Ok(())
    }

    /// The end of what was received, for messages.
    pub(crate) fn so_far(&self) -> String {
        match self.bytes.len() {
            0 => "before it said anything".into(),
            length => format!(
                "after it said {:?}",
                String::from_utf8_lossy(&self.bytes[length.saturating_sub(80)..])
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::new(text).expect("valid pattern")
    }

    #[test]
    fn a_match_may_come_in_pieces() {
        let mut heard = Heard::default();
        heard.add(b"+PO").expect("short");
        assert!(!heard.take(&pattern("^\\+PONG")));
        heard.add(b"NG\r\n").expect("short");
        assert!(heard.take(&pattern("^\\+PONG\r\n")));
    }

    #[test]
    fn what_matched_is_gone_and_the_rest_stays() {
        let mut heard = Heard::default();
        heard.add(b"220 hello\r\n250 ok\r\n").expect("short");
        assert!(heard.take(&pattern("220 .*\r\n")));
        assert!(!heard.take(&pattern("220")));
        assert!(!heard.take(&pattern("^ hello")), "that was no start of a line");
        assert!(heard.take(&pattern("^250")));
    }

    #[test]
    fn bytes_that_are_no_text_can_be_matched_around() {
        let mut heard = Heard::default();
        heard.add(b"\xff\x00ok").expect("short");
        assert!(heard.take(&pattern("ok$")));
    }

    #[test]
    fn an_early_end_is_reported_with_what_came() {
        let mut heard = Heard::default();
        assert_eq!(heard.add(b""), Err("the peer ended the connection before it said anything".into()));
        heard.add(b"busy").expect("short");
        assert_eq!(heard.add(b""), Err("the peer ended the connection after it said \"busy\"".into()));
    }

    #[test]
    fn a_peer_that_goes_on_and_on_is_given_up() {
        let mut heard = Heard::default();
        assert_eq!(heard.add(&[b'a'; MOST_BYTES]), Ok(()));
        assert_eq!(heard.add(b"a"), Err("more than 64 KiB came".into()));
    }
}
