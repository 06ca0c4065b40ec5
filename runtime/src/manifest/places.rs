//! The line and column of everything in a document.

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::Spanned;
use std::fmt;

/// The line and column of everything in a document.
pub(super) enum Places {
    Map(Vec<(String, Spanned<Places>)>),
    List(Vec<Spanned<Places>>),
    Scalar,
}

impl Places {
    /// The value of a key and its place; none if this is no map with that key.
    pub(super) fn get(&self, key: &str) -> Option<&Spanned<Self>> {
        match self {
            Self::Map(values) => values.iter().find(|(name, _)| name == key).map(|(_, to)| to),
            Self::List(_) | Self::Scalar => None,
        }
    }
}

impl<'de> Deserialize<'de> for Places {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Places;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Places, A::Error> {
        let mut values = Vec::new();
        while let Some(entry) = map.next_entry()? {
            values.push(entry);
        }
        Ok(Places::Map(values))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Places, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Places::List(items))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Places, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Places::Scalar)
    }

    fn visit_unit<E>(self) -> Result<Places, E> {
        Ok(Places::Scalar)
    }

    fn visit_none<E>(self) -> Result<Places, E> {
        Ok(Places::Scalar)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Places, E> {
        Ok(Places::Scalar)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Places, E> {
        Ok(Places::Scalar)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Places, E> {
        Ok(Places::Scalar)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Places, E> {
        Ok(Places::Scalar)
    }

    fn visit_str<E>(self, _: &str) -> Result<Places, E> {
        Ok(Places::Scalar)
    }
}
