use super::*;
use futures_util::{StreamExt, future::join_all};
use http_body_util::BodyExt;
use std::sync::atomic::AtomicU32;
use tokio::time::sleep;

/// Long enough for an answer to be good for the longest time.
const LABOUR: Duration = Duration::from_millis(50);
const LARGE: usize = 30 * 1024 * 1024;

/// Takes an answer that takes time to write, and counts how often it is written.
async fn take(shelf: &Shelf, writings: &Arc<AtomicU32>, since: Option<Instant>) -> String {
    let writings = Arc::clone(writings);
    let write = move |pen: &Pen| {
        std::thread::sleep(LABOUR);
        pen.append(format!("{},", writings.fetch_add(1, Relaxed) + 1).into());
        pen.append("done".into());
        StatusCode::OK
    };
    let (code, body) = shelf.take(since, write).await.expect("an answer");
    assert_eq!(code, StatusCode::OK);
    let body = body.collect().await.expect("a body").to_bytes();
    String::from_utf8(body.to_vec()).expect("text")
}

async fn take_large(shelf: &Shelf, size: usize) -> Body {
    let write = move |pen: &Pen| {
        pen.begin(StatusCode::OK);
        std::thread::sleep(LABOUR);
        (0..size / PIECE).for_each(|_| pen.append(vec![b'x'; PIECE].into()));
        StatusCode::OK
    };
    shelf.take(None, write).await.expect("an answer").1
}

#[tokio::test(start_paused = true)]
async fn however_many_ask_it_is_written_about_once_a_second() {
    let (shelf, writings) = (Shelf::new(&Store::default()), Arc::default());
    for round in 1..=3 {
        let answers = join_all((0..100).map(|_| take(&shelf, &writings, None))).await;
        assert!(answers.iter().all(|answer| *answer == format!("{round},done")), "{answers:?}");
        sleep(Duration::from_millis(900)).await;
        assert_eq!(take(&shelf, &writings, None).await, format!("{round},done"));
        sleep(Duration::from_millis(150)).await;
    }
    assert_eq!(writings.load(Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn who_wants_what_was_begun_later_waits_for_it() {
    let (shelf, writings) = (Shelf::new(&Store::default()), Arc::default());
    take(&shelf, &writings, None).await;
    sleep(Duration::from_millis(100)).await;
    let since = Some(Instant::now());
    let answers = join_all((0..10).map(|_| take(&shelf, &writings, since))).await;
    assert!(answers.iter().all(|answer| answer == "2,done"), "{answers:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_written_in_no_time_is_always_current() {
    let shelf = Shelf::new(&Store::default());
    for round in 1_u8..=3 {
        let write = move |pen: &Pen| {
            pen.append_all(vec![round]);
            StatusCode::OK
        };
        let body = shelf.take(None, write).await.expect("an answer").1;
        assert_eq!(body.collect().await.expect("a body").to_bytes(), vec![round]);
        // A busy machine may have held up the writer for some milliseconds.
        sleep(LONGEST * 9 / 10).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_oldest_answers_make_room_and_their_readers_are_cut_off() {
    let shelf = Shelf::new(&Store::default());
    let mut readers = Vec::new();
    for _ in 0..4 {
        let mut reader = take_large(&shelf, LARGE).await.into_data_stream();
        reader.next().await.expect("a piece").expect("good");
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
    let shelf = Shelf::new(&store);
    drop(take_large(&shelf, LARGE).await.collect().await.expect("a body"));
    sleep(Duration::from_millis(1100)).await;
    assert!(lock(&store.0).iter().all(|sheet| sheet.strong_count() == 0));
}

#[tokio::test]
async fn what_is_too_long_to_be_shared_ends_and_says_so() {
    let shelf = Shelf::new(&Store::default());
    assert!(take_large(&shelf, MAX_SHEET + PIECE).await.collect().await.is_err());
    assert!(shelf.overflows());
    shelf.measured(MAX_SHEET);
    assert!(!shelf.overflows());
}

#[tokio::test]
async fn a_writer_that_breaks_down_is_an_error_and_not_for_ever() {
    let (shelf, writings) = (Shelf::new(&Store::default()), Arc::default());
    assert!(shelf.take(None, |_| panic!("on purpose")).await.is_err());
    assert_eq!(take(&shelf, &writings, None).await, "1,done");
}
