//! Opening files that somebody else may replace meanwhile.

use rustix::fs::OFlags;
use std::{fs::File, io, os::unix::fs::OpenOptionsExt, path::Path};

/// Opens a regular file. Anything else is refused without waiting: opening a pipe would wait for its
/// other end, and devices never end.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = File::options().read(true).custom_flags(nonblocking).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a regular file")) }
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
}
