//! Write a health check for Aviary in a few lines of Rust.
//!
//! ```
//! use aviary_guest::{Check, Outcome, http};
//!
//! #[derive(serde::Deserialize)]
//! struct Page {
//!     url: String,
//! }
//!
//! impl Check for Page {
//!     fn poll(&mut self) -> Result<Outcome, String> {
//!         let page = http::get(&self.url).send()?;
//!         Ok(Outcome::pass_if(page.is_success(), format!("status {}", page.status)))
//!     }
//! }
//!
//! aviary_guest::export!(Page);
//! ```
//!
//! The crate's `Cargo.toml` says `crate-type = ["cdylib"]`, and
//! `cargo build --release --target wasm32-wasip2` makes the `.wasm` file.
//!
//! [`dns`], [`http`], [`kubernetes`], [`log`], [`metrics`], [`secrets`] and [`tcp`] are capabilities. A
//! component asks for exactly those whose functions it calls; all but `log` and `metrics` have to be
//! granted in the check's manifest. [`duration`], [`limits`], [`pairs`], [`pattern`], [`targets`] and [`url`] are
//! kinds of settings.

use serde::de::DeserializeOwned;

pub use bindings::aviary::check::types::{Outcome, Status, Target};
pub use outcome::Finding;
pub use serde_json as json;

pub mod dns;
pub mod duration;
pub mod http;
pub mod kubernetes;
pub mod limits;
pub mod log;
pub mod metrics;
pub mod pairs;
pub mod pattern;
pub mod secrets;
pub mod targets;
pub mod tcp;
pub mod tls;
pub mod url;

mod address_family;
// Public only for the code that `export!` expands to.
#[doc(hidden)]
pub mod bindings;
mod outcome;
#[doc(hidden)]
pub mod round;
mod settings;

/// A health check.
///
/// The value is read from the manifest's `settings` and lives for one round: an `init`, a `poll` at
/// each due time, and a cleanup. Fields with `#[serde(skip)]` are its state, and
/// `#[serde(deny_unknown_fields)]` tells operators about keys that they got wrong. A check without
/// settings is a struct with empty braces.
pub trait Check: DeserializeOwned {
    /// Starts a round. The error says what is wrong and what to do about it.
    fn init(&mut self) -> Result<(), String> {
        Ok(())
    }

    /// Judges once what the check looks at. An error counts as a fail with that message.
    fn poll(&mut self) -> Result<Outcome, String>;

    /// Ends a round: removes whatever `init` and `poll` made, also after an `init` that failed.
    fn cleanup(&mut self) -> Result<(), String> {
        Self::sweep()
    }

    /// Removes what a round left behind whose value was lost to a trap or a timeout.
    ///
    /// There are no settings then, so things have to be found by name or label.
    fn sweep() -> Result<(), String> {
        Ok(())
    }
}

/// Makes a type that implements [`Check`] the check of the component. It is called once per crate.
#[macro_export]
macro_rules! export {
    ($check:ty) => {
        const _: () = {
            ::std::thread_local! {
                static ROUND: $crate::round::Round<$check> = const { $crate::round::Round::new() };
            }

            struct Component;

            impl $crate::bindings::exports::aviary::check::lifecycle::Guest for Component {
                fn init(settings: ::std::string::String) -> ::std::result::Result<(), ::std::string::String> {
                    ROUND.with(|round| round.init(&settings))
                }

                fn poll() -> ::std::result::Result<$crate::Outcome, ::std::string::String> {
                    ROUND.with($crate::round::Round::poll)
                }

                fn cleanup() -> ::std::result::Result<(), ::std::string::String> {
                    ROUND.with($crate::round::Round::cleanup)
                }
            }

            // A native linker does not know such names of symbols. A native build only serves tests of the
            // check.
            #[cfg(target_family = "wasm")]
            $crate::bindings::export_component!(
                Component with_types_in $crate::bindings
            );
            #[cfg(not(target_family = "wasm"))]
            const _: Component = Component;
        };
    };
}
