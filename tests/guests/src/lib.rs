//! Helpful and hostile guests for the tests of the runtime, each named for its use or crime.
//!
//! The build script makes them, the SDK's examples and the built-in checks into `target/guests` of the
//! workspace. [`for_each!`] hands out their names and paths:
//!
//! ```
//! macro_rules! guest {
//!     ($name:ident $path:literal) => {
//!         const $name: &str = $path;
//!     };
//! }
//! test_guests::for_each!(guest);
//!
//! assert!(std::path::Path::new(SPINS_IN_POLL).is_file());
//! ```
//!
//! Crimes that Rust cannot commit are written as text in `crimes/`, as README.md has it. [`GALLERY`] lists
//! every crime, with what has to become of it; [`bombs`] makes what is hostile to the compiler.
//!
//! The constants are private and made by the test's own macro: so the compiler tells of each guest that
//! no test uses, which it does not for constants that another crate's macro makes.

// A build for wasm makes the guests themselves, which need no guests.
#[cfg(not(target_family = "wasm"))]
include!(concat!(env!("OUT_DIR"), "/guests.rs"));

#[cfg(not(target_family = "wasm"))]
pub mod bombs;
#[cfg(not(target_family = "wasm"))]
mod gallery;

#[cfg(not(target_family = "wasm"))]
pub use gallery::{Crime, End, GALLERY};
