//! Real guests in the real sandbox, named for their use or their crime.

mod capabilities;
mod crimes;
mod daemon;
mod rounds;
mod support;

// Where the guests lie. The constants are private, so that the compiler tells of a guest that no
// test uses.
include!("../../../target/guests/guests.rs");
