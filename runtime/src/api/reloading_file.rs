//! Values that are parsed from files, and parsed again when the files change.

use crate::{board::Board, file::open_regular};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use std::{
    fmt::Display,
    io::Read,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{task::spawn_blocking, time::sleep};
use tokio_util::sync::CancellationToken;

/// How often files are read to see whether they have changed. Reading finds changes that watching would miss,
/// such as swapped links of mounted Secrets, and network file systems.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The most bytes of a file.
const MAX_FILE: u64 = 1024 * 1024;

/// A value that can be parsed from the contents of files.
pub trait FileContent: Sized + Send + Sync + 'static {
    /// The name of the value in the log, and as a label in `/metrics`.
    const WHAT: &'static str;

    /// Parses the contents of the files. The error says what is wrong, and shows nothing of the contents.
    fn parse(contents: &[Vec<u8>]) -> Result<Self, String>;

    /// When the value expires; none if it never does.
    fn expires(&self) -> Option<Timestamp> {
        None
    }
}

/// The latest value that could be parsed from some files.
pub struct ReloadingFile<T> {
    files: Vec<PathBuf>,
    value: Mutex<Arc<T>>,
}

/// The digest of the contents of the files, or why they cannot be read.
type Seen = Result<[u8; 32], String>;

impl<T: FileContent> ReloadingFile<T> {
    /// Reads the files for the first time. An error if a file cannot be read or parsed.
    pub fn read(files: Vec<PathBuf>) -> Result<Self, String> {
        let value = contents(&files).and_then(|contents| parse::<T>(&files, &contents))?;
        Ok(Self { files, value: Mutex::new(Arc::new(value)) })
    }

    /// The latest value that could be parsed.
    pub fn get(&self) -> Arc<T> {
        Arc::clone(&self.value.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the files again and again until `stop` is cancelled. Contents that cannot be parsed leave the
    /// value as it is, and are reported in the log and on the board.
    pub async fn keep(&self, board: &Board, stop: &CancellationToken) {
        board.files.tell(T::WHAT, true, self.get().expires());
        let mut seen = None;
        loop {
            let files = self.files.clone();
            let read = spawn_blocking(move || contents(&files)).await;
            let read = read.unwrap_or_else(|error| Err(error.to_string()));
            let now: Seen = read.as_ref().map(|contents| digest(contents)).map_err(Clone::clone);
            if seen.as_ref() != Some(&now) {
                self.take(read, seen.is_none(), board);
                seen = Some(now);
            }
            if stop.run_until_cancelled(sleep(LOOK_EVERY)).await.is_none() {
                return;
            }
        }
    }

    fn take(&self, read: Result<Vec<Vec<u8>>, String>, is_first: bool, board: &Board) {
        let what = T::WHAT;
        match read.and_then(|contents| parse::<T>(&self.files, &contents)) {
            Ok(value) => {
                board.files.tell(what, true, value.expires());
                *self.value.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(value);
                if !is_first {
                    tracing::info!(what, "read again, as it has changed");
                }
            }
            Err(error) => {
                board.files.tell(what, false, self.get().expires());
                tracing::warn!(what, "going on with what was read before: {error}");
            }
        }
    }
}

fn contents(files: &[PathBuf]) -> Result<Vec<Vec<u8>>, String> {
    files.iter().map(|file| content(file)).collect()
}

fn content(file: &Path) -> Result<Vec<u8>, String> {
    let failed = |error: &dyn Display| format!("cannot read {}: {error}", file.display());
    let mut content = Vec::new();
    let opened = open_regular(file).map_err(|error| failed(&error))?;
    opened.take(MAX_FILE + 1).read_to_end(&mut content).map_err(|error| failed(&error))?;
    if content.len() as u64 > MAX_FILE {
        return Err(failed(&format_args!("it is longer than {MAX_FILE} bytes")));
    }
    Ok(content)
}

fn parse<T: FileContent>(files: &[PathBuf], contents: &[Vec<u8>]) -> Result<T, String> {
    T::parse(contents).map_err(|error| {
        let files: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
        format!("{}: {error}", files.join(" and "))
    })
}

fn digest(contents: &[Vec<u8>]) -> [u8; 32] {
    let mut all = Sha256::new();
    for content in contents {
        all.update((content.len() as u64).to_be_bytes());
        all.update(content);
    }
    all.finalize().into()
}
