//! Numbers of JSON by their exact value, however they are written. Pure.

use std::cmp::Ordering;
use std::fmt::{self, Display, Formatter};

use aviary_guest::json::{Number, Value};

/// A decimal number: `0.<digits> × 10^exponent`, without zeros at the ends of the digits.
#[derive(Debug, Clone)]
pub struct Decimal {
    /// The number as it was written.
    text: String,
    is_negative: bool,
    digits: Vec<u8>,
    exponent: i64,
}

impl Decimal {
    /// The value of a number; none if its exponent does not fit 64 bits. It may have as many digits as a body has bytes.
    #[must_use]
    pub fn of(number: &Number) -> Option<Self> {
        let text = number.to_string();
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((&text, "0"));
        let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let whole_digits = whole.trim_start_matches('-');
        let digits: Vec<u8> = whole_digits.bytes().chain(part.bytes()).collect();
        let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
        let end = digits.iter().rposition(|digit| *digit != b'0').map_or(zeros, |last| last + 1);
        let digits = digits[zeros..end].to_vec();
        if digits.is_empty() {
            return Some(Self { text: text.clone(), is_negative: false, digits, exponent: 0 });
        }
        let exponent: i64 = exponent.trim_start_matches('+').parse().ok()?;
        let shift = i64::try_from(whole_digits.len()).ok()? - i64::try_from(zeros).ok()?;
        let is_negative = whole.starts_with('-');
        Some(Self { is_negative, digits, exponent: exponent.checked_add(shift)?, text })
    }

    fn cmp_size(&self, other: &Self) -> Ordering {
        match (self.digits.is_empty(), other.digits.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => self.exponent.cmp(&other.exponent).then_with(|| self.digits.cmp(&other.digits)),
        }
    }
}

impl Display for Decimal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal {}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.is_negative, other.is_negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => self.cmp_size(other),
            (true, true) => other.cmp_size(self),
        }
    }
}

/// Whether two values are the same: numbers by value, and everything else as JSON has it.
#[must_use]
pub fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one == other || Decimal::of(one).is_some_and(|one| Some(one) == Decimal::of(other))
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, one)| other.get(key).is_some_and(|other| same(one, other)))
        }
        (one, other) => one == other,
    }
}

#[cfg(test)]
mod tests {
    use aviary_guest::json::from_str;

    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::of(&from_str(text).expect("a number")).expect("a decimal")
    }

    fn alike(one: &str, other: &str) -> bool {
        same(&from_str(one).expect("JSON"), &from_str(other).expect("JSON"))
    }

    #[test]
    fn numbers_are_the_same_by_their_value() {
        for (one, other) in [
            ("1", "1.0"),
            ("1000", "1e3"),
            ("1000", "1.000E+3"),
            ("0", "-0.0"),
            ("0", "0e999"),
            ("1.5", "1.50"),
            ("0.001", "1e-3"),
            ("12345678901234567890123", "1.2345678901234567890123e22"),
            ("{\"a\": [1.0]}", "{\"a\": [1]}"),
        ] {
            assert!(alike(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("1", "-1"),
            ("1", "\"1\""),
            ("1", "1.0000000000000000000001"),
            ("123456789012345678901234567890", "123456789012345678901234567891"),
            ("1732600000123456789", "1732600000123456788"),
            ("true", "1"),
            ("[1, 2]", "[2, 1]"),
            ("[1]", "[1, 1]"),
        ] {
            assert!(!alike(one, other), "{one} {other}");
        }
    }

    #[test]
    fn all_digits_of_a_number_count_however_many_there_are() {
        let zeros = "0".repeat(100_000);
        assert!(alike("1", &format!("1.{zeros}")));
        assert!(!alike("1", &format!("1.{zeros}1")));
    }

    #[test]
    fn numbers_are_ordered_by_their_value() {
        let ascending = ["-1e30", "-2", "-1.5", "0", "1e-30", "0.1", "1", "9", "10", "1e30", "2e30"];
        for pair in ascending.windows(2) {
            assert!(decimal(pair[0]) < decimal(pair[1]), "{pair:?}");
        }
    }
}
