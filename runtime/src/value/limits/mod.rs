//! What one check may spend: one table, from which everything that speaks of limits is made.

#[cfg(test)]
mod tests;
mod written;

pub use written::WrittenLimits;

use crate::value::{Size, TimeSpan};
use std::{
    ops::RangeInclusive,
    sync::{Arc, LazyLock},
    time::Duration,
};

const KI: u64 = 1024;
const MI: u64 = 1024 * KI;
const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;

/// Makes the enum [`Limit`] and its table from the same rows, so that no limit can be in only one of them.
macro_rules! limits {
    ($($(#[doc = $about:literal])+ $limit:ident $key:literal: $unit:ident = $default:expr, $range:expr;)+) => {
        /// Something of which one check may have only so much.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Limit {
            $($(#[doc = $about])+ $limit,)+
        }

        impl Limit {
            /// Every limit, in the order of the discriminants.
            pub const ALL: [Self; [$($key),+].len()] = [$(Self::$limit),+];
        }

        static TABLE: [Row; Limit::ALL.len()] = [$(Row {
            key: $key,
            about: concat!($($about),+),
            unit: Unit::$unit,
            default: $default,
            range: $range,
        }),+];
    };
}

limits! {
    /// all linear memories together
    Memory "memory": Bytes = 64 * MI, 2 * MI..=1024 * MI;
    /// tables of one guest; a place of the pool has no more
    Tables "tables": Count = 4, 1..=4;
    /// elements of one table; a place of the pool has no more
    TableElements "tableElements": Count = 20_000, 1..=20_000;
    /// core instances that one guest is made of; a place of the pool has no more
    Instances "instances": Count = 32, 1..=32;
    /// resource handles held at once
    Handles "handles": Count = 1_000, 1..=10_000;
    /// handed over by the guest in one host call, or as its answer
    HostCallBytes "hostCallBytes": Bytes = MI, 4 * KI..=64 * MI;
    /// processor time of each poll and cleanup
    Cpu "cpu": Time = SECOND, 10..=MINUTE;
    /// processor time of each init; if only `cpu` is given and is more, as much as that
    InitCpu "initCpu": Time = 5 * SECOND, 10..=MINUTE;
    /// calls to capabilities in each run; `log` and `metrics` do not count
    HostCalls "hostCalls": Count = 50, 1..=10_000;
    /// requests of one `send-all` that are under way at once
    ConcurrentCalls "concurrentCalls": Count = 8, 1..=32;
    /// received from others in each run, over all capabilities
    BytesIn "bytesIn": Bytes = 64 * MI, KI..=1024 * MI;
    /// sent to others in each run, over all capabilities
    BytesOut "bytesOut": Bytes = 16 * MI, KI..=1024 * MI;
    /// lines in the daemon's log in ten seconds
    LogLines "logLines": Count = 100, 1..=10_000;
    /// bytes in the daemon's log in ten seconds
    LogBytes "logBytes": Bytes = 64 * KI, KI..=MI;
    /// the message of an outcome
    MessageBytes "messageBytes": Bytes = 4 * KI, 64..=16 * KI;
    /// targets of an outcome
    Targets "targets": Count = 200, 1..=1_000;
    /// all targets of an outcome together
    TargetBytes "targetBytes": Bytes = 32 * KI, KI..=256 * KI;
    /// series of the check's own metrics
    Series "series": Count = 50, 1..=1_000;
    /// names of targets, and keys and values of labels
    LabelBytes "labelBytes": Bytes = 128, 16..=512;
    /// wall clock of each init, run and cleanup; its key is beside `limits`
    Timeout "timeout": Time = 10 * SECOND, 1..=60 * MINUTE;
}

struct Row {
    key: &'static str,
    about: &'static str,
    unit: Unit,
    default: u64,
    range: RangeInclusive<u64>,
}

/// What the amounts of a limit count, and so how they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes, as a [`Size`].
    Bytes,
    /// Milliseconds, as a [`TimeSpan`].
    Time,
    /// Anything that is counted, as a whole number.
    Count,
}

/// An amount that is out of its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is {}: choose between {} and {}", .limit.path(), .limit.written(*.amount),
    .limit.written(*.limit.range().start()), .limit.written(*.limit.range().end()))]
pub struct LimitError {
    /// The limit whose amount is out of its range.
    pub limit: Limit,
    /// The refused amount, in the limit's unit.
    pub amount: u64,
}

impl Limit {
    /// The key of the limit in manifests and policies, and the value of the metric label `limit`.
    pub fn key(self) -> &'static str {
        self.row().key
    }

    /// What the limit is about, in words.
    pub fn about(self) -> &'static str {
        self.row().about.trim_ascii()
    }

    /// The unit in which amounts of the limit are counted.
    pub fn unit(self) -> Unit {
        self.row().unit
    }

    /// The amount for a check whose manifest says nothing, in the limit's unit.
    pub fn default(self) -> u64 {
        self.row().default
    }

    /// The amounts that a manifest can ask for, in the limit's unit.
    pub fn range(self) -> &'static RangeInclusive<u64> {
        &self.row().range
    }

    /// An amount as people write it: `64Mi`, `10s`, `200`.
    pub fn written(self, amount: u64) -> String {
        match self.unit() {
            Unit::Bytes => Size::bytes(amount).to_string(),
            Unit::Time => TimeSpan::from(Duration::from_millis(amount)).to_string(),
            Unit::Count => amount.to_string(),
        }
    }

    /// The path of the limit's key under `spec`: `limits.memory`, or `timeout`.
    pub fn path(self) -> String {
        if self.is_under_limits() { format!("limits.{}", self.key()) } else { self.key().to_owned() }
    }

    /// The line of YAML under `spec` that sets the limit to `amount`.
    pub fn line(self, amount: u64) -> String {
        let line = format!("{}: {}", self.key(), self.written(amount));
        if self.is_under_limits() { format!("limits: {{ {line} }}") } else { line }
    }

    /// Whether the limit's key stands under `limits`, and not beside it.
    pub fn is_under_limits(self) -> bool {
        self != Self::Timeout
    }

    /// The amount itself, or an error if it is out of the limit's range.
    pub fn parse(self, amount: u64) -> Result<u64, LimitError> {
        if self.range().contains(&amount) { Ok(amount) } else { Err(LimitError { limit: self, amount }) }
    }

    fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }
}

/// An amount for each limit, within its range. The timeout of a check stands in the check itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits([u64; Limit::ALL.len()]);

impl Limits {
    /// The default limits, shared by the checks that do not ask for others.
    pub fn shared() -> Arc<Self> {
        static DEFAULT: LazyLock<Arc<Limits>> = LazyLock::new(Arc::default);
        Arc::clone(&DEFAULT)
    }

    /// The largest amount of every limit that a manifest can ask for.
    pub fn most() -> Self {
        Self(Limit::ALL.map(|limit| *limit.range().end()))
    }

    /// The largest amounts that a tenant's manifest can ask for, unless the policy says otherwise.
    /// The bytes of a host call stay at their default, as what a guest hands over counts nowhere else.
    pub fn most_of_tenants() -> Self {
        let mut most = Self::most();
        most.lower(Limit::HostCallBytes, Limit::HostCallBytes.default());
        most
    }

    /// Sets one limit; an error if the amount is out of its range.
    pub fn set(&mut self, limit: Limit, amount: u64) -> Result<(), LimitError> {
        self.0[limit as usize] = limit.parse(amount)?;
        Ok(())
    }

    /// Raises a limit to `least`, if it is lower.
    pub fn raise(&mut self, limit: Limit, least: u64) {
        self.0[limit as usize] = self.get(limit).max(least);
    }

    /// Lowers a limit to `most`, if it is higher.
    pub fn lower(&mut self, limit: Limit, most: u64) {
        self.0[limit as usize] = self.get(limit).min(most);
    }

    /// The amount in the limit's own unit: bytes, milliseconds or a count.
    pub fn get(&self, limit: Limit) -> u64 {
        self.0[limit as usize]
    }

    /// The amount of a limit of bytes or of things, for comparing with lengths.
    pub fn count(&self, limit: Limit) -> usize {
        usize::try_from(self.get(limit)).unwrap_or(usize::MAX)
    }

    /// The amount of a limit of time.
    pub fn time(&self, limit: Limit) -> Duration {
        Duration::from_millis(self.get(limit))
    }
}

impl Default for Limits {
    /// The limits of a check whose manifest sets none.
    fn default() -> Self {
        Self(Limit::ALL.map(Limit::default))
    }
}
