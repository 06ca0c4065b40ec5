//! Aviary: health checks as sandboxed WebAssembly components.
//!
//! A source tells the inventory which checks should run; the inventory loads their modules into
//! the sandbox; the scheduler runs them; what comes of it stands on the board, which everybody
//! reads. See `docs/architecture.md`.

pub mod api;
pub mod board;
pub mod capability;
pub mod cli;
pub mod cluster;
pub mod daemon;
mod file;
pub mod grant;
pub mod history;
pub mod inventory;
pub mod ledger;
pub mod lifecycle;
pub mod outcome;
pub mod policy;
pub mod sandbox;
pub mod schedule;
pub mod scheduler;
mod shared;
pub mod signature;
pub mod source;
pub mod spec;
mod telemetry;
mod text;
mod turns;
