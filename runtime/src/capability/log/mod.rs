//! The `log` capability: lines with a level, and what guests print.

mod printed;

pub use printed::Printed;

use super::{
    HostState,
    bindings::aviary::check::log::{Host, Level},
};
use crate::{grant::Capability, usage::CallResult};

impl Host for HostState {
    fn write(&mut self, level: Level, message: String) {
        self.usage.calls.count(Capability::Log, CallResult::Ok);
        self.usage.log.write(level.into(), &message);
    }
}

impl From<Level> for tracing::Level {
    fn from(level: Level) -> Self {
        match level {
            Level::Trace => Self::TRACE,
            Level::Debug => Self::DEBUG,
            Level::Info => Self::INFO,
            Level::Warn => Self::WARN,
            Level::Error => Self::ERROR,
        }
    }
}
