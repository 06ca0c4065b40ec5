//! How a round ends.

use crate::{board::Entry, sandbox::Round, schedule::backoff};
use tokio::time::sleep;

/// How often a cleanup is tried. One that can never succeed would otherwise end its check for good.
const ATTEMPTS: u32 = 3;

/// Ends a round, in a few attempts with pauses; false if none of them worked. The board is told of each that did not.
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
