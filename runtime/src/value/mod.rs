//! The values that manifests, policies and the command line are made of. Each type can only hold what is valid.

mod digest;
mod duration;
mod key;
mod limits;
mod module;
mod origin;
mod size;

pub use digest::{Blob, Digest, DigestError};
pub use duration::{DurationError, TimeSpan};
pub use key::{Key, KeyError};
pub use limits::{Limit, LimitError, Limits, Unit, WrittenLimits};
pub(crate) use module::ENDINGS;
pub use module::{Module, ModuleError, ModuleRef};
pub use origin::{ConfigMapName, Origin};
pub use size::{Size, SizeError};
