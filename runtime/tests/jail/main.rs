//! Modules are compiled by a child that can do nothing else, within limits, and kept for the next start.

use aviary::{
    capability::dial::{Network, NetworkOptions},
    outcome::{Blame, Fault, Reason},
    sandbox::{Guest, Sandbox},
    settings::{Allowance, CompilerConfig},
    signature::Keyring,
    value::{Blob, Size},
};
use std::{fs, sync::Arc, time::Duration};
use test_guests::bombs;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

macro_rules! guest {
    (PASSES $path:literal) => {
        const PASSES: &str = $path;
    };
    ($name:ident $path:literal) => {};
}
test_guests::for_each!(guest);

/// The default settings for compiling, with a shorter timeout, so that no test waits for ten seconds.
fn compiler() -> CompilerConfig {
    let allowance = Allowance { cpu: Duration::from_secs(3), ..Allowance::default() };
    CompilerConfig { program: env!("CARGO_BIN_EXE_aviary").into(), allowance, cache: None }
}

fn sandbox(compiler: CompilerConfig) -> Sandbox {
    let network = Network::new(&NetworkOptions::default()).expect("a network");
    Sandbox::new(8, compiler, Arc::new(network), None).expect("a sandbox")
}

fn passes() -> Vec<u8> {
    fs::read(PASSES).expect("a guest")
}

async fn load(sandbox: &Sandbox, bytes: Vec<u8>) -> Result<Arc<Guest>, Fault> {
    let module = Keyring::default().admit("subject.wasm", Blob::of(bytes), None).await?;
    sandbox.load("subject.wasm", module).await
}

/// Whether a module compiled, and only then turned out to be no check.
fn is_compiled(loaded: &Result<Arc<Guest>, Fault>) -> bool {
    loaded.as_ref().is_err_and(|fault| fault.message.contains("is a component, but not a check"))
}

/// The resident memory of this process, in bytes.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("resident memory");
    line.split_whitespace().nth(1).expect("a number").parse::<u64>().expect("a number") << 10
}

/// The most resident memory in bytes, and how long sleeps of 5 ms took, until it is told to stop.
async fn watch(stop: CancellationToken) -> (u64, Vec<Duration>) {
    let (mut most, mut sleeps) = (0, Vec::new());
    while !stop.is_cancelled() {
        let asleep = Instant::now();
        sleep(Duration::from_millis(5)).await;
        sleeps.push(asleep.elapsed());
        most = most.max(resident());
    }
    sleeps.sort();
    (most, sleeps)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bomb_is_refused_in_time_and_neither_memory_nor_neighbours_notice() {
    let sandbox = sandbox(compiler());
    load(&sandbox, passes()).await.expect("a good module");
    for (name, bomb) in [
        ("loops", bombs::loops(4_000, 500)),
        ("tables", bombs::nested_tables(2_000, 500)),
        ("blocks", bombs::deep_blocks(200_000)),
        ("locals", bombs::many_locals(3_000)),
        ("functions", bombs::many_functions(170_000)),
        ("instances", bombs::doubled_instances(28)),
        ("hopeless", bombs::many_functions(190_000)),
    ] {
        let (size, before, begun, stop) = (bomb.len(), resident(), Instant::now(), CancellationToken::new());
        let watching = tokio::spawn(watch(stop.clone()));
        let loaded = load(&sandbox, bomb).await;
        let took = begun.elapsed();
        stop.cancel();
        let (most, sleeps) = watching.await.expect("no panic");
        let grown = most.saturating_sub(before) >> 10;
        let (median, longest) = (sleeps[sleeps.len() / 2], sleeps[sleeps.len() - 1]);
        let fault = loaded.err().expect("refused");
        eprintln!("{name}: {size} bytes, {took:?}, +{grown} KiB, sleeps {median:?} to {longest:?}: {fault}");
        assert_eq!((fault.reason, fault.reason.blame()), (Reason::Module, Blame::Guest), "{name}: {fault}");
        assert!(fault.message.contains("--compile-"), "{name}: {fault}");
        assert!(took < Duration::from_secs(60), "{name} took {took:?}");
        assert!(grown < 20 << 10, "{name} made the daemon {grown} KiB larger");
        assert!(median < Duration::from_millis(50), "{name} made neighbours wait for {median:?}");
    }
}

#[tokio::test]
async fn a_bomb_is_not_tried_again_at_once() {
    let sandbox = sandbox(compiler());
    let bomb = bombs::many_functions(170_000);
    load(&sandbox, bomb.clone()).await.err().expect("refused");
    let begun = Instant::now();
    let again = load(&sandbox, bomb).await.err().expect("refused again");
    assert!(again.message.contains("not tried again for"), "{again}");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_slow_module_does_not_hold_up_a_quick_one() {
    let sandbox = sandbox(compiler());
    let slow = load(&sandbox, bombs::nested_tables(2_000, 500));
    let quick = async {
        sleep(Duration::from_millis(200)).await;
        load(&sandbox, passes()).await
    };
    tokio::select! {
        biased;
        loaded = quick => assert!(loaded.is_ok()),
        loaded = slow => panic!("the slow one was first: {:?}", loaded.err()),
    }
}

#[tokio::test]
async fn what_is_legitimate_compiles_once_the_named_limit_is_raised() {
    let small = Allowance { memory: Size::mebibytes(64), ..Allowance::default() };
    let large = bombs::many_functions(20_000);
    let refused = load(&sandbox(CompilerConfig { allowance: small, ..compiler() }), large.clone()).await;
    let fault = refused.err().expect("refused");
    assert!(fault.message.contains("64Mi of memory to compile; --compile-memory raises that"), "{fault}");
    let raised = Allowance { memory: Size::mebibytes(1024), cpu: Duration::from_secs(60), ..small };
    let loaded = load(&sandbox(CompilerConfig { allowance: raised, ..compiler() }), large).await;
    assert!(is_compiled(&loaded), "{:?}", loaded.err());
}

#[tokio::test]
async fn what_was_compiled_once_needs_no_compiler_at_the_next_start() {
    let directory = tempfile::tempdir().expect("a directory");
    let cache = Some(directory.path().to_path_buf());
    load(&sandbox(CompilerConfig { cache: cache.clone(), ..compiler() }), passes()).await.expect("compiled");
    let without = || CompilerConfig { program: "/bin/false".into(), ..compiler() };
    load(&sandbox(CompilerConfig { cache, ..without() }), passes()).await.expect("kept");
    let fault = load(&sandbox(without()), passes()).await.err().expect("no compiler");
    assert_eq!((fault.reason, fault.reason.blame()), (Reason::Resources, Blame::Host), "{fault}");
}

#[tokio::test]
async fn a_module_that_is_not_valid_is_told_why() {
    let mut broken = passes();
    let end = broken.len() - 40;
    broken.truncate(end);
    let fault = load(&sandbox(compiler()), broken).await.err().expect("refused");
    assert!(fault.message.starts_with("subject.wasm does not compile: "), "{fault}");
    assert_eq!(fault.reason, Reason::Module);
}

#[tokio::test]
async fn a_module_that_could_never_live_is_its_authors_fault() {
    for module in [bombs::large_table(), bombs::many_globals(40_000)] {
        let fault = load(&sandbox(compiler()), module).await.err().expect("refused");
        assert_eq!(fault.reason, Reason::Module, "{fault}");
        assert!(fault.message.contains("compiles, but could not run here: "), "{fault}");
    }
}
