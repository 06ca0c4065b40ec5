//! The bytes that the peer has sent. Pure.

use aviary_guest::pattern::Pattern;

/// The most bytes that are read. A peer that sends more is not the expected one.
const MOST_BYTES: usize = 64 * 1_024;
/// How many bytes of what came a message shows.
const SHOWN: usize = 80;

/// The bytes that the peer has sent, and how many of them the steps have matched.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    bytes: Vec<u8>,
    taken: usize,
    /// Whether the last match says where the words of the peer end, so that no rest of a line belongs to them.
    is_exact: bool,
}

impl Heard {
    /// Takes everything up to the end of the next match; false if nothing matches yet.
    pub(crate) fn take(&mut self, pattern: &Pattern) -> bool {
        let text = String::from_utf8_lossy(&self.bytes);
        let end = pattern.find_end(&text, self.text_index(self.taken));
        let end = end.map(|end| self.byte_index(end));
        self.taken = end.unwrap_or(self.taken);
        self.is_exact &= end.is_none();
        end.is_some()
    }

    /// Takes everything up to the end of the next such bytes; false if they have not come yet.
    pub(crate) fn take_bytes(&mut self, wanted: &[u8]) -> bool {
        let rest = &self.bytes[self.taken..];
        let found = rest.windows(wanted.len()).position(|window| window == wanted);
        self.taken += found.map_or(0, |start| start + wanted.len());
        self.is_exact |= found.is_some();
        found.is_some()
    }

    /// Takes one message of a known length; none if not all of it has come. `length` gives the length of the message
    /// from its first bytes; none if more of them are needed.
    pub(crate) fn take_message(&mut self, length: impl Fn(&[u8]) -> Option<usize>) -> Option<Vec<u8>> {
        let rest = &self.bytes[self.taken..];
        let message = rest.get(..length(rest)?)?.to_vec();
        self.taken += message.len();
        self.is_exact = true;
        Some(message)
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
        let (matched, rest) = self.bytes.split_at(self.taken);
        !self.is_exact && !rest.is_empty() && !rest.contains(&b'\n') && !matched.ends_with(b"\n")
    }

    /// Says that the last match was all that the peer had to say, to the end of its line.
    pub(crate) fn end_exactly(&mut self) {
        self.is_exact = true;
    }

    /// Ends what is said in plain text. The error names what was said beyond the last match: it is not part of what TLS
    /// protects, and anybody on the way may have put it there. Only an expression may leave the rest of its line.
    pub(crate) fn begin_tls(&mut self) -> Result<(), String> {
        let (matched, rest) = self.bytes.split_at(self.taken);
        let line = rest.iter().position(|byte| *byte == b'\n');
        let surplus = match line {
            Some(end) if !self.is_exact && !matched.ends_with(b"\n") => &rest[end + 1..],
            _ => rest,
        };
        if !surplus.is_empty() {
            let shown = shown(&surplus[..surplus.len().min(SHOWN)]);
            return Err(format!("the peer went on in plain text before TLS: it said {shown}"));
        }
        *self = Self::default();
        Ok(())
    }

    /// The end of what was received, for messages.
    pub(crate) fn so_far(&self) -> String {
        match self.bytes.len() {
            0 => "before it said anything".into(),
            length => format!("after it said {}", shown(&self.bytes[length.saturating_sub(SHOWN)..])),
        }
    }

    /// The place in the text of a place in the bytes. Bytes that are no text are replaced by a longer character.
    fn text_index(&self, place: usize) -> usize {
        String::from_utf8_lossy(&self.bytes[..place]).len()
    }

    /// The place in the bytes of a place in the text.
    fn byte_index(&self, place: usize) -> usize {
        let (mut text, mut bytes) = (0, 0);
        for chunk in self.bytes.utf8_chunks() {
            if text + chunk.valid().len() >= place {
                return bytes + place - text;
            }
            (text, bytes) = (text + chunk.valid().len(), bytes + chunk.valid().len());
            if !chunk.invalid().is_empty() {
                (text, bytes) = (text + '\u{fffd}'.len_utf8(), bytes + chunk.invalid().len());
            }
            if text >= place {
                return bytes;
            }
        }
        bytes
    }
}

/// Bytes for people: as text, or as hexadecimal digits if they are none.
fn shown(bytes: &[u8]) -> String {
    let is_text = |letter: char| !letter.is_control() || letter.is_ascii_whitespace();
    match std::str::from_utf8(bytes) {
        Ok(text) if text.chars().all(is_text) => format!("{text:?}"),
        _ => {
            let digits: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("the bytes {} ({:?})", digits.join(" "), String::from_utf8_lossy(bytes))
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
    fn bytes_that_are_no_text_do_not_move_what_matches_after_them() {
        let mut heard = Heard::default();
        heard.add(b"\xff\xf7J\x00\x0a8.0.36\x00caching\xff\xffend").expect("short");
        assert!(heard.take(&pattern("8\\.0\\.\\d+\x00")));
        assert!(heard.take(&pattern("caching")));
        assert!(heard.take_bytes(b"\xff\xff"));
        assert!(!heard.take_bytes(b"\xff"), "that was taken");
        assert!(heard.take(&pattern("end$")));
    }

    #[test]
    fn a_message_is_taken_when_all_of_it_has_come() {
        let mut heard = Heard::default();
        let length = |start: &[u8]| start.first().map(|length| usize::from(*length) + 1);
        assert_eq!(heard.take_message(length), None);
        heard.add(b"\x02a").expect("short");
        assert_eq!(heard.take_message(length), None);
        heard.add(b"bc").expect("short");
        assert_eq!(heard.take_message(length), Some(b"\x02ab".to_vec()));
        assert!(heard.begin_tls().is_err(), "there is more");
    }

    #[test]
    fn what_is_no_text_is_shown_as_digits() {
        let mut heard = Heard::default();
        heard.add(b"\x15\x03").expect("short");
        assert_eq!(heard.so_far(), "after it said the bytes 15 03 (\"\\u{15}\\u{3}\")");
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
    fn bytes_and_messages_that_matched_leave_no_rest_of_a_line_before_tls() {
        let mut by_bytes = Heard::default();
        by_bytes.add(b"Sinjected\n").expect("short");
        assert!(by_bytes.take_bytes(b"S"));
        let mut by_message = Heard::default();
        by_message.add(b"Sinjected").expect("short");
        assert_eq!(by_message.take_message(|_| Some(1)), Some(b"S".to_vec()));
        assert!(!by_message.is_within_line(), "nothing has to be waited for");
        let mut by_preset = heard(b"<proceed/> injected\n", "<proceed/>");
        by_preset.end_exactly();
        for mut heard in [by_bytes, by_message, by_preset] {
            let refused = heard.begin_tls().expect_err("something was injected");
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
