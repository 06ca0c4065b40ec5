//! Amounts of bytes as people write them.

use crate::text::quote;
use schemars::JsonSchema;
use serde::Deserialize;
use std::{fmt, str::FromStr};

const UNITS: [(&str, u64); 9] = [
    ("Ti", 1 << 40),
    ("T", 1_000_000_000_000),
    ("Gi", 1 << 30),
    ("G", 1_000_000_000),
    ("Mi", 1 << 20),
    ("M", 1_000_000),
    ("Ki", 1 << 10),
    ("k", 1_000),
    ("", 1),
];

/// An amount of bytes, written as Kubernetes writes memory: `64Mi`, `1Gi`, `500k`, `1048576`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(inline, extend("type" = ["string", "integer"], "pattern" = r"^[0-9]+(k|M|G|T|Ki|Mi|Gi|Ti)?$"))]
pub struct Size(u64);

/// Why a text is not an amount of bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// The text is not a whole number with an optional unit.
    #[error("{} is not a size: write whole bytes or for example `500k`, `64Mi` or `1Gi`", quote(.0))]
    Malformed(String),
    /// The amount is more than 64 bits can count.
    #[error("{} is too large", quote(.0))]
    TooLarge(String),
}

impl Size {
    /// An amount of `bytes` bytes.
    pub const fn bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// An amount of `count` MiB, which are 1,048,576 bytes each.
    pub const fn mebibytes(count: u32) -> Self {
        Self((count as u64) << 20)
    }

    /// The amount in bytes.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The amount in bytes, or as many as this machine can address.
    pub fn in_memory(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        let malformed = || SizeError::Malformed(text.to_owned());
        let too_large = || SizeError::TooLarge(text.to_owned());
        let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
        let (_, size) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(malformed)?;
        if number.is_empty() {
            return Err(malformed());
        }
        let count: u64 = number.parse().map_err(|_| too_large())?;
        count.checked_mul(*size).map(Self).ok_or_else(too_large)
    }
}

super::text_conversions!(Size);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |size: u64| self.0 >= size && self.0.is_multiple_of(size);
        match UNITS.iter().find(|(_, size)| fits(*size)) {
            Some((unit, size)) => write!(f, "{}{unit}", self.0 / size),
            None => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::value::size::*;

    #[test]
    fn sizes_are_read_and_printed_as_kubernetes_writes_them() {
        for (text, bytes) in [
            ("0", 0),
            ("1023", 1023),
            ("500k", 500_000),
            ("64Mi", 67_108_864),
            ("1Gi", 1_073_741_824),
            ("2T", 2_000_000_000_000),
        ] {
            let size: Size = text.parse().expect("valid");
            assert_eq!(size, Size::bytes(bytes));
            assert_eq!(size.to_string(), text);
        }
        assert_eq!("1024Ki".parse(), Ok(Size::mebibytes(1)));
    }

    #[test]
    fn anything_but_a_whole_number_with_a_known_unit_is_refused() {
        for text in ["", "Mi", "1.5Gi", "-1", "64 Mi", "64MB", "64mi", "64m", "1e3", "0x10", "٣k"] {
            assert_eq!(text.parse::<Size>(), Err(SizeError::Malformed(text.to_owned())), "{text:?}");
        }
    }

    #[test]
    fn sizes_beyond_64_bits_are_refused() {
        for text in ["18446744073709551616", "16777216Ti"] {
            assert_eq!(text.parse::<Size>(), Err(SizeError::TooLarge(text.to_owned())), "{text:?}");
        }
    }
}
