//! Work that asks the API server for as long as the daemon runs.

use crate::schedule::backoff;
use futures_util::FutureExt;
use std::{
    hash::{BuildHasher, Hasher, RandomState},
    panic::AssertUnwindSafe,
    time::Duration,
};
use tokio::time::sleep;

/// The longest pause before work that broke down begins again.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Does something until it ends by itself. If it breaks down, it begins again after a pause.
pub async fn lasting<F: Future<Output = ()>>(what: &str, mut begin: impl FnMut() -> F) {
    let mut failures = 0;
    while AssertUnwindSafe(begin()).catch_unwind().await.is_err() {
        failures += 1;
        tracing::error!(
            "{what} broke down and begins again; please report it with what the log says before this"
        );
        sleep(backoff(failures, random()).min(LONGEST_PAUSE)).await;
    }
}

/// Any number, another one each time: it keeps apart what would ask again at the same time.
pub fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
