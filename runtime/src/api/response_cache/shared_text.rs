//! The text of one answer, which many read while it is collected.

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

/// An answer is good for so many times the time that writing it took: however many ask, writing takes no more
/// than a twenty-fifth of a processor, and what is written in no time is always current.
const WORTH: u32 = 25;
/// The longest time for which an answer is good.
pub(super) const LONGEST: Duration = Duration::from_secs(1);
/// The longest answer that is shared, in bytes.
pub(super) const MAX_CACHED: usize = 32 * 1024 * 1024;

/// The text of an answer for all who read it.
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
    /// The text is complete. From this instant on, new requests get another text.
    Whole(Instant),
    /// The text had to make room for newer ones, or could not be written.
    Gone,
}

impl SharedText {
    /// Collects the pieces; `overflows` tells whether they were too many to be shared.
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

    /// Its pieces from the first one on. A connection that does not read on holds two of them, and not all of the answer.
    /// `owner` lives until they are read.
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

    /// Changes the text, unless it is gone.
    fn write(&self, change: impl FnOnce(&mut Text)) {
        self.0.send_if_modified(|text| {
            let is_wanted = text.stage == Stage::Writing;
            if is_wanted {
                change(text);
            }
            is_wanted
        });
    }

    /// Whether it is given to those who ask now.
    pub(super) fn is_in_force(&self) -> bool {
        match self.0.borrow().stage {
            Stage::Writing => true,
            Stage::Whole(until) => Instant::now() < until,
            Stage::Gone => false,
        }
    }

    /// Waits until it is in force no more.
    pub(super) async fn has_had_its_time(&self) {
        let mut text = self.0.subscribe();
        let stage = text.wait_for(|text| text.stage != Stage::Writing).await.map(|text| text.stage);
        if let Ok(Stage::Whole(until)) = stage {
            sleep_until(until).await;
        }
    }

    /// Whoever still reads it is cut off.
    pub(super) fn withdraw(&self) {
        self.0.send_modify(|text| *text = Text { stage: Stage::Gone, ..Text::default() });
    }

    /// How many bytes it holds.
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
