//! Scans directories, and tells what has changed since the last scan.

use super::{
    Directories,
    files::{self, Entry},
    known::KnownFiles,
    told::Told,
};
use crate::{
    board::SourceStatus,
    file,
    manifest::MAX_FILE,
    outcome::{Fault, Reason},
    signature::{Signature, is_signature},
    source::{
        Change, Taken,
        bundle::{self, Bundle, Manifest, Wishes},
        is_module,
    },
    value::Digest,
};
use std::{
    collections::{BTreeSet, HashMap},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::watch, time::Instant};

/// How many times a directory is read at most, if it is replaced each time while it is read.
const LOOKS: u32 = 3;
/// How long a manifest file has to be unchanged before a check ends whose document has vanished. The file may
/// still be being written.
const SETTLING: Duration = Duration::from_secs(5);
/// The name on the board for a directory that cannot be read.
const UNREADABLE: &str = "unreadable-directory";

/// A scanner of directories. It remembers what was told, and the contents of files that have not changed
/// since.
pub(super) struct Scanner {
    source: Directories,
    told: Told,
    manifests: KnownFiles<Manifest>,
    digests: KnownFiles<Result<Digest, String>>,
    signatures: KnownFiles<Signature>,
    /// The texts of the files that settings come from, or why they cannot be read.
    texts: KnownFiles<Result<String, String>>,
    homes: HashMap<PathBuf, Home>,
    contact: Arc<SourceStatus>,
}

/// The state of a directory when it last held files.
#[derive(Default)]
struct Home {
    directory: (u64, u64),
    /// The modules that manifests have named, and that are still there.
    named: BTreeSet<String>,
}

/// The result of a scan.
pub(super) struct Scanned {
    /// Whether somebody still listens.
    pub(super) heard: bool,
    /// When to scan again even if no change is noticed; none if the regular scans are enough.
    pub(super) again: Option<Instant>,
    /// The paths of the manifests, modules, signatures and files of settings that are symbolic links.
    pub(super) links: Vec<PathBuf>,
}

impl Scanner {
    /// A scanner that has told nothing yet. It sends the names of its checks to `taken`.
    pub(super) fn new(source: Directories, contact: Arc<SourceStatus>, taken: watch::Sender<Taken>) -> Self {
        Self {
            source,
            told: Told::new(taken),
            manifests: KnownFiles::default(),
            digests: KnownFiles::default(),
            signatures: KnownFiles::default(),
            texts: KnownFiles::default(),
            homes: HashMap::new(),
            contact,
        }
    }

    /// Reads the directories and tells every change, until nobody listens any more.
    /// A directory that cannot be read leaves its checks as they are.
    pub(super) fn scan(&mut self, now: Instant, tell: impl FnMut(Change) -> bool) -> Scanned {
        let mut wishes = Wishes::default();
        let mut scanned = Scanned { heard: false, again: None, links: Vec::new() };
        for directory in self.source.paths.clone() {
            match self.look(&directory, now) {
                Ok(entries) => {
                    let settled = self.read(&directory, &entries, now, &mut wishes);
                    scanned.again = scanned.again.into_iter().chain(settled).min();
                    scanned.links.extend(links(&entries));
                    self.say_whether_whole(&directory, unreadable(&entries), &mut wishes);
                }
                Err(error) => {
                    wishes.keep(self.told.of(&directory, UNREADABLE));
                    let why = format!("cannot read {}: {error}", directory.display());
                    self.say_whether_whole(&directory, Some(why), &mut wishes);
                }
            }
        }
        self.manifests.tidy();
        self.digests.tidy();
        self.signatures.tidy();
        self.texts.tidy();
        let wanted = wishes.finish(&self.source.namespace);
        scanned.heard = self.told.tell(wanted, self.source.max_module_size, tell);
        scanned
    }

    /// Reports that no directory is read any more, and why.
    pub(super) fn lose(&self, why: &str) {
        for directory in &self.source.paths {
            self.contact.lost(&directory.display().to_string(), why);
        }
    }

    /// The list of the files of a directory, whose contents are read where they may have changed. All are of
    /// one version of the directory.
    fn look(&mut self, directory: &Path, now: Instant) -> io::Result<Vec<Entry>> {
        for _ in 0..LOOKS {
            let identity = files::identify(directory)?;
            let mut listed = files::list(&identity.place);
            listed.iter().flatten().for_each(|entry| self.look_at(entry, now));
            if let Ok(entries) = &mut listed {
                self.look_at_setting_files(&identity.place, entries, now);
            }
            if files::identify(directory).is_ok_and(|now| now == identity) {
                let entries = listed?;
                self.require_home(directory, identity.directory, entries.is_empty())?;
                return Ok(entries);
            }
        }
        Err(io::Error::other(format!("it was replaced during each of {LOOKS} looks")))
    }

    /// Adds the files that settings of the listed manifests come from, and reads those that may have changed.
    fn look_at_setting_files(&mut self, place: &Path, entries: &mut Vec<Entry>, now: Instant) {
        let manifests = self.manifests.of(entries).map(|(_, manifest, _)| manifest);
        let names = bundle::setting_files(manifests);
        let files: Vec<_> =
            names.into_iter().filter_map(|name| files::entry(place, name.to_owned())).collect();
        for file in &files {
            self.texts
                .look_at(file, now, read_text, |error| Err(format!("cannot read {}: {error}", file.name)));
        }
        entries.extend(files);
    }

    /// Notes which directory a path leads to. An error if an empty directory has replaced one with checks, as happens
    /// when a volume is unmounted.
    fn require_home(&mut self, path: &Path, directory: (u64, u64), is_empty: bool) -> io::Result<()> {
        match self.homes.get_mut(path) {
            Some(home) if is_empty && home.directory != directory => Err(io::Error::other(
                "it is empty, and not the directory that held the checks: mount that again, or start the daemon \
                 again if it shall be empty",
            )),
            Some(home) => {
                home.directory = directory;
                Ok(())
            }
            None if is_empty => Ok(()),
            None => {
                self.homes.insert(path.to_path_buf(), Home { directory, ..Home::default() });
                Ok(())
            }
        }
    }

    /// Adds the checks that the files of a directory ask for. Returns when the manifests that may still be
    /// being written count as complete.
    fn read(
        &mut self,
        directory: &Path,
        entries: &[Entry],
        now: Instant,
        wishes: &mut Wishes,
    ) -> Option<Instant> {
        let place = entries.first().and_then(|entry| entry.path.parent())?;
        let home = self.homes.get(directory)?;
        let settles = |since: Instant| Some(since + SETTLING).filter(|settled| *settled > now);
        let unsettled =
            || self.manifests.of(entries).filter_map(|(name, _, since)| Some((name, settles(since)?)));
        let bundle = Bundle {
            place,
            namespace: &self.source.namespace,
            ceiling: &self.source.ceiling,
            manifests: self.manifests.of(entries).map(|(name, manifest, _)| (name, manifest)).collect(),
            unsettled: unsettled().map(|(name, _)| name).collect(),
            named: &home.named,
            modules: self.digests.of(entries).map(|(name, digest, _)| (name, digest)).collect(),
            signatures: self.signatures.of(entries).map(|(name, file, _)| (name, file)).collect(),
            texts: self.texts.of(entries).map(|(name, text, _)| (name, text)).collect(),
        };
        let former = self.told.by_file();
        let named = wishes.read(&bundle, |origin| former.of(origin));
        let settled = unsettled().map(|(_, settled)| settled).min();
        self.homes.entry(directory.to_path_buf()).or_default().named = named;
        settled
    }

    /// Reads the content of a file, if it may have changed.
    fn look_at(&mut self, entry: &Entry, now: Instant) {
        let cannot = |error: &io::Error| format!("cannot read {}: {error}", entry.name);
        if is_module(&entry.name) {
            let limit = self.source.max_module_size;
            self.digests.look_at(entry, now, |path| digest(path, limit), |error| Err(cannot(error)));
        } else if is_signature(&entry.name) {
            self.signatures.look_at(entry, now, Signature::read, Signature::unreadable);
        } else {
            let source = &self.source;
            let read = |path: &Path| read_manifest(path, &entry.name, source);
            self.manifests.look_at(entry, now, read, |error| bundle::unreadable(cannot(error)));
        }
    }

    /// Puts a directory that cannot be read whole on the board, like a check that cannot run. Nobody knows
    /// whether all its checks are there.
    fn say_whether_whole(&self, directory: &Path, trouble: Option<String>, wishes: &mut Wishes) {
        let place = directory.display().to_string();
        let Some(why) = trouble else {
            self.contact.reached(&place);
            return;
        };
        self.contact.lost(&place, &why);
        let why = format!("{why}; its checks stay as they are, and others that it may hold are not known");
        wishes.refuse(directory.join(UNREADABLE), Fault::new(Reason::Resources, why));
    }
}

fn links(entries: &[Entry]) -> impl Iterator<Item = PathBuf> {
    entries.iter().filter(|entry| entry.is_link).map(|entry| entry.path.clone())
}

/// Why a directory is not read whole: the first of its files whose metadata cannot be read. None if all can be.
fn unreadable(entries: &[Entry]) -> Option<String> {
    let of = |entry: &Entry| {
        entry.stamp.as_ref().err().map(|error| (entry.path.display().to_string(), error.to_string()))
    };
    entries.iter().find_map(of).map(|(path, error)| format!("cannot read {path}: {error}"))
}

fn digest(path: &Path, limit: usize) -> io::Result<Result<Digest, String>> {
    let module = files::read_module(path, limit)?;
    Ok(module.map(|bytes| Digest::of(&bytes)).map_err(|error| error.to_string()))
}

fn read_manifest(path: &Path, name: &str, source: &Directories) -> io::Result<Manifest> {
    let bytes = file::read(path, MAX_FILE)?;
    if bytes.len() > MAX_FILE {
        return Ok(bundle::unreadable(format!("{name} has more than {MAX_FILE} bytes: split it")));
    }
    Ok(match String::from_utf8(bytes) {
        Ok(text) => bundle::parse(name, &text, &source.namespace, &source.ceiling),
        Err(error) => bundle::unreadable(format!("{name} is not UTF-8: {error}")),
    })
}

fn read_text(path: &Path) -> io::Result<Result<String, String>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let bytes = file::read(path, MAX_FILE)?;
    if bytes.len() > MAX_FILE {
        return Ok(Err(format!("{name} has more than {MAX_FILE} bytes")));
    }
    Ok(String::from_utf8(bytes).map_err(|_| format!("{name} is not UTF-8")))
}
