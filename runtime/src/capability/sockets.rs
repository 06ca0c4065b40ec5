//! How many sockets guests may have together, so that the daemon keeps file descriptors for itself.

use crate::fair_semaphore::FairSemaphore;
use rustix::process::{Resource, getrlimit, setrlimit};

/// What the daemon needs itself: clients, files, compilers, the API server.
const RESERVED: u64 = 2_048;
/// More would only fill the memory of the kernel.
const MOST: u64 = 32_768;
/// The share of one namespace.
const SHARE: usize = 4;
/// What one lookup of a name takes at most: both families, from two name servers at once, with two more tries.
const OF_A_LOOKUP: usize = 12;
/// The part of all that may be for lookups, and the most lookups.
const PART_OF_LOOKUPS: usize = 64;
const MOST_LOOKUPS: usize = 256;

/// Lets the process open as many files as it may at all: what starts it often allows a thousand at first.
pub fn allow_as_many_as_possible() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!("cannot raise the limit of open files: {error}");
    }
}

/// The sockets of all guests.
pub(super) fn sockets() -> FairSemaphore {
    let all = all();
    shared(all.saturating_sub(most_lookups(all) * OF_A_LOOKUP).max(1))
}

/// The lookups of names for all guests, whose sockets are the resolver's.
pub(super) fn lookups() -> FairSemaphore {
    shared(most_lookups(all()))
}

fn shared(all: usize) -> FairSemaphore {
    FairSemaphore::sparing(all, (all / SHARE).max(1))
}

fn all() -> usize {
    most(getrlimit(Resource::Nofile).current)
}

fn most_lookups(all: usize) -> usize {
    (all / PART_OF_LOOKUPS).clamp(1, MOST_LOOKUPS)
}

/// Of so many open files; none is any number.
fn most(files: Option<u64>) -> usize {
    let files = files.unwrap_or(u64::MAX);
    let most = files.saturating_sub(RESERVED).max(files / 2).clamp(1, MOST);
    usize::try_from(most).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_daemon_keeps_files_for_itself_however_few_there_are() {
        let most = [Some(0), Some(1_024), Some(20_000), Some(1 << 30), None].map(most);
        assert_eq!(most, [1, 512, 17_952, 32_768, 32_768]);
        assert_eq!(most.map(most_lookups), [1, 8, 256, 256, 256]);
    }
}
