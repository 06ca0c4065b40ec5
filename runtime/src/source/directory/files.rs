//! The files of one directory, as of one moment.

use crate::{
    file::open_regular,
    source::{DecodeError, decode},
};
use std::{
    fs::{self, Metadata},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// The link that the kubelet swaps when a mounted ConfigMap changes.
const CONFIGMAP_DATA: &str = "..data";

/// Tells whether a file may have changed without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

/// A file in a directory.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) stamp: Stamp,
}

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("cannot read {0}: {1}")]
    Io(String, io::Error),
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

/// The files of a directory, by name; hidden ones left out. A mounted ConfigMap is read through
/// the link that the kubelet swaps, so that all files are of one version.
pub(super) fn list(directory: &Path) -> io::Result<Vec<Entry>> {
    let snapshot = fs::read_link(directory.join(CONFIGMAP_DATA)).map(|link| directory.join(link));
    let directory = snapshot.as_deref().unwrap_or(directory);
    let mut entries = Vec::new();
    for found in fs::read_dir(directory)? {
        let found = found?;
        let Ok(name) = found.file_name().into_string() else { continue };
        if name.starts_with('.') {
            continue;
        }
        let path = found.path();
        // A file may vanish between listing and looking.
        if let Ok(metadata) = fs::metadata(&path)
            && metadata.is_file()
        {
            entries.push(Entry { name, path, stamp: Stamp::of(&metadata) });
        }
    }
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(entries)
}

/// A module's decoded bytes, at most `limit` of them.
pub(super) fn read_module(path: &Path, limit: usize) -> Result<Vec<u8>, ReadError> {
    Ok(decode(&name_of(path), read(path, limit)?, limit)?)
}

/// A manifest's text, at most `limit` bytes of it.
pub(super) fn read_text(path: &Path, limit: usize) -> Result<String, ReadError> {
    String::from_utf8(read(path, limit)?)
        .map_err(|error| ReadError::Io(name_of(path), io::Error::other(format!("not UTF-8: {error}"))))
}

fn read(path: &Path, limit: usize) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    let read = open_regular(path).and_then(|file| file.take(limit as u64 + 1).read_to_end(&mut bytes));
    read.map_err(|error| ReadError::Io(name_of(path), error))?;
    if bytes.len() > limit {
        return Err(DecodeError::TooLarge(name_of(path), limit).into());
    }
    Ok(bytes)
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
