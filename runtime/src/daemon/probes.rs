//! The server for the kubelet's probes, on a thread of its own.

use crate::{
    api::{self, Entrance},
    board::Board,
};
use anyhow::{Context, Result};
use std::{future::Future, sync::Arc, time::Duration};
use tokio::{net::TcpListener, runtime::Builder, task::spawn_blocking};
use tokio_util::sync::CancellationToken;

/// Answers the kubelet's probes until `stop`; true once the server has ended.
///
/// The threads that run guests can have more work than they get done. Then every request there waits. A
/// kubelet that waits in vain restarts the daemon, which makes it worse.
pub(super) fn serve(
    listener: TcpListener,
    board: Arc<Board>,
    stop: CancellationToken,
    close_after: Duration,
) -> Result<impl Future<Output = bool>> {
    let listener = listener.into_std().context("cannot hand over the listener for probes")?;
    let runtime =
        Builder::new_current_thread().enable_all().build().context("cannot start a thread for probes")?;
    let serving = spawn_blocking(move || {
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener)?;
            api::serve(listener, Entrance::default(), api::probes(board), stop, close_after).await;
            std::io::Result::Ok(())
        })
    });
    Ok(async { serving.await.is_ok_and(|served| served.is_ok()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{thread, time::Instant};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn probes_are_answered_while_the_other_threads_have_too_much_to_do() {
        let stop = CancellationToken::new();
        let listener = api::listen("127.0.0.1:0".parse().expect("an address")).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let serving = serve(listener, Arc::default(), stop.clone(), Duration::ZERO).expect("served");
        let asking = thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
            let answer = runtime.block_on(async {
                let mut stream = tokio::net::TcpStream::connect(address).await?;
                stream.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await?;
                let mut answer = String::new();
                stream.read_to_string(&mut answer).await.map(|_| answer)
            });
            (answer.expect("an answer"), Instant::now())
        });
        // The test blocks the only thread of its runtime: nothing else is done there meanwhile.
        thread::sleep(Duration::from_secs(1));
        let busy_until = Instant::now();
        let (answer, answered) = asking.join().expect("asked");
        assert!(answer.starts_with("HTTP/1.1 200") && answered < busy_until, "{answer}");
        stop.cancel();
        assert!(serving.await);
    }
}
