//! Lines for the daemon's log. Needs no grant.
//!
//! ```no_run
//! use aviary_guest::log;
//!
//! let replicas = 3;
//! log::info!("{replicas} replicas are ready");
//! ```

pub use crate::bindings::aviary::check::log::Level;
pub use crate::{__debug as debug, __error as error, __info as info, __trace as trace, __warn as warn};

/// Writes one line to the daemon's log. Control characters are escaped; a long line is cut.
pub fn write(level: Level, message: &str) {
    crate::bindings::aviary::check::log::write(level, message);
}

/// Writes a line of level trace, for every step.
#[doc(hidden)]
#[macro_export]
macro_rules! __trace {
    ($($format:tt)+) => { $crate::log::write($crate::log::Level::Trace, &::std::format!($($format)+)) };
}

/// Writes a line of level debug, for the check's author.
#[doc(hidden)]
#[macro_export]
macro_rules! __debug {
    ($($format:tt)+) => { $crate::log::write($crate::log::Level::Debug, &::std::format!($($format)+)) };
}

/// Writes a line of level info, for the operator.
#[doc(hidden)]
#[macro_export]
macro_rules! __info {
    ($($format:tt)+) => { $crate::log::write($crate::log::Level::Info, &::std::format!($($format)+)) };
}

/// Writes a line of level warn, about something odd.
#[doc(hidden)]
#[macro_export]
macro_rules! __warn {
    ($($format:tt)+) => { $crate::log::write($crate::log::Level::Warn, &::std::format!($($format)+)) };
}

/// Writes a line of level error, about something broken.
#[doc(hidden)]
#[macro_export]
macro_rules! __error {
    ($($format:tt)+) => { $crate::log::write($crate::log::Level::Error, &::std::format!($($format)+)) };
}
