//! Waiting until a time limit, and telling why it was in vain.

use std::{
    fs,
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

const PAUSE: Duration = Duration::from_millis(50);
const LINES: usize = 15;

/// Asks until the answer is yes or the time is up, and returns the last answer.
pub(crate) fn until(limit: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    while !holds() {
        if Instant::now() > end {
            return false;
        }
        sleep(PAUSE);
    }
    true
}

/// The name of a log and its last lines.
pub(crate) fn last_lines(log: &Path) -> String {
    let content = fs::read(log).unwrap_or_default();
    let content = String::from_utf8_lossy(&content);
    let lines: Vec<&str> = content.lines().collect();
    let lines = lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default();
    format!("the end of {}:\n{}", log.display(), lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_ends_when_the_time_is_up() {
        assert!(!until(Duration::ZERO, || false));
        assert!(until(Duration::ZERO, || true));
    }

    #[test]
    fn only_the_end_of_a_log_is_shown() {
        let log = tempfile::NamedTempFile::new().expect("a file");
        let lines: Vec<String> = (0..100).map(|line| format!("line {line}")).collect();
        fs::write(log.path(), lines.join("\n")).expect("a log");
        let shown = last_lines(log.path());
        assert!(shown.contains("line 85") && shown.contains("line 99") && !shown.contains("line 84"));
    }
}
