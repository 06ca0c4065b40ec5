//! The confinement of a compiling process: what it gives up.

use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetStatus, Scope};
use rustix::{
    io::Errno,
    process::{Resource, Rlimit, getpid, getrlimit, nice, setrlimit},
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use std::{collections::BTreeMap, env::consts::ARCH, error::Error, time::Duration};

/// How much the priority of the process is lowered.
const NICE: i32 = 10;

/// The system calls that a compiler needs once it has begun: for memory, its three pipes, time, and its end.
const NEEDED: [i64; 25] = [
    libc::SYS_brk,
    libc::SYS_clock_gettime,
    libc::SYS_close,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_madvise,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_sigaltstack,
    libc::SYS_write,
    libc::SYS_writev,
];

/// Limits what the process can use up, and lowers its priority. Every kernel can do that.
pub(super) fn limit(memory: u64, cpu: Duration) -> Result<(), String> {
    let limits = [
        (Resource::As, memory, "address space"),
        (Resource::Cpu, cpu.as_secs().max(1), "processor time"),
        (Resource::Fsize, 0, "the size of files"),
        (Resource::Nproc, 0, "processes"),
        (Resource::Core, 0, "core dumps"),
    ];
    for (resource, most, what) in limits {
        lower(resource, most).map_err(|error| format!("cannot limit {what}: {error}"))?;
    }
    // An error does no harm: a lower priority is a courtesy, and all that matters for safety is above.
    let _ = nice(NICE);
    Ok(())
}

/// Lowers a limit of the process. At the soft limit of processor time comes a signal that tells why, a second
/// later the end.
fn lower(resource: Resource, most: u64) -> Result<(), Errno> {
    let allowed = getrlimit(resource).maximum.unwrap_or(u64::MAX);
    let spare = u64::from(matches!(resource, Resource::Cpu));
    let limit = Rlimit { current: Some(most.min(allowed)), maximum: Some((most + spare).min(allowed)) };
    setrlimit(resource, limit)
}

/// Shuts the process off from files, network and other processes. Returns what could not be done, and why.
pub(super) fn seal() -> Vec<String> {
    // The order matters: Landlock opens something itself, and seccomp would refuse the two before it.
    let done = [
        ("landlock", shut_files()),
        ("open files", lower(Resource::Nofile, 0).map_err(Into::into)),
        ("seccomp", filter_calls()),
    ];
    let gap = |(name, done): (&str, Result<(), Box<dyn Error>>)| Some(format!("{name}: {}", done.err()?));
    done.into_iter().filter_map(gap).collect()
}

fn shut_files() -> Result<(), Box<dyn Error>> {
    let newest = ABI::V6;
    let rules = Ruleset::default()
        .handle_access(AccessFs::from_all(newest))?
        .handle_access(AccessNet::from_all(newest))?
        .scope(Scope::from_all(newest))?;
    let shut = rules.create()?.restrict_self()?;
    match shut.ruleset {
        RulesetStatus::NotEnforced => Err("this kernel does not offer it".into()),
        RulesetStatus::PartiallyEnforced | RulesetStatus::FullyEnforced => Ok(()),
    }
}

/// Makes every system call that is not needed fail with "operation not permitted".
fn filter_calls() -> Result<(), Box<dyn Error>> {
    let pid = u64::from(getpid().as_raw_nonzero().get().unsigned_abs());
    // An abort sends a signal to its own process, and must not reach another one.
    let to_itself = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, pid)?;
    let mut rules: BTreeMap<_, _> = NEEDED.map(|call| (call, Vec::new())).into();
    rules.insert(libc::SYS_tgkill, vec![SeccompRule::new(vec![to_itself])?]);
    let refuse = SeccompAction::Errno(Errno::PERM.raw_os_error().unsigned_abs());
    let filter = SeccompFilter::new(rules, refuse, SeccompAction::Allow, ARCH.try_into()?)?;
    Ok(seccompiler::apply_filter(&BpfProgram::try_from(filter)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        env,
        fs::File,
        io::Write,
        net::{TcpListener, TcpStream, UdpSocket},
        os::unix::net::UnixStream,
        process::{self, Command},
        thread,
    };

    const INSIDE: &str = "AVIARY_TEST_CONFINED";

    /// Runs the calling test again in a process of its own, as there is no way out again, and returns what it
    /// prints.
    fn confined() -> String {
        let name = thread::current().name().expect("tests are named").to_owned();
        let test = Command::new(env::current_exe().expect("this program"))
            .args(["--exact", &name, "--nocapture"])
            .env(INSIDE, "yes")
            .output()
            .expect("it runs");
        let errors = String::from_utf8_lossy(&test.stderr);
        assert!(test.status.success(), "{}: {errors}", test.status);
        String::from_utf8_lossy(&test.stdout).into_owned()
    }

    fn tell(lines: &[String]) -> ! {
        std::io::stdout().write_all(lines.join("\n").as_bytes()).expect("a pipe");
        process::exit(0)
    }

    #[test]
    fn nothing_can_be_reached_once_the_process_is_sealed() {
        if env::var_os(INSIDE).is_none() {
            let said = confined();
            assert!(said.contains("begin") && !said.contains("could"), "{said}");
            assert!(said.contains("gaps: []"), "this kernel lacks something: {said}");
            return;
        }
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = listener.local_addr().expect("an address");
        limit(1 << 30, Duration::from_secs(5)).expect("limits");
        let gaps = seal();
        let lines = [
            format!("begin, gaps: {gaps:?}"),
            told("read", File::open("/etc/passwd").map(drop)),
            told("write", File::create("/tmp/aviary-test-confined").map(drop)),
            told("list", std::fs::read_dir("/proc/self").map(drop)),
            told("connect", TcpStream::connect(address).map(drop)),
            told("send", UdpSocket::bind("127.0.0.1:0").map(drop)),
            told("pair", UnixStream::pair().map(drop)),
            told("start", Command::new("/bin/true").status().map(drop)),
            told("thread", thread::Builder::new().spawn(|| ()).map(drop)),
            told("signal", rustix::process::test_kill_process(getpid()).map_err(Into::into)),
            told(
                "loosen",
                setrlimit(Resource::As, Rlimit { current: None, maximum: None }).map_err(Into::into),
            ),
        ];
        tell(&lines)
    }

    #[test]
    fn limits_hold_without_any_seal() {
        if env::var_os(INSIDE).is_none() {
            let said = confined();
            assert!(said.contains("begin") && !said.contains("could"), "{said}");
            return;
        }
        limit(1 << 30, Duration::from_secs(5)).expect("limits");
        let much = Vec::<u8>::new().try_reserve_exact(2 << 30).map_err(std::io::Error::other);
        tell(&["begin".to_owned(), told("allocate", much)]);
    }

    fn told(what: &str, done: std::io::Result<()>) -> String {
        done.map_or_else(|error| format!("no {what}: {error}"), |()| format!("could {what}"))
    }
}
