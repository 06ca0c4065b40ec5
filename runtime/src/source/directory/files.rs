//! The list of the files of one directory.

use crate::{
    file,
    signature::is_signature,
    source::{DecodeError, bundle::is_manifest, decode, is_module},
};
use std::{
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// The link that the kubelet swaps when a mounted ConfigMap changes.
const CONFIGMAP_DATA: &str = "..data";

/// The metadata of a file that tells whether it may have changed. A change of its permissions changes the
/// last field, ctime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// The identity of the directory that a path leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// The device and the inode of the directory.
    pub(super) directory: (u64, u64),
    /// The path of the directory in which the files lie.
    pub(super) place: PathBuf,
}

/// A file in a directory: a manifest, a module, a signature, or a file that settings come from.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) path: PathBuf,
    /// The metadata of the file, or why it cannot be read.
    pub(super) stamp: io::Result<Stamp>,
    pub(super) is_link: bool,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// The directory that a path leads to now. In a mounted ConfigMap, the target of the kubelet's link is taken,
/// so that all files are of one version.
pub(super) fn identify(directory: &Path) -> io::Result<Identity> {
    let metadata = fs::metadata(directory)?;
    let place = match fs::read_link(directory.join(CONFIGMAP_DATA)) {
        Ok(link) => directory.join(link),
        Err(error) if is_gone(&error) || error.kind() == io::ErrorKind::InvalidInput => {
            directory.to_path_buf()
        }
        Err(error) => return Err(error),
    };
    Ok(Identity { directory: (metadata.dev(), metadata.ino()), place })
}

/// The manifests, modules and signatures of a directory, by name. Hidden files are left out.
pub(super) fn list(place: &Path) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for found in fs::read_dir(place)? {
        let found = found?;
        let Ok(name) = found.file_name().into_string() else { continue };
        if name.starts_with('.') || !(is_module(&name) || is_manifest(&name) || is_signature(&name)) {
            continue;
        }
        entries.extend(entry(place, name));
    }
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(entries)
}

/// A file of a directory by its name; none if it is not there, or is no file.
pub(super) fn entry(place: &Path, name: String) -> Option<Entry> {
    let path = place.join(&name);
    let is_link = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_symlink());
    let stamp = match fs::metadata(&path) {
        Ok(metadata) if metadata.is_file() => Ok(Stamp::of(&metadata)),
        Ok(_) => return None,
        // The link itself is there, whatever has become of its target for now: nothing was deleted here.
        Err(error) if is_gone(&error) && is_link => Err(io::Error::other("it is a link that leads nowhere")),
        // The file may vanish between the listing and the reading of its metadata.
        Err(error) if is_gone(&error) => return None,
        Err(error) => Err(error),
    };
    Some(Entry { name, path, stamp, is_link })
}

/// Whether an error says that a file is not there. No other error proves that a file was deleted.
pub(super) fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

/// The decoded bytes of a module file, at most `limit`. The inner error says why they cannot be decoded.
pub(super) fn read_module(path: &Path, limit: usize) -> io::Result<Result<Vec<u8>, DecodeError>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(decode(&name, file::read(path, limit)?, limit))
}
