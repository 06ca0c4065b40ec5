//! Settings as JSON, with numbers as they were written.
//!
//! The YAML reader makes 64 bits of a number. What is beyond them is taken from the text.

use crate::manifest::{build::MOST_SETTINGS, places::Places, read};
use serde_json::{Map, Number, Value};
use serde_saphyr::{Location, Spanned};

/// The settings of a document as JSON with all digits of their numbers; none if the reader has kept them all. `text` is
/// the file, and `document` the number of the document in it.
pub(super) fn json(settings: &Map<String, Value>, text: &str, document: usize) -> Option<String> {
    // Settings that are too large are refused, and not worth another look.
    let is_small = || serde_json::to_string(settings).is_ok_and(|json| json.len() <= MOST_SETTINGS);
    if !settings.values().any(may_have_lost_digits) || !is_small() {
        return None;
    }
    let documents: Vec<Spanned<Places>> = read(text).ok()?;
    let places = documents.get(document)?.value.get("spec")?.value.get("settings")?;
    let mut json = String::new();
    write_map(settings, &places.value, text, &mut json);
    Some(json)
}

fn may_have_lost_digits(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.as_i64().is_none() && number.as_u64().is_none(),
        Value::Array(items) => items.iter().any(may_have_lost_digits),
        Value::Object(map) => map.values().any(may_have_lost_digits),
        _ => false,
    }
}

fn write(value: &Value, place: &Spanned<Places>, text: &str, json: &mut String) {
    match (value, &place.value) {
        (Value::Object(map), places) => write_map(map, places, text, json),
        (Value::Array(items), Places::List(places)) if items.len() == places.len() => {
            json.push('[');
            for (index, (item, place)) in items.iter().zip(places).enumerate() {
                json.push_str(if index == 0 { "" } else { "," });
                write(item, place, text, json);
            }
            json.push(']');
        }
        (Value::Number(number), _) if may_have_lost_digits(value) => {
            let written = literal(text, place.referenced).filter(|written| is_same(written, number));
            json.push_str(&written.unwrap_or_else(|| number.to_string()));
        }
        (value, _) => json.push_str(&value.to_string()),
    }
}

fn write_map(map: &Map<String, Value>, places: &Places, text: &str, json: &mut String) {
    json.push('{');
    for (index, (key, value)) in map.iter().enumerate() {
        json.push_str(if index == 0 { "" } else { "," });
        json.push_str(&Value::from(key.as_str()).to_string());
        json.push(':');
        match places.get(key) {
            Some(place) => write(value, place, text, json),
            None => json.push_str(&value.to_string()),
        }
    }
    json.push('}');
}

/// The characters of a number at a place of the text. YAML lets a number begin with a plus, and JSON does not.
fn literal(text: &str, place: Location) -> Option<String> {
    let start = usize::try_from(place.span().byte_offset()?).ok()?;
    let letters = text.get(start..)?.chars().skip_while(|letter| *letter == '+');
    Some(letters.take_while(|letter| letter.is_ascii_digit() || "+-.eE".contains(*letter)).collect())
}

/// Whether characters are a number of JSON, and the one that the reader has read.
fn is_same(written: &str, read: &Number) -> bool {
    serde_json::from_str::<Number>(written).is_ok_and(|written| written.as_f64() == read.as_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(settings: &str) -> Option<String> {
        let text = format!("a: 1\n---\nspec:\n  settings: {settings}\n");
        let documents: Vec<Value> = read(&text).expect("documents");
        let settings = documents[1]["spec"]["settings"].as_object().expect("settings");
        json(settings, &text, 1)
    }

    #[test]
    fn numbers_keep_the_digits_that_64_bits_do_not_hold() {
        for (written, kept) in [
            ("{ä: 123456789012345678901234567890}", "{\"ä\":123456789012345678901234567890}"),
            ("{a: {b: [1, -98765432109876543210, x]}}", "{\"a\":{\"b\":[1,-98765432109876543210,\"x\"]}}"),
            (
                "\n    a: 0.12345678901234567890123\n    b: true",
                "{\"a\":0.12345678901234567890123,\"b\":true}",
            ),
            ("{a: 1.50, b: 1e3}", "{\"a\":1.50,\"b\":1e3}"),
            ("{a: .5}", "{\"a\":0.5}"),
            ("{a: +123456789012345678901234567890}", "{\"a\":123456789012345678901234567890}"),
        ] {
            assert_eq!(exact(written).as_deref(), Some(kept), "{written}");
        }
    }

    #[test]
    fn settings_whose_numbers_fit_are_left_to_the_reader() {
        for written in ["{}", "{a: 1, b: -5, c: 18446744073709551615, d: \"1.5\"}"] {
            assert_eq!(exact(written), None, "{written}");
        }
    }
}
