//! The driver of a connection, which moves its bytes while somebody waits for them.

use futures_util::task::AtomicWaker;
use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
};

/// How often a connection and the work that waits for it may wake each other before other tasks run.
const ROUNDS: usize = 16;

/// Moves the bytes of one connection by polling its future.
pub(super) struct Driver {
    connection: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    echo: Arc<Echo>,
}

impl Driver {
    pub(super) fn new(connection: impl Future<Output = ()> + Send + 'static) -> Self {
        Self { connection: Some(Box::pin(connection)), echo: Arc::default() }
    }

    /// Drives the connection until `work` is done.
    pub(super) async fn alongside<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        let waker = Waker::from(Arc::clone(&self.echo));
        poll_fn(|task| {
            self.echo.task.register(task.waker());
            for _ in 0..ROUNDS {
                self.echo.listen();
                let mut context = Context::from_waker(&waker);
                if self.connection.as_mut().is_some_and(|moves| moves.as_mut().poll(&mut context).is_ready())
                {
                    self.connection = None;
                }
                if let Poll::Ready(done) = work.as_mut().poll(&mut context) {
                    return Poll::Ready(done);
                }
                if self.echo.was_quiet() {
                    return Poll::Pending;
                }
            }
            task.waker().wake_by_ref();
            Poll::Pending
        })
        .await
    }
}

/// A waker that wakes the task only if it is not running.
/// A connection and the work that waits for it wake each other. Each time, tokio would queue the task anew
/// and wake another worker to help.
#[derive(Default)]
struct Echo {
    task: AtomicWaker,
    state: AtomicU8,
}

/// The state in which the task is not running and has to be woken.
const AWAY: u8 = 0;
const LISTENS: u8 = 1;
const HEARD: u8 = 2;

impl Echo {
    fn listen(&self) {
        self.state.store(LISTENS, SeqCst);
    }

    /// Leaves the listening state, and tells whether no wake-up came in it.
    fn was_quiet(&self) -> bool {
        self.state.compare_exchange(LISTENS, AWAY, SeqCst, SeqCst).is_ok()
    }
}

impl Wake for Echo {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let heard = self.state.compare_exchange(LISTENS, HEARD, SeqCst, SeqCst);
        if heard == Err(AWAY) {
            self.task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use std::{sync::atomic::AtomicUsize, task::ready};
    use tokio::sync::{mpsc, oneshot};

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    /// The driver of a connection that answers each question at once.
    fn echoing() -> (Driver, mpsc::UnboundedSender<oneshot::Sender<u8>>) {
        let (ask, mut questions) = mpsc::unbounded_channel::<oneshot::Sender<u8>>();
        let connection = poll_fn(move |context| {
            while let Some(question) = ready!(questions.poll_recv(context)) {
                question.send(7).expect("somebody waits");
            }
            Poll::Ready(())
        });
        (Driver::new(connection), ask)
    }

    async fn ask(questions: &mpsc::UnboundedSender<oneshot::Sender<u8>>) -> u8 {
        let (sender, answer) = oneshot::channel();
        questions.send(sender).expect("a connection");
        answer.await.expect("an answer")
    }

    #[test]
    fn a_connection_and_who_waits_for_it_talk_without_waking_the_task() {
        let (mut driver, questions) = echoing();
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut talk = pin!(driver.alongside(async { ask(&questions).await + ask(&questions).await }));
        assert_eq!(talk.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Ready(14));
        assert_eq!(woken.0.load(SeqCst), 0);
    }

    #[test]
    fn what_comes_later_wakes_the_task() {
        let (mut driver, _questions) = echoing();
        let (sender, answer) = oneshot::channel::<u8>();
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut wait = pin!(driver.alongside(answer));
        assert_eq!(wait.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Pending);
        assert_eq!(woken.0.load(SeqCst), 0);
        sender.send(5).expect("somebody waits");
        assert_eq!(woken.0.load(SeqCst), 1);
        assert_eq!(wait.now_or_never(), Some(Ok(5)));
    }

    #[test]
    fn who_never_stops_talking_leaves_a_turn_to_others() {
        let (mut driver, _questions) = echoing();
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let restless = poll_fn(|context| {
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        });
        let mut endless = pin!(driver.alongside(restless));
        assert_eq!(endless.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Pending);
        assert_eq!(woken.0.load(SeqCst), 1);
    }
}
