//! Which addresses of a name may be dialled, also as a setting: `any`, `ipv4` or `ipv6`.

use serde::{Deserialize, Deserializer};

use crate::settings::Text;

pub use crate::bindings::aviary::check::types::AddressFamily;

impl Default for AddressFamily {
    fn default() -> Self {
        Self::Any
    }
}

impl<'de> Deserialize<'de> for AddressFamily {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_str(Text("`any`, `ipv4` or `ipv6`", parse))
    }
}

fn parse(text: &str) -> Result<AddressFamily, String> {
    match text {
        "any" => Ok(AddressFamily::Any),
        "ipv4" => Ok(AddressFamily::Ipv4),
        "ipv6" => Ok(AddressFamily::Ipv6),
        _ => Err(format!("{text:?} is no family of addresses: use `any`, `ipv4` or `ipv6`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings;

    #[derive(Deserialize, Debug)]
    #[serde(rename_all = "camelCase")]
    struct Settings {
        #[serde(default)]
        ip_family: AddressFamily,
    }

    #[test]
    fn a_family_is_one_of_three_words_and_any_without_one() {
        let read = |text: &str| settings::parse::<Settings>(text).map(|settings| settings.ip_family);
        assert_eq!(read("{}"), Ok(AddressFamily::Any));
        assert_eq!(read(r#"{"ipFamily":"ipv6"}"#), Ok(AddressFamily::Ipv6));
        let refused = read(r#"{"ipFamily":"IPv6"}"#).expect_err("capitals");
        assert_eq!(
            refused,
            "settings.ipFamily: \"IPv6\" is no family of addresses: use `any`, `ipv4` or `ipv6`"
        );
    }
}
