//! Limits as people write them, in manifests and policies.

use crate::value::{Limit, Size, TimeSpan, Unit};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, MapAccess, Visitor},
};
use serde_json::{Map, Value};
use std::{borrow::Cow, fmt, sync::LazyLock};

/// The keys that may stand under `limits`.
static KEYS: LazyLock<Vec<&'static str>> = LazyLock::new(|| under_limits().map(Limit::key).collect());

/// The amounts that somebody wrote under `limits`, each in its own unit, in the order in which they were written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WrittenLimits(pub(crate) Vec<(Limit, u64)>);

fn under_limits() -> impl Iterator<Item = Limit> {
    Limit::ALL.into_iter().filter(|limit| limit.is_under_limits())
}

impl<'de> Deserialize<'de> for WrittenLimits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Amounts)
    }
}

struct Amounts;

impl<'de> Visitor<'de> for Amounts {
    type Value = WrittenLimits;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("limits")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WrittenLimits, A::Error> {
        let mut amounts = Vec::new();
        while let Some(LimitKey(limit)) = map.next_key()? {
            let amount = match limit.unit() {
                Unit::Bytes => map.next_value::<Size>()?.get(),
                Unit::Time => map.next_value::<TimeSpan>()?.milliseconds(),
                Unit::Count => map.next_value::<u32>()?.into(),
            };
            amounts.push((limit, amount));
        }
        Ok(WrittenLimits(amounts))
    }
}

impl Serialize for WrittenLimits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(limit, amount)| (limit.key(), limit.written(*amount))))
    }
}

struct LimitKey(Limit);

impl<'de> Deserialize<'de> for LimitKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_identifier(KeyName)
    }
}

struct KeyName;

impl Visitor<'_> for KeyName {
    type Value = LimitKey;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the name of a limit")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<LimitKey, E> {
        let limit = under_limits().find(|limit| limit.key() == key);
        limit.map(LimitKey).ok_or_else(|| E::unknown_field(key, &KEYS))
    }
}

impl JsonSchema for WrittenLimits {
    fn schema_name() -> Cow<'static, str> {
        "Limits".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let properties: Map<String, Value> = under_limits()
            .map(|limit| (limit.key().to_owned(), property(limit, generator).to_value()))
            .collect();
        json_schema!({
            "description": "What the module may spend.",
            "type": "object",
            "properties": properties,
            "additionalProperties": false,
        })
    }
}

fn property(limit: Limit, generator: &mut SchemaGenerator) -> Schema {
    let (least, most) = (*limit.range().start(), *limit.range().end());
    let mut schema = match limit.unit() {
        Unit::Bytes => Size::json_schema(generator),
        Unit::Time => TimeSpan::json_schema(generator),
        Unit::Count => json_schema!({ "type": "integer" }),
    };
    // A schema cannot compare amounts with a unit, as they are text.
    if limit.unit() != Unit::Time {
        schema.insert("minimum".to_owned(), least.into());
        schema.insert("maximum".to_owned(), most.into());
    }
    let [least, most, default] = [least, most, limit.default()].map(|amount| limit.written(amount));
    let about = limit.about();
    schema.insert(
        "description".to_owned(),
        format!("{about}. {default} by default, from {least} to {most}.").into(),
    );
    schema
}
