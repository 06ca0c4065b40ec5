//! Permits for guests' sockets, so that the daemon keeps file descriptors for itself.

use crate::fair_semaphore::FairSemaphore;
use rustix::process::{Resource, getrlimit, setrlimit};

/// How many file descriptors the daemon keeps for its own clients, files, compilers and calls to the API
/// server.
const RESERVED: u64 = 2_048;
/// The most sockets of all guests. More would only fill the memory of the kernel.
const MOST: u64 = 32_768;
/// The most that one namespace may have: one part in this many.
const SHARE: usize = 4;
/// The most sockets that one lookup of a name takes: both families, from two name servers at once, with two
/// more tries.
const OF_A_LOOKUP: usize = 12;
/// How many sockets there are for each permitted lookup.
const PART_OF_LOOKUPS: usize = 64;
/// The most permits for lookups.
const MOST_LOOKUPS: usize = 256;

/// Lets the process open as many files as the system allows. What starts it often allows a thousand at first.
pub fn allow_as_many_as_possible() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!("cannot raise the limit of open files: {error}");
    }
}

/// The permits for sockets of all guests, which leave out those that lookups take.
pub(super) fn sockets() -> FairSemaphore {
    let all = all();
    shared(all.saturating_sub(most_lookups(all) * OF_A_LOOKUP).max(1))
}

/// The permits for lookups of names by all guests. Their sockets belong to the resolver.
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

/// How many sockets guests may have if the process may have `files` open files; none stands for any number.
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
