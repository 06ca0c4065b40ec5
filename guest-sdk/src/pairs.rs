//! Maps in settings as a list of pairs, which make a smaller component than any map type.
//!
//! `#[serde(default, deserialize_with = "aviary_guest::pairs::deserialize")]` reads a `Vec<(String, T)>`.

use std::fmt::{self, Formatter};
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// Deserializes a map from settings as a list of pairs.
pub fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    source: D,
) -> Result<Vec<(String, T)>, D::Error> {
    source.deserialize_map(Pairs(PhantomData))
}

struct Pairs<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Pairs<T> {
    type Value = Vec<(String, T)>;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(pairs)
    }
}
