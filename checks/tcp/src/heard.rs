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

    /// Whether the line of the last match has begun and not ended yet.
    pub(crate) fn is_within_line(&self) -> bool {
        let text = String::from_utf8_lossy(&self.bytes);
        let (matched, rest) = text.split_at(self.taken);
        !rest.is_empty() && !rest.contains('\n') && !matched.ends_with('\n')
    }

    /// Ends what is said in plain text. The error names what was said beyond the line of the last match: it is not
    /// part of what TLS protects, and anybody on the way may have put it there.
    pub(crate) fn begin_tls(&mut self) -> Result<(), String> {
        let text = String::from_utf8_lossy(&self.bytes);
        let (matched, rest) = text.split_at(self.taken);
        let surplus = match rest.split_once('\n') {
            Some((_, surplus)) if !matched.ends_with('\n') => surplus,
            _ => rest,
        };
        if !surplus.is_empty() {
            let shown: String = surplus.chars().take(80).collect();
            return Err(format!("the peer went on in plain text before TLS: it said {shown:?}"));
        }
        *self = Self::default();
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

    /// What was heard, up to a match.
    fn heard(said: &[u8], expected: &str) -> Heard {
        let mut heard = Heard::default();
        heard.add(said).expect("short");
        assert!(heard.take(&pattern(expected)), "{expected}");
        heard
    }

    #[test]
    fn the_rest_of_a_line_that_matched_may_come_before_tls_and_nothing_else() {
        for (said, expected) in [("220 ready\r\n", "^220"), ("220 ready\r\n", "^220 .*\r\n"), ("S", "^S")] {
            let mut heard = heard(said.as_bytes(), expected);
            assert_eq!((heard.is_within_line(), heard.begin_tls()), (false, Ok(())), "{said:?}");
        }
        for (said, expected) in [
            ("220 ready\r\n250 injected\r\n", "^220"),
            ("220 ready\r\n250 injected\r\n", "^220 .*\r\n"),
            ("220 ready\r\n2", "^220"),
            ("Sinjected", "^S"),
        ] {
            let refused = heard(said.as_bytes(), expected).begin_tls().expect_err(said);
            assert!(refused.contains("in plain text before TLS"), "{refused}");
        }
    }

    #[test]
    fn a_line_that_has_not_come_to_its_end_is_told() {
        assert!(heard(b"220 rea", "^220").is_within_line());
        assert!(!heard(b"220 ready\r\n", "^220").is_within_line());
        assert!(!Heard::default().is_within_line());
    }

    #[test]
    fn nothing_that_was_said_in_plain_text_matches_within_tls() {
        let mut heard = heard(b"220 ready\r\n", "^220");
        heard.begin_tls().expect("nothing else was said");
        assert!(!heard.take(&pattern("ready")));
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
