//! The front of the daemon: what HTTP requests pass before they are answered.

use crate::{
    api::{self, Basic, Bearer, Entrance, FileContent, Guard, ReloadingFile, Tls, TrustedProxies},
    board::Board,
    settings::Rate,
    settings::Settings,
};
use anyhow::{Result, anyhow};
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The listener's TLS, its bearer tokens and passwords, and its limits.
pub(super) struct Front {
    tls: Option<Arc<ReloadingFile<Tls>>>,
    bearer: Option<Arc<ReloadingFile<Bearer>>>,
    basic: Option<Arc<ReloadingFile<Basic>>>,
    rate: Option<Rate>,
    proxies: TrustedProxies,
}

impl Front {
    /// Reads the files that the settings name. An error if one of them cannot be used.
    pub(super) fn find(settings: &Settings) -> Result<Self> {
        let pair = settings.tls.as_ref().map(|files| vec![files.certificates.clone(), files.key.clone()]);
        Ok(Self {
            tls: read("--tls-cert and --tls-key", pair)?,
            bearer: read("--token-file", settings.token_file.clone().map(|file| vec![file]))?,
            basic: read("--basic-file", settings.basic_file.clone().map(|file| vec![file]))?,
            rate: settings.rate_limit,
            proxies: TrustedProxies::new(settings.trusted_proxies.clone()),
        })
    }

    /// Answers requests, and follows changes of the files, until `stop`.
    pub(super) async fn serve(
        self,
        listener: TcpListener,
        board: Arc<Board>,
        stop: CancellationToken,
        close_after: Duration,
    ) {
        let Self { tls, bearer, basic, rate, proxies } = self;
        let keeping = async {
            tokio::join!(keep(&tls, &board, &stop), keep(&bearer, &board, &stop), keep(&basic, &board, &stop))
        };
        let guard = Guard::new(bearer.clone(), basic.clone(), rate);
        let router = guard.protect(api::router(Arc::clone(&board), stop.clone()));
        let entrance = Entrance { tls: tls.clone(), proxies };
        tokio::join!(keeping, api::serve(listener, entrance, router, stop.clone(), close_after));
    }
}

fn read<T: FileContent>(setting: &str, files: Option<Vec<PathBuf>>) -> Result<Option<Arc<ReloadingFile<T>>>> {
    let kept = files.map(|files| ReloadingFile::read(files).map(Arc::new)).transpose();
    kept.map_err(|error| anyhow!("{setting}: {error}"))
}

async fn keep<T: FileContent>(kept: &Option<Arc<ReloadingFile<T>>>, board: &Board, stop: &CancellationToken) {
    if let Some(kept) = kept {
        kept.keep(board, stop).await;
    }
}
