//! Helpful and hostile guests for the tests of the runtime, each named for its use or crime.
//!
//! The build script makes them, the SDK's examples and the built-in checks into `target/guests` of the
//! workspace. The constants of this crate are their paths.
//!
//! The same constants, private ones, stand in `target/guests/guests.rs`. A test that includes that file
//! (`include!("../../target/guests/guests.rs")`) is told by the compiler about guests that it does not use.

include!(concat!(env!("OUT_DIR"), "/guests.rs"));
