//! Processes that outlive the one that started them: recorded, found again, and stopped exactly.

use crate::{directory::Directory, wait};
use anyhow::{Context, Result, bail};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};
use std::{
    fs::{self, File},
    io::ErrorKind,
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

/// How long the kernel may take to end a process that was killed.
const END: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

/// A process that was started, and its command.
#[derive(Debug, PartialEq)]
pub(crate) struct Process {
    pub(crate) name: String,
    pub(crate) pid: i32,
    /// When the process started, in clock ticks since the machine started. It tells it from a later process
    /// with the same id.
    born: u64,
    command: Vec<String>,
}

impl Process {
    /// Starts a program that writes to its own log, and records it.
    pub(crate) fn start(directory: &Directory, name: &str, command: Vec<String>) -> Result<Self> {
        let [program, arguments @ ..] = command.as_slice() else { bail!("{name} has no program") };
        let path = directory.log(name);
        let log = File::options().create(true).append(true).open(&path);
        let log = log.with_context(|| format!("cannot write {}", path.display()))?;
        let mut child = Command::new(program);
        // A process group of its own, so that Ctrl-C at a terminal ends the tests and not the cluster.
        child.args(arguments).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
        if let Some(directory) = Path::new(program).parent() {
            let others = std::env::var("PATH").unwrap_or_default();
            child.env("PATH", format!("{}:{others}", directory.display()));
        }
        let child = child.spawn().with_context(|| format!("cannot start {program}"))?;
        let pid = i32::try_from(child.id())?;
        let born = birth(pid).with_context(|| format!("{name} ended at once; see {}", path.display()))?;
        let process = Self { name: name.to_owned(), pid, born, command };
        let record = directory.processes().join(name);
        fs::write(&record, process.to_record())
            .with_context(|| format!("cannot write {}", record.display()))?;
        Ok(process)
    }

    /// Starts the same program with the same arguments again.
    pub(crate) fn start_again(self, directory: &Directory) -> Result<Self> {
        Self::start(directory, &self.name, self.command)
    }

    pub(crate) fn is_alive(&self) -> bool {
        birth(self.pid) == Some(self.born)
    }

    /// Kills the process and waits until it is gone. Another process that has its id by now is left alone.
    pub(crate) fn stop(&self) -> Result<()> {
        let pid = Pid::from_raw(self.pid).with_context(|| format!("{} is no process", self.pid))?;
        // Opened before the start time is compared: from then on the id cannot pass to another process.
        let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { return Ok(()) };
        if !self.is_alive() {
            return Ok(());
        }
        pidfd_send_signal(&handle, Signal::KILL)
            .with_context(|| format!("cannot stop {} (process {})", self.name, self.pid))?;
        if poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&END))? == 0 {
            bail!("{} (process {}) was killed and is still there", self.name, self.pid);
        }
        Ok(())
    }

    /// Waits until something holds; fails early if the process ends.
    pub(crate) fn wait(
        &self,
        directory: &Directory,
        what: &str,
        limit: Duration,
        mut holds: impl FnMut() -> bool,
    ) -> Result<()> {
        let log = directory.log(&self.name);
        let met = wait::until(limit, || holds() || !self.is_alive());
        if !self.is_alive() {
            bail!("{} ended while waiting for {what}; {}", self.name, wait::last_lines(&log));
        }
        if !met {
            bail!("waited {limit:?} in vain for {what}; {}", wait::last_lines(&log));
        }
        Ok(())
    }

    fn to_record(&self) -> String {
        format!("{} {}\n{}\n", self.pid, self.born, self.command.join("\n"))
    }

    fn from_record(name: &str, record: &str) -> Option<Self> {
        let mut lines = record.lines();
        let (pid, born) = lines.next()?.split_once(' ')?;
        let command = lines.map(str::to_owned).collect();
        Some(Self { name: name.to_owned(), pid: pid.parse().ok()?, born: born.parse().ok()?, command })
    }
}

/// All processes that were recorded, the youngest first.
pub(crate) fn recorded(directory: &Directory) -> Result<Vec<Process>> {
    let path = directory.processes();
    let entries = match fs::read_dir(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("cannot read {}", path.display()))?,
    };
    let mut processes = Vec::new();
    for entry in entries {
        let entry = entry?;
        let record = fs::read_to_string(entry.path())?;
        // A record that was cut off by a full disk names nobody, so there is nobody to stop.
        processes.extend(Process::from_record(&entry.file_name().to_string_lossy(), &record));
    }
    processes.sort_by_key(|process| std::cmp::Reverse((process.born, process.pid)));
    Ok(processes)
}

/// Kills a process that is known to be ours, whatever has become of it meanwhile.
pub(crate) fn kill(pid: i32) {
    let handle = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    if let Some(handle) = handle {
        let _gone_already = pidfd_send_signal(&handle, Signal::KILL);
    }
}

/// The process that was recorded under this name.
pub(crate) fn find(directory: &Directory, name: &str) -> Result<Process> {
    let found = recorded(directory)?.into_iter().find(|process| process.name == name);
    found.with_context(|| format!("no {name} was started here; start one with `cargo xtask cluster up`"))
}

/// When a process was started, in clock ticks since the machine started. None if it is gone, or a zombie.
fn birth(pid: i32) -> Option<u64> {
    birth_in(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn birth_in(stat: &str) -> Option<u64> {
    // The second field is the name in parentheses, which may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> (tempfile::TempDir, Directory) {
        let parent = tempfile::tempdir().expect("a temporary directory");
        let directory = Directory::at(&parent.path().join("cluster")).expect("a path");
        directory.create().expect("a directory");
        (parent, directory)
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let command = vec!["/bin/etcd".to_owned(), "--name=a b".to_owned()];
        let process = Process { name: "etcd".to_owned(), pid: 7, born: 99, command };
        assert_eq!(Process::from_record("etcd", &process.to_record()), Some(process));
    }

    #[test]
    fn a_record_that_was_cut_off_names_nobody() {
        assert_eq!(Process::from_record("etcd", ""), None);
        assert_eq!(Process::from_record("etcd", "12"), None);
    }

    #[test]
    fn the_birth_of_a_process_with_a_hostile_name_is_found() {
        let stat = "7 (a) R 1 (b)) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 1 2";
        assert_eq!(birth_in(stat), Some(4711));
        assert_eq!(birth_in(&stat.replace(" S ", " Z ")), None);
    }

    #[test]
    fn a_process_is_found_again_and_stopped() {
        let (_parent, directory) = directory();
        Process::start(&directory, "sleeper", vec!["/bin/sleep".into(), "60".into()]).expect("sleep");
        let found = find(&directory, "sleeper").expect("a record");
        assert!(found.is_alive());
        found.stop().expect("a stop");
        assert!(!found.is_alive());
        found.stop().expect("to stop twice does no harm");
    }

    #[test]
    fn a_process_that_only_has_the_id_of_a_recorded_one_is_left_alone() {
        let (_parent, directory) = directory();
        let command = vec!["/bin/sleep".into(), "60".into()];
        let sleeper = Process::start(&directory, "sleeper", command).expect("sleep");
        let recorded =
            Process { born: sleeper.born - 1, command: Vec::new(), name: "etcd".into(), ..sleeper };
        recorded.stop().expect("nothing to stop");
        let sleeper = find(&directory, "sleeper").expect("a record");
        assert!(sleeper.is_alive());
        sleeper.stop().expect("a stop");
    }

    #[test]
    fn waiting_for_a_process_that_ends_shows_its_last_words() {
        let (_parent, directory) = directory();
        let command = ["/bin/sh", "-c", "sleep 0.1; echo no such flag; exit 1"].map(str::to_owned);
        let shell = Process::start(&directory, "shell", command.into()).expect("a shell");
        let error = shell.wait(&directory, "it", Duration::from_secs(10), || false).expect_err("it ends");
        assert!(error.to_string().contains("no such flag"), "{error}");
    }
}
