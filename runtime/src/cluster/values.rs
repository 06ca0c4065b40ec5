//! A limit on the values of a JSON text, counted before it is parsed: each takes a hundred times the memory
//! of its text.

use http_body_util::Limited;
use hyper::body::{Body, Bytes, Frame};
use std::{
    error::Error,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// The most values of a JSON text that is parsed as generic objects, which then take 35 MiB at most.
pub(crate) const MOST_VALUES: usize = 50_000;

/// Counts the values of a JSON text as it comes in, at most one too few.
#[derive(Default)]
pub(crate) struct Values {
    count: usize,
    in_text: bool,
    is_escaped: bool,
}

/// The JSON text has more values than this number.
#[derive(Debug, thiserror::Error)]
#[error("it has more than {0} values")]
pub(crate) struct TooManyValues(usize);

/// The body of a JSON answer that ends with an error when it has too many bytes or values.
pub(super) struct Bounded<B> {
    body: Limited<B>,
    values: Values,
    most: usize,
}

impl Values {
    /// Counts the values of the next part of the text.
    ///
    /// # Errors
    /// When the text has more than `most` values by now.
    pub(crate) fn count(&mut self, text: &[u8], most: usize) -> Result<(), TooManyValues> {
        for letter in text {
            match letter {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = self.in_text,
                b'"' => self.in_text = !self.in_text,
                // Each value but the first comes after one of these characters.
                b',' | b'[' | b'{' if !self.in_text => self.count += 1,
                _ => {}
            }
        }
        if self.count > most { Err(TooManyValues(most)) } else { Ok(()) }
    }
}

impl<B> Bounded<B> {
    pub(super) fn new(body: B, most_bytes: usize, most_values: usize) -> Self {
        Self { body: Limited::new(body, most_bytes), values: Values::default(), most: most_values }
    }
}

impl<B> Body for Bounded<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(context)?) else {
            return Poll::Ready(None);
        };
        let most = self.most;
        if let Some(data) = frame.data_ref() {
            self.values.count(data, most)?;
        }
        Poll::Ready(Some(Ok(frame)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn count(text: &[u8]) -> usize {
        let mut values = Values::default();
        text.chunks(1).try_for_each(|part| values.count(part, usize::MAX)).expect("any number");
        values.count
    }

    #[test]
    fn what_stands_in_texts_is_no_value() {
        for (text, values) in [
            (r#"{"a": 1, "b": [true, null, {"c": "d"}]}"#, 6),
            (r#"{"a": "[,{", "b\\": "\",{[", "c": "\\"}"#, 3),
            (r#""a,b""#, 0),
        ] {
            assert!(serde_json::from_str::<Value>(text).is_ok(), "{text}");
            assert_eq!(count(text.as_bytes()), values, "{text}");
        }
    }

    #[test]
    fn no_more_values_than_allowed() {
        let text = format!("[{}0]", r#"{"":0},"#.repeat(24));
        assert!(Values::default().count(text.as_bytes(), 49).is_ok());
        let refusal = Values::default().count(text.as_bytes(), 48).expect_err("one more");
        assert_eq!(refusal.to_string(), "it has more than 48 values");
    }
}
