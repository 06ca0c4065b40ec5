//! The text of one large answer, which many requests may read while it is being written.

use crate::api::response_writer::{Head, Pieces};
use axum::body::Bytes;
use futures_util::{StreamExt, stream};
use std::{
    io,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

/// For how many times its writing time a text is given to new requests. So writing takes at most a
/// twenty-fifth of a processor, however many clients ask.
const WORTH: u32 = 25;
/// The longest time for which an answer may be shared.
pub(super) const LONGEST: Duration = Duration::from_secs(1);
/// The longest answer that is shared, in bytes.
pub(super) const MAX_CACHED: usize = 32 * 1024 * 1024;

/// The text of an answer, shared by all requests that read it.
#[derive(Default)]
pub(super) struct SharedText(watch::Sender<Text>);

#[derive(Default)]
struct Text {
    pieces: Vec<Bytes>,
    size: usize,
    stage: Stage,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Writing,
    /// The text is complete. Requests from this instant on get another text.
    Whole(Instant),
    /// The text was withdrawn: it was too long, could not be written, or had to make room for newer ones.
    Gone,
}

impl SharedText {
    /// Collects the pieces of the text. Withdraws the text if a piece fails, or if the text gets longer than
    /// [`MAX_CACHED`], and then also sets `overflows`.
    pub(super) async fn collect(&self, head: &Head, mut pieces: Pieces, overflows: &AtomicBool) {
        while let Some(piece) = pieces.next().await {
            let Ok(piece) = piece else { return self.withdraw() };
            if self.size() + piece.len() > MAX_CACHED {
                overflows.store(true, Relaxed);
                return self.withdraw();
            }
            self.write(|text| text.push(piece));
        }
        let took = head.took.get().copied().unwrap_or_default();
        let until = Instant::now() + (took * WORTH).min(LONGEST);
        self.write(|text| text.stage = Stage::Whole(until));
    }

    /// The pieces of the text from the first one on; an error if the text is withdrawn. A connection that
    /// does not read on holds two pieces, and not the whole text. `owner` is kept until the stream ends or is
    /// dropped.
    pub(super) fn read(&self, owner: impl Send + 'static) -> Pieces {
        let pieces = stream::try_unfold((owner, self.0.subscribe(), 0), async |(owner, mut text, index)| {
            let next = text.wait_for(|text| index < text.pieces.len() || text.stage != Stage::Writing).await;
            let piece = match next.as_deref() {
                Ok(Text { pieces, .. }) if index < pieces.len() => pieces[index].clone(),
                Ok(Text { stage: Stage::Whole(_), .. }) => return Ok(None),
                _ => return Err(io::Error::other("the answer had to make room for newer ones")),
            };
            drop(next);
            Ok(Some((piece, (owner, text, index + 1))))
        });
        pieces.boxed()
    }

    /// Changes the text, if it is still being written.
    fn write(&self, change: impl FnOnce(&mut Text)) {
        self.0.send_if_modified(|text| {
            let is_wanted = text.stage == Stage::Writing;
            if is_wanted {
                change(text);
            }
            is_wanted
        });
    }

    /// Whether new requests get this text.
    pub(super) fn is_in_force(&self) -> bool {
        match self.0.borrow().stage {
            Stage::Writing => true,
            Stage::Whole(until) => Instant::now() < until,
            Stage::Gone => false,
        }
    }

    /// Waits until new requests no longer get this text.
    pub(super) async fn has_had_its_time(&self) {
        let mut text = self.0.subscribe();
        let stage = text.wait_for(|text| text.stage != Stage::Writing).await.map(|text| text.stage);
        if let Ok(Stage::Whole(until)) = stage {
            sleep_until(until).await;
        }
    }

    /// Withdraws the text. Requests that are still reading the text end with an error.
    pub(super) fn withdraw(&self) {
        self.0.send_modify(|text| *text = Text { stage: Stage::Gone, ..Text::default() });
    }

    /// The number of bytes that the text holds in memory.
    pub(super) fn size(&self) -> usize {
        self.0.borrow().size
    }
}

impl Text {
    fn push(&mut self, piece: Bytes) {
        self.size += piece.len();
        self.pieces.push(piece);
    }
}
