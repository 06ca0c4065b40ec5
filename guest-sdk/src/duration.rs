//! Durations with units for settings: `500ms`, `2s`, `5m`, `1h30m`, `14d`.
//!
//! `#[serde(deserialize_with = "aviary_guest::duration::deserialize")]` reads a [`Duration`], and
//! `#[serde(default, deserialize_with = "aviary_guest::duration::optional")]` one that may be missing.

use std::time::Duration;

use serde::Deserializer;

use crate::settings::Text;

/// Parses a duration such as `1h30m`. The error says what is wrong with it.
pub fn parse(text: &str) -> Result<Duration, String> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let (number, after) = split_where(rest, |c| !c.is_ascii_digit());
        let (unit, after) = split_where(after, |c| c.is_ascii_digit());
        let number =
            number.parse().map_err(|_| format!("{text:?} is not a duration like \"500ms\" or \"1h30m\""))?;
        total = scale(number, unit)
            .and_then(|part| total.checked_add(part).ok_or_else(|| "is too long".into()))
            .map_err(|reason| format!("{text:?} {reason}"))?;
        rest = after;
    }
    if text.is_empty() { Err("\"\" is not a duration like \"500ms\" or \"1h30m\"".into()) } else { Ok(total) }
}

/// Deserializes a duration from settings.
pub fn deserialize<'de, D: Deserializer<'de>>(source: D) -> Result<Duration, D::Error> {
    source.deserialize_str(Text("a duration like \"500ms\" or \"1h30m\"", parse))
}

/// Deserializes an optional duration from settings.
pub fn optional<'de, D: Deserializer<'de>>(source: D) -> Result<Option<Duration>, D::Error> {
    deserialize(source).map(Some)
}

/// The duration in milliseconds as the contract has them: at least one, at most some 49 days.
pub(crate) fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX).max(1)
}

fn split_where(text: &str, is_end: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(is_end).unwrap_or(text.len()))
}

fn scale(number: u64, unit: &str) -> Result<Duration, String> {
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "" => return Err("has no unit: write ms, s, m, h or d behind the number".into()),
        _ => return Err(format!("has the unknown unit {unit:?}: use ms, s, m, h or d")),
    };
    number.checked_mul(millis).map(Duration::from_millis).ok_or_else(|| "is too long".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_add_up() {
        assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(parse("1h30m"), Ok(Duration::from_secs(5_400)));
        assert_eq!(parse("14d"), Ok(Duration::from_secs(14 * 86_400)));
    }

    #[test]
    fn what_is_no_duration_is_refused_with_a_reason() {
        for (text, reason) in [
            ("", "is not a duration"),
            ("s", "is not a duration"),
            ("-1s", "is not a duration"),
            ("1.5s", "unknown unit \".\""),
            ("5", "has no unit"),
            ("5 s", "unknown unit \" s\""),
            ("5w", "unknown unit \"w\""),
            ("18446744073709551615d", "is too long"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(reason), "{text:?}: {error}");
        }
    }

    #[test]
    fn milliseconds_stay_within_the_contract() {
        assert_eq!(milliseconds(Duration::from_micros(1)), 1);
        assert_eq!(milliseconds(Duration::from_secs(2)), 2_000);
        assert_eq!(milliseconds(Duration::MAX), u32::MAX);
    }
}
