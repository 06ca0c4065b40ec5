use super::{shared_text::LONGEST, *};
use crate::api::response_writer::PIECE;
use futures_util::{StreamExt, future::join_all};
use http_body_util::BodyExt;
use std::{io::Write, sync::atomic::AtomicU32};
use tokio::time::sleep;

/// How long a test answer takes to write: enough for the answer to be shared for [`LONGEST`].
const LABOUR: Duration = Duration::from_millis(50);
const LARGE: usize = 30 * 1024 * 1024;

/// Takes an answer that takes time to write, and counts how often it is written.
async fn take(response_cache: &ResponseCache, writings: &Arc<AtomicU32>, since: Option<Instant>) -> String {
    let writings = Arc::clone(writings);
    let write = move |writer: &mut ResponseWriter| {
        std::thread::sleep(LABOUR);
        write!(writer, "{},", writings.fetch_add(1, Relaxed) + 1)?;
        writer.write_all(b"done")
    };
    let (code, body) = response_cache.take(since, write).await.expect("an answer");
    assert_eq!(code, StatusCode::OK);
    let body = body.collect().await.expect("a body").to_bytes();
    String::from_utf8(body.to_vec()).expect("text")
}

async fn take_large(response_cache: &ResponseCache, size: usize) -> Body {
    let write = move |writer: &mut ResponseWriter| {
        std::thread::sleep(LABOUR);
        (0..size / PIECE).try_for_each(|_| writer.write_all(&[b'x'; PIECE]))
    };
    response_cache.take(None, write).await.expect("an answer").1
}

#[tokio::test(start_paused = true)]
async fn however_many_ask_it_is_written_about_once_a_second() {
    let (response_cache, writings) = (ResponseCache::new(&Store::default()), Arc::default());
    for round in 1..=3 {
        let answers = join_all((0..100).map(|_| take(&response_cache, &writings, None))).await;
        assert!(answers.iter().all(|answer| *answer == format!("{round},done")), "{answers:?}");
        sleep(Duration::from_millis(900)).await;
        assert_eq!(take(&response_cache, &writings, None).await, format!("{round},done"));
        sleep(Duration::from_millis(150)).await;
    }
    assert_eq!(writings.load(Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn who_wants_what_was_begun_later_waits_for_it() {
    let (response_cache, writings) = (ResponseCache::new(&Store::default()), Arc::default());
    take(&response_cache, &writings, None).await;
    sleep(Duration::from_millis(100)).await;
    let since = Some(Instant::now());
    let answers = join_all((0..10).map(|_| take(&response_cache, &writings, since))).await;
    assert!(answers.iter().all(|answer| answer == "2,done"), "{answers:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_written_in_no_time_is_always_current() {
    let response_cache = ResponseCache::new(&Store::default());
    for round in 1_u8..=3 {
        let write = move |writer: &mut ResponseWriter| writer.write_all(&[round]);
        let body = response_cache.take(None, write).await.expect("an answer").1;
        assert_eq!(body.collect().await.expect("a body").to_bytes(), vec![round]);
        // A busy machine may have held up the writer for some milliseconds.
        sleep(LONGEST * 9 / 10).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_oldest_answers_make_room_and_their_readers_are_cut_off() {
    let response_cache = ResponseCache::new(&Store::default());
    let mut readers = Vec::new();
    for _ in 0..4 {
        let mut reader = take_large(&response_cache, LARGE).await.into_data_stream();
        for _ in 0..2 {
            reader.next().await.expect("a piece").expect("good");
        }
        readers.push(reader);
        sleep(Duration::from_millis(1100)).await;
    }
    for (index, reader) in readers.iter_mut().enumerate() {
        let next = reader.next().await.expect("something");
        assert_eq!(next.is_ok(), index >= 2, "reader {index}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_nobody_asks_for_is_given_back() {
    let store = Store::default();
    let response_cache = ResponseCache::new(&store);
    drop(take_large(&response_cache, LARGE).await.collect().await.expect("a body"));
    sleep(Duration::from_millis(1100)).await;
    assert!(lock(&store.cached).iter().all(|response| response.strong_count() == 0));
}

#[tokio::test]
async fn what_is_too_long_to_be_shared_ends_once_and_is_then_written_for_each_reader_until_it_is_shorter() {
    let (response_cache, writings) = (ResponseCache::new(&Store::default()), Arc::default());
    assert!(take_large(&response_cache, MAX_CACHED + PIECE).await.collect().await.is_err());
    let whole = take_large(&response_cache, MAX_CACHED + PIECE).await.collect().await.expect("a body");
    assert_eq!(whole.to_bytes().len(), MAX_CACHED + PIECE);
    assert_eq!(take(&response_cache, &writings, None).await, "1,done");
    let answers = join_all((0..10).map(|_| take(&response_cache, &writings, None))).await;
    assert!(answers.iter().all(|answer| answer == "2,done"), "{answers:?}");
}

#[tokio::test]
async fn a_writer_that_breaks_down_is_an_error_and_not_for_ever() {
    let (store, writings) = (Store::default(), Arc::default());
    let response_cache = ResponseCache::new(&store);
    assert!(response_cache.take(None, |_| panic!("on purpose")).await.is_err());
    assert!(store.send(|_| panic!("on purpose")).await.is_err());
    assert_eq!(take(&response_cache, &writings, None).await, "1,done");
}

#[tokio::test]
async fn an_answer_that_is_not_shared_is_written_no_faster_than_it_is_read_and_no_longer_than_that() {
    let (written, ended) = (Arc::<AtomicU32>::default(), Arc::<AtomicBool>::default());
    let (writing, is_ended) = (Arc::clone(&written), Arc::clone(&ended));
    let write = move |writer: &mut ResponseWriter| {
        let result = (0..100).try_for_each(|_| {
            writer.write_all(&[b'x'; PIECE])?;
            writing.fetch_add(1, Relaxed);
            Ok(())
        });
        is_ended.store(result.is_err(), Relaxed);
        result
    };
    let (_, body) = Store::default().send(write).await.expect("an answer");
    sleep(LABOUR).await;
    assert!(written.load(Relaxed) < 10);
    drop(body);
    while !ended.load(Relaxed) {
        sleep(Duration::from_millis(1)).await;
    }
}
