//! The body as a JSON document, and the values that a path leads to. Pure.

use std::borrow::Cow;

use aviary_guest::json::{Value, from_str};

/// A path in a JSON document: a JSON Pointer (RFC 6901) in which the part `*` stands for every element of an array or
/// object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Path {
    text: String,
    parts: Vec<String>,
}

impl Path {
    /// Parses a path. The error says how a path is written, and how this one was meant.
    pub fn new(text: &str) -> Result<Self, String> {
        if !text.is_empty() && !text.starts_with('/') {
            return Err(format!("{text:?} is no JSON Pointer: write {:?}", as_pointer(text)));
        }
        let parts = text.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~")).collect();
        Ok(Self { text: text.to_owned(), parts })
    }

    /// The path as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Looks at each value that the path leads to, and at its own path, until `look` returns false. Where an element has
    /// nothing at the rest of the path, it looks at none.
    pub fn visit(&self, document: &Value, look: &mut Look<'_>) {
        step(document, &self.parts, &mut String::new(), look);
    }
}

/// What looks at a value and at its path; false ends the visit.
pub type Look<'a> = dyn FnMut(&str, Option<&Value>) -> bool + 'a;

fn step(value: &Value, parts: &[String], at: &mut String, look: &mut Look<'_>) -> bool {
    let Some((part, rest)) = parts.split_first() else { return look(at, Some(value)) };
    let mut below = |key: &str, item: Option<&Value>, rest: &[String]| {
        let length = at.len();
        push(at, key);
        let goes_on = match item {
            Some(item) => step(item, rest, at, look),
            None => {
                rest.iter().for_each(|part| push(at, part));
                look(at, None)
            }
        };
        at.truncate(length);
        goes_on
    };
    match (value, part.as_str()) {
        (Value::Array(items), "*") => {
            items.iter().enumerate().all(|(index, item)| below(&index.to_string(), Some(item), rest))
        }
        (Value::Object(map), "*") => map.iter().all(|(key, item)| below(key, Some(item), rest)),
        (Value::Object(map), key) => below(key, map.get(key), rest),
        (Value::Array(items), index) => below(index, position(index).and_then(|at| items.get(at)), rest),
        (_, key) => below(key, None, rest),
    }
}

/// Puts a part at the end of a path, escaped (RFC 6901, section 3).
fn push(path: &mut String, part: &str) {
    path.push('/');
    for letter in part.chars() {
        match letter {
            '~' => path.push_str("~0"),
            '/' => path.push_str("~1"),
            letter => path.push(letter),
        }
    }
}

/// The number of an element (RFC 6901, section 4); none if the part is no number, or has zeros in front.
fn position(part: &str) -> Option<usize> {
    let is_plain = part == "0" || part.starts_with(|first: char| matches!(first, '1'..='9'));
    part.parse().ok().filter(|_| is_plain)
}

/// The JSON Pointer that somebody meant who wrote another kind of path: `$.a.b[0]` is `/a/b/0`.
fn as_pointer(text: &str) -> String {
    let text = text.strip_prefix('$').unwrap_or(text);
    let parts = text.split(['.', '/', '[', ']', '\'', '"']).filter(|part| !part.is_empty());
    parts.map(|part| format!("/{part}")).collect()
}

/// Parses a body as JSON. The error says where and why it does not parse.
pub fn parse(body: &str) -> Result<Value, String> {
    if body.trim_ascii().is_empty() {
        return Err("it is empty".into());
    }
    let parsed = from_str(body).or_else(|error| match replace_lone_surrogates(body) {
        Cow::Owned(replaced) => from_str(&replaced),
        Cow::Borrowed(_) => Err(error),
    });
    parsed.map_err(|error| {
        let message = error.to_string();
        let reason = message.rfind(" at line ").map_or(message.as_str(), |end| &message[..end]);
        let reason = match reason {
            "trailing characters" => "there is more after the end of the document",
            "recursion limit exceeded" => "it is nested more than 127 deep",
            "expected value" | "expected ident" => "no JSON value begins here",
            early if early.starts_with("EOF") => "the document ends too early",
            other => other,
        };
        format!("line {} column {}: {reason}", error.line(), error.column())
    })
}

/// The text with escapes of half a character replaced, as browsers do: `\ud800` is `\ufffd`.
fn replace_lone_surrogates(text: &str) -> Cow<'_, str> {
    let unit = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let (mut lone, mut at) = (Vec::new(), 0);
    while let Some(found) = text[at..].find('\\') {
        at += found;
        match unit(at) {
            Some(0xd800..0xdc00) if matches!(unit(at + 6), Some(0xdc00..0xe000)) => at += 12,
            Some(0xd800..0xe000) => {
                lone.push(at);
                at += 6;
            }
            // The backslash and what it escapes.
            _ => at += 1 + text[at + 1..].chars().next().map_or(0, char::len_utf8),
        }
    }
    if lone.is_empty() {
        return text.into();
    }
    let mut replaced = text.to_owned();
    for at in lone {
        replaced.replace_range(at..at + 6, "\\ufffd");
    }
    replaced.into()
}

#[cfg(test)]
mod tests {
    use aviary_guest::json::json;

    use super::*;

    fn found(path: &str, document: &Value) -> Vec<(String, Option<Value>)> {
        let mut found = Vec::new();
        Path::new(path).expect("a path").visit(document, &mut |at, value| {
            found.push((at.to_owned(), value.cloned()));
            true
        });
        found
    }

    #[test]
    fn a_path_leads_to_one_value_or_to_every_element() {
        let document = json!({"items": [{"ok": true}, {"ok": false}, {}], "a/b": {"c~d": 1}, "": 2});
        let some = |path: &str, value| (path.to_owned(), Some(value));
        assert_eq!(found("/items/0/ok", &document), [some("/items/0/ok", json!(true))]);
        assert_eq!(
            found("/items/*/ok", &document),
            [
                some("/items/0/ok", json!(true)),
                some("/items/1/ok", json!(false)),
                ("/items/2/ok".into(), None)
            ]
        );
        assert_eq!(found("/a~1b/*", &document), [some("/a~1b/c~0d", json!(1))]);
        assert_eq!(found("/", &document), [some("/", json!(2))]);
        assert_eq!(found("", &document), [some("", document.clone())]);
        for nowhere in ["/items/3", "/items/01", "/items/-", "/x", "/x/*/y", "/items/0/ok/x", "/items/0/ok/*"]
        {
            assert_eq!(found(nowhere, &document), [(nowhere.into(), None)]);
        }
    }

    #[test]
    fn a_visit_ends_when_enough_has_been_seen() {
        let mut seen = 0;
        Path::new("/*/*").expect("a path").visit(&json!([[1, 2, 3], [4]]), &mut |_, _| {
            seen += 1;
            seen < 2
        });
        assert_eq!(seen, 2);
    }

    #[test]
    fn a_path_of_another_kind_is_refused_with_the_right_spelling() {
        for (wrong, right) in
            [("status", "/status"), ("$.a.b[0]", "/a/b/0"), ("$['a'][\"b\"]", "/a/b"), ("a/b", "/a/b")]
        {
            let error = Path::new(wrong).expect_err(wrong);
            assert_eq!(error, format!("{wrong:?} is no JSON Pointer: write {right:?}"));
        }
    }

    #[test]
    fn a_body_that_does_not_parse_is_told_by_line_column_and_reason() {
        let deep = "[".repeat(200) + &"]".repeat(200);
        for (body, reason) in [
            ("", "it is empty"),
            (" \r\n", "it is empty"),
            ("{\"ok\":4,}", "line 1 column 9: trailing comma"),
            ("{\"a\":NaN}", "line 1 column 6: no JSON value begins here"),
            ("{\"a\":1}\n{\"a\":2}", "line 2 column 1: there is more after the end of the document"),
            (")]}',\n{}", "line 1 column 1: no JSON value begins here"),
            ("{\"a\"", "line 1 column 4: the document ends too early"),
            ("{\"a\":nothing}", "line 1 column 7: no JSON value begins here"),
            (&deep, "line 1 column 128: it is nested more than 127 deep"),
        ] {
            assert_eq!(parse(body), Err(reason.to_owned()), "{body:.20}");
        }
    }

    #[test]
    fn escapes_of_half_a_character_are_read_as_browsers_read_them() {
        let read = parse(r#"{"a":"\ud83d\ude00","b":"\ud800","c":"x\udc00y\\ud800","d":"\u006fk"}"#);
        assert_eq!(read, Ok(json!({"a": "😀", "b": "\u{fffd}", "c": "x\u{fffd}y\\ud800", "d": "ok"})));
    }
}
