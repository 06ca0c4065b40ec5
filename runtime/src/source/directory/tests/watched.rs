//! Tests of the changes that are noticed in directories that are watched.

use super::*;
use crate::board::Board;
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;

/// How long to wait for a change: well below 30 s, after which directories are read without a notice.
const SOON: Duration = Duration::from_secs(10);

/// A watch of a directory, and the changes that it tells.
struct Watched {
    home: TempDir,
    changes: mpsc::Receiver<Change>,
    stop: CancellationToken,
}

impl Watched {
    /// Watches the path `checks` in a new temporary directory, after `prepare` has filled that directory.
    async fn over(prepare: impl FnOnce(&Path)) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        prepare(home.path());
        let source = Directories {
            paths: vec![home.path().join("checks")],
            namespace: "default".into(),
            ceiling: Ceiling::open(),
            max_module_size: 1000,
        };
        let (sender, changes) = mpsc::channel(16);
        let (stop, taken) = (CancellationToken::new(), watch::Sender::default());
        tokio::spawn(source.watch(sender, taken, Arc::new(Board::default()), stop.clone()));
        let mut watched = Self { home, changes, stop };
        watched.until("synced").await;
        watched
    }

    fn at(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Waits until the change `expected` is told, as `+name module`, `-name`, `!name` or `synced`.
    async fn until(&mut self, expected: &str) {
        loop {
            let change = timeout(SOON, self.changes.recv()).await.expect(expected).expect("a source");
            let told = match change {
                Change::Set(candidate) => {
                    // The module may have changed once more since the change was told.
                    let module =
                        candidate.module.read().map(|module| module.bytes().to_vec()).unwrap_or_default();
                    format!("+{} {}", candidate.check.key.name(), String::from_utf8_lossy(&module))
                }
                Change::Remove(key) => format!("-{}", key.name()),
                Change::Reject { key, .. } => format!("!{}", key.name()),
                Change::Synced => "synced".to_owned(),
            };
            if told == expected {
                return;
            }
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn lead(link: &Path, to: impl AsRef<Path>) {
    let new = link.with_extension("new");
    symlink(to, &new).expect("a link");
    fs::rename(new, link).expect("switched");
}

fn checks(path: &Path, module: &str) {
    fs::create_dir_all(path).expect("a directory");
    fs::write(path.join("m.wasm"), module).expect("a module");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_made_anew_is_followed_as_the_one_before() {
    let mut watched = Watched::over(|home| checks(&home.join("checks"), "one")).await;
    for round in 0..2 {
        fs::rename(watched.at("checks"), watched.at(&format!("old-{round}"))).expect("moved");
        watched.until("!unreadable-directory").await;
        checks(&watched.at("checks"), "two");
        watched.until("-unreadable-directory").await;
        fs::write(watched.at("checks/m.wasm"), "three").expect("written");
        watched.until("+m three").await;
        fs::remove_file(watched.at("checks/m.wasm")).expect("removed");
        watched.until("-m").await;
        fs::write(watched.at("checks/m.wasm"), "one").expect("written");
        watched.until("+m one").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_to_the_directory_that_is_switched_is_followed() {
    let mut watched = Watched::over(|home| {
        checks(&home.join("v1/checks"), "one");
        checks(&home.join("v2/checks"), "two");
        symlink("v1", home.join("current")).expect("a link");
        symlink("current/checks", home.join("checks")).expect("a link");
    })
    .await;
    lead(&watched.at("current"), "v2");
    watched.until("+m two").await;
    fs::write(watched.at("v2/checks/m.wasm"), "three").expect("written");
    watched.until("+m three").await;
    lead(&watched.at("current"), "v1");
    watched.until("+m one").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_target_of_a_file_that_is_a_link_is_followed() {
    let mut watched = Watched::over(|home| {
        checks(&home.join("store"), "one");
        fs::create_dir(home.join("checks")).expect("a directory");
        symlink("../store/m.wasm", home.join("checks/m.wasm")).expect("a link");
    })
    .await;
    fs::write(watched.at("store/m.wasm"), "two").expect("written");
    watched.until("+m two").await;
    fs::write(watched.at("store/.new"), "three").expect("written");
    fs::rename(watched.at("store/.new"), watched.at("store/m.wasm")).expect("renamed");
    watched.until("+m three").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_target_of_a_link_that_vanishes_and_comes_back_is_noticed_both_times() {
    let mut watched = Watched::over(|home| {
        checks(&home.join("mount/store"), "one");
        fs::create_dir(home.join("checks")).expect("a directory");
        symlink("../mount/store/m.wasm", home.join("checks/m.wasm")).expect("a link");
    })
    .await;
    for (from, to) in [("mount/store/m.wasm", "mount/store/aside"), ("mount/store", "mount/elsewhere")] {
        fs::rename(watched.at(from), watched.at(to)).expect("moved");
        watched.until("!unreadable-directory").await;
        fs::rename(watched.at(to), watched.at(from)).expect("moved back");
        watched.until("-unreadable-directory").await;
    }
}

#[tokio::test]
async fn work_that_panics_is_over_and_the_next_goes_on_with_what_it_left() {
    let shared = Arc::new(super::super::Mutex::new(0));
    let broken = super::super::apart(&shared, |number| {
        *number += 1;
        panic!("as a defect would");
    });
    assert!(broken.await.is_none_or(|()| false));
    assert_eq!(super::super::apart(&shared, |number| *number + 1).await, Some(2));
}
