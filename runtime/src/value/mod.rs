//! The values that manifests, policies and the command line are made of. Each type can only hold what is valid.

/// Gives a type that is written as text its conversions for `serde`.
macro_rules! text_conversions {
    ($type:ty) => {
        impl TryFrom<String> for $type {
            type Error = <Self as std::str::FromStr>::Err;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.to_string()
            }
        }
    };
}
pub(crate) use text_conversions;

mod digest;
mod duration;
mod key;
mod limits;
mod module;
mod origin;
mod proxy;
mod size;

pub use digest::{Blob, Digest, DigestError};
pub use duration::{DurationError, TimeSpan};
pub use key::{Key, KeyError};
pub use limits::{Limit, LimitError, Limits, Unit, WrittenLimits};
pub(crate) use module::ENDINGS;
pub use module::{Module, ModuleError, ModuleRef};
pub use origin::{ConfigMapName, Origin};
pub use proxy::{Proxy, ProxyError};
pub use size::{Size, SizeError};
