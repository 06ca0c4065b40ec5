//! Opening files that somebody else may replace meanwhile.

use rustix::fs::OFlags;
use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// Opens a regular file for reading.
/// Anything else is refused without waiting: opening a pipe would wait for its other end, and devices never
/// end.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = File::options().read(true).custom_flags(nonblocking).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a regular file")) }
}

/// Reads a regular file, at most `most` bytes and one more, which shows that it is longer.
pub(crate) fn read(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(path)?.take(most as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads the text of a regular file; an error if it has more than `most` bytes or is not UTF-8.
pub(crate) fn read_text(path: &Path, most: usize) -> io::Result<String> {
    let bytes = read(path, most)?;
    if bytes.len() > most {
        return Err(io::Error::other(format!("it is longer than {most} bytes")));
    }
    String::from_utf8(bytes).map_err(|error| io::Error::other(format!("it is not UTF-8: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    #[test]
    fn a_pipe_is_refused_at_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let pipe = directory.path().join("pipe");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR, 0).expect("a pipe");
        assert!(open_regular(&pipe).expect_err("refused").to_string().contains("regular file"));
        assert!(open_regular(directory.path()).is_err());
    }

    #[test]
    fn of_a_text_that_is_too_long_no_more_is_read_than_shows_it() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        file.as_file().set_len(1 << 40).expect("a sparse file");
        assert_eq!(read(file.path(), 10).expect("readable").len(), 11);
        assert!(read_text(file.path(), 10).expect_err("too long").to_string().contains("longer than 10"));
    }
}
