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
mod fair_semaphore;
mod file;
pub mod grant;
pub mod history;
pub mod inventory;
pub mod ledger;
pub mod lifecycle;
pub mod manifest;
pub mod notify;
pub mod outcome;
pub mod policy;
mod quota;
pub mod sandbox;
pub mod schedule;
pub mod scheduler;
pub mod settings;
pub mod signature;
pub mod source;
mod telemetry;
mod text;
pub mod usage;
pub mod value;
