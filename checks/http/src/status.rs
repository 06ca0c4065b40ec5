//! Statuses of HTTP as settings have them. Pure.

use aviary_guest::json::Value;
use serde::de::{Deserialize, Deserializer, Error};

/// A range of statuses: `200`, `2xx` or `200-299`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusClass {
    first: u16,
    last: u16,
}

impl StatusClass {
    /// Every `2xx`.
    pub const SUCCESS: Self = Self { first: 200, last: 299 };

    /// Whether the status is in the range.
    #[must_use]
    pub fn contains(self, status: u16) -> bool {
        (self.first..=self.last).contains(&status)
    }

    fn parse(text: &str) -> Option<Self> {
        if let Some(hundred) = text.strip_suffix("xx") {
            let hundred: u16 = hundred.parse().ok().filter(|hundred| (1..=5).contains(hundred))?;
            return Some(Self { first: hundred * 100, last: hundred * 100 + 99 });
        }
        let status = |text: &str| text.trim().parse().ok().filter(|one| (100..1000).contains(one));
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let range = Self { first: status(first)?, last: status(last)? };
        (range.first <= range.last).then_some(range)
    }
}

impl<'de> Deserialize<'de> for StatusClass {
    /// Reads a status, a class or a range. YAML has `200` as a number and `2xx` as a text.
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let written = Value::deserialize(source)?;
        let text = written.as_str().map_or_else(|| written.to_string(), str::to_owned);
        Self::parse(&text).ok_or_else(|| {
            let shapes = "a status like 200, a class like \"2xx\" or a range like \"200-299\"";
            D::Error::custom(format!("{written} is not {shapes}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use aviary_guest::json::{from_value, json};

    use super::*;

    fn status(text: Value) -> Result<StatusClass, String> {
        from_value(text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_status_is_a_number_a_class_or_a_range() {
        let range = |first, last| Ok(StatusClass { first, last });
        assert_eq!(status(json!(204)), range(204, 204));
        assert_eq!(status(json!("204")), range(204, 204));
        assert_eq!(status(json!("5xx")), range(500, 599));
        assert_eq!(status(json!("200-299")), range(200, 299));
        assert_eq!(status(json!(999)), range(999, 999));
        for wrong in
            [json!("6xx"), json!("xx"), json!("ok"), json!(20), json!("2x"), json!("299-200"), json!("200-")]
        {
            let error = status(wrong).expect_err("no status");
            assert!(error.contains("is not a status like 200"), "{error}");
        }
    }

    #[test]
    fn both_ends_of_a_range_are_in_it() {
        let range = StatusClass::SUCCESS;
        assert_eq!([199, 200, 299, 300].map(|status| range.contains(status)), [false, true, true, false]);
    }
}
