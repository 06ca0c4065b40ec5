//! What the peer has said and no step has taken yet. Pure.

use aviary_guest::pattern::Pattern;

/// A peer that says more without a match is not the one we expect.
const MOST_BYTES: usize = 64 * 1_024;

/// What the peer has said and no step has taken yet.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    bytes: Vec<u8>,
}

impl Heard {
    /// Takes everything up to the end of the first match; false if nothing matches yet.
    pub(crate) fn take(&mut self, pattern: &Pattern) -> bool {
        let text = String::from_utf8_lossy(&self.bytes);
        let Some(found) = pattern.find(&text) else {
            return false;
        };
        self.bytes = text.as_bytes()[found.end..].to_vec();
        true
    }

    /// Adds what has just come; the error says that nothing more will match.
    pub(crate) fn add(&mut self, bytes: &[u8]) -> Result<(), String> {
        if bytes.is_empty() {
            return Err(format!("the peer ended the connection {}", self.so_far()));
        }
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() > MOST_BYTES {
            return Err(format!("{} KiB came without a match", MOST_BYTES / 1_024));
        }
        Ok(())
    }

    /// For messages: the beginning of what came since the last match.
    pub(crate) fn so_far(&self) -> String {
        let start = self.bytes.get(..80).unwrap_or(&self.bytes);
        match start {
            [] => "before it said anything".into(),
            _ => format!("after it said {:?}", String::from_utf8_lossy(start)),
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
        assert_eq!(heard.add(b"a"), Err("64 KiB came without a match".into()));
    }
}
