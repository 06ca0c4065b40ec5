//! The cache: machine code on disk, for the next start.
//!
//! Machine code is run as it is, so whoever can change an entry runs code in the daemon. Hence a directory of
//! this user alone, and a key in it under which every entry is authenticated. An entry with anything wrong
//! makes the module be compiled again, and nothing else.

use super::trusted::Code;
use crate::value::Digest;
use ring::{
    hmac::{self, HMAC_SHA256, Key},
    rand::{SecureRandom, SystemRandom},
};
use rustix::{
    fs::{self as sys, AtFlags, Dir, FileType, Mode, OFlags, RenameFlags, Timespec, Timestamps, UTIME_NOW},
    io::Errno,
    process::geteuid,
};
use std::{
    fs::{DirBuilder, File},
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Read, Write},
    os::{fd::OwnedFd, unix::fs::DirBuilderExt},
    path::Path,
    process,
    sync::atomic::{AtomicU64, Ordering},
};
use wasmtime::Engine;

/// The name of the cache's own directory below the one that the operator names, so that the daemon can set
/// its mode.
const DIRECTORY: &str = "code";
const KEY: &str = "key";
const KEY_LENGTH: usize = 32;
const TAG_LENGTH: usize = 32;
/// The first bytes of what is authenticated, so that tags never mean something else.
const DOMAIN: &[u8] = b"aviary machine code 1";
/// The most bytes of all entries together. Beyond it, the entry that was not used for longest goes first.
const MOST: u64 = 256 << 20;

/// A private directory of machine code.
pub(super) struct Cache {
    directory: OwnedFd,
    key: Key,
    /// A hash of everything but the module that makes a difference to the code.
    compatibility: u64,
    most: u64,
}

impl Cache {
    /// Opens the cache below a directory, and makes what is missing.
    ///
    /// # Errors
    /// When the cache cannot be made, or when other users could change it.
    pub(super) fn open(path: &Path, engine: &Engine) -> io::Result<Self> {
        let path = path.join(DIRECTORY);
        DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        let directory =
            sys::open(&path, OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        require_private(&directory, FileType::Directory)?;
        let key = key(&directory)?;
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Ok(Self { directory, key, compatibility: hasher.finish(), most: MOST })
    }

    /// The code of the module with this digest, if it is there and authentic.
    pub(super) fn get(&self, digest: &Digest) -> Option<Code> {
        match self.read(digest) {
            Ok(code) => code,
            Err(error) => {
                tracing::warn!(digest = %digest.short(), "compiling again, cannot use what was kept: {error}");
                None
            }
        }
    }

    /// Keeps the code of the module with this digest. A disk that is full costs time at the next start, no more.
    pub(super) fn put(&self, digest: &Digest, code: &Code) {
        let tag = hmac::sign(&self.key, &self.statement(digest, code.bytes()));
        let written = self.write(&self.name(digest), &[tag.as_ref(), code.bytes()]);
        if let Err(error) = written.and_then(|()| self.trim()) {
            tracing::warn!(digest = %digest.short(), "cannot keep compiled code: {error}");
        }
    }

    fn name(&self, digest: &Digest) -> String {
        format!("{}-{:016x}", digest.hex(), self.compatibility)
    }

    /// The bytes that the tag of an entry authenticates.
    fn statement(&self, digest: &Digest, code: &[u8]) -> Vec<u8> {
        [DOMAIN, digest.as_bytes(), &self.compatibility.to_le_bytes(), Digest::of(code).as_bytes()].concat()
    }

    fn read(&self, digest: &Digest) -> io::Result<Option<Code>> {
        let Some(file) = open(&self.directory, &self.name(digest))? else { return Ok(None) };
        require_private(&file, FileType::RegularFile)?;
        let mut tag = [0; TAG_LENGTH];
        let mut code = Vec::new();
        let mut file = File::from(file);
        file.read_exact(&mut tag)?;
        Read::by_ref(&mut file).take(self.most).read_to_end(&mut code)?;
        hmac::verify(&self.key, &self.statement(digest, &code), &tag)
            .map_err(|_| io::Error::other("it is not what a daemon with this key wrote"))?;
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        // The time of use is not needed for the code, so an error does no harm.
        let _ = sys::futimens(&file, &Timestamps { last_access: now, last_modification: now });
        Ok(Some(Code::vouched_for(code)))
    }

    fn write(&self, name: &str, parts: &[&[u8]]) -> io::Result<()> {
        let new = create(&self.directory, parts)?;
        Ok(sys::renameat(&self.directory, new, &self.directory, name)?)
    }

    /// Removes the entries that were not used for longest, until the rest is small enough.
    fn trim(&self) -> io::Result<()> {
        let mut entries = Vec::new();
        for entry in Dir::read_from(&self.directory)? {
            let name = entry?.file_name().to_owned();
            if name.to_bytes() == KEY.as_bytes()
                || name.to_bytes().starts_with(b"..")
                || name.to_bytes() == b"."
            {
                continue;
            }
            match sys::statat(&self.directory, &name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => {
                    entries.push((stat.st_mtime, stat.st_mtime_nsec, stat.st_size.unsigned_abs(), name));
                }
                Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        entries.sort();
        let mut held: u64 = entries.iter().map(|(_, _, size, _)| size).sum();
        for (_, _, size, name) in entries {
            if held <= self.most {
                break;
            }
            sys::unlinkat(&self.directory, &name, AtFlags::empty())?;
            held -= size;
        }
        Ok(())
    }
}

/// The key in the directory, or a new one. If two daemons start at once, both use the one that was written
/// first.
fn key(directory: &OwnedFd) -> io::Result<Key> {
    if let Some(file) = open(directory, KEY)? {
        require_private(&file, FileType::RegularFile)?;
        let mut bytes = Vec::new();
        File::from(file).take(KEY_LENGTH as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() != KEY_LENGTH {
            return Err(io::Error::other(format!("{DIRECTORY}/{KEY} is broken; delete it")));
        }
        return Ok(Key::new(HMAC_SHA256, &bytes));
    }
    let mut bytes = [0; KEY_LENGTH];
    SystemRandom::new().fill(&mut bytes).map_err(|_| io::Error::other("the system gives no random bytes"))?;
    let new = create(directory, &[&bytes])?;
    match sys::renameat_with(directory, &new, directory, KEY, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(Key::new(HMAC_SHA256, &bytes)),
        Err(Errno::EXIST) => {
            sys::unlinkat(directory, new, AtFlags::empty())?;
            key(directory)
        }
        Err(error) => Err(error.into()),
    }
}

fn open(directory: &OwnedFd, name: &str) -> io::Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match sys::openat(directory, name, flags, Mode::empty()) {
        Ok(file) => Ok(Some(file)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Writes a new file, and returns its temporary name, which it has until it is renamed.
fn create(directory: &OwnedFd, parts: &[&[u8]]) -> io::Result<String> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = format!("new-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(sys::openat(directory, &name, flags, Mode::RUSR | Mode::WUSR)?);
    let written = parts.iter().try_for_each(|part| file.write_all(part));
    if let Err(error) = written {
        sys::unlinkat(directory, &name, AtFlags::empty())?;
        return Err(error);
    }
    Ok(name)
}

/// Refuses a file that is not this user's own, or that others can read or change.
fn require_private(file: &OwnedFd, kind: FileType) -> io::Result<()> {
    let stat = sys::fstat(file)?;
    let mode = Mode::from_raw_mode(stat.st_mode);
    if FileType::from_raw_mode(stat.st_mode) != kind || stat.st_uid != geteuid().as_raw() {
        return Err(io::Error::other("it belongs to somebody else; delete it, or choose another directory"));
    }
    if mode.intersects(Mode::RWXG | Mode::RWXO) {
        return Err(io::Error::other("others may reach into it; `chmod -R go=` closes it"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
