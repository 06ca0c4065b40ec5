//! The end of a round, with its cleanup.

use crate::{board::Entry, sandbox::Round, schedule::backoff};
use tokio::time::sleep;

/// How often a cleanup is tried. Without a limit, a cleanup that can never succeed would stop its check for
/// ever.
const ATTEMPTS: u32 = 3;

/// Ends a round, in at most three attempts with pauses. The board is told of each failed attempt. Returns whether one
/// succeeded.
pub(crate) async fn clean_up(round: &mut Round, entry: &Entry) -> bool {
    for attempt in 1..=ATTEMPTS {
        let Err(failure) = round.cleanup().await.done_in("cleanup") else { return true };
        entry.record_failed_cleanup(&failure);
        if attempt < ATTEMPTS {
            sleep(backoff(attempt, entry.key.spread())).await;
        }
    }
    round.abandon();
    false
}
