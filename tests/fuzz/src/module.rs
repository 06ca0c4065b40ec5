//! The promise about modules.

use arbitrary::{Arbitrary, Unstructured};
use aviary::{
    capability::dial::{Network, NetworkOptions},
    outcome::Fault,
    sandbox::{Guest, Sandbox},
    settings::{Allowance, CompilerConfig},
    signature::Keyring,
    value::{Blob, Size},
};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{SignalKind, signal},
};

/// The first bytes of a component.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
const CORE_MODULE_SECTION: u8 = 1;
/// The longest time that compiling may take. It is twice what the limits allow, as a second jail takes over
/// from the first, and more for a busy machine.
const LONGEST: Duration = Duration::from_secs(15);

static PLACE: OnceLock<Place> = OnceLock::new();

/// A sandbox that compiles, and one that only finds what the first has kept.
struct Place {
    runtime: Runtime,
    compiles: Sandbox,
    finds: Sandbox,
    _cache: TempDir,
}

/// Any module is compiled or refused within the limits, and no compiler breaks down over it. What is compiled
/// is found again after a start.
///
/// `program` is the daemon, which compiles in a child. The first byte tells what the others are: a component,
/// the sections of one, or a core module within one.
pub fn module(program: &Path, bytes: &[u8]) {
    let Some(bytes) = component(bytes) else { return };
    let place = PLACE.get_or_init(|| Place::new(program));
    let begun = Instant::now();
    let loaded = place.load(&place.compiles, &bytes);
    assert!(begun.elapsed() < LONGEST, "took {:?}", begun.elapsed());
    let found = place.load(&place.finds, &bytes);
    match (loaded, found) {
        (Ok(one), Ok(other)) => assert_eq!(one.digest, other.digest),
        (Ok(_), Err(fault)) => panic!("it is not found again: {}", fault.message),
        (Err(fault), found) => {
            assert!(found.is_err(), "it was refused before: {}", fault.message);
            assert!(!fault.message.contains("please report it"), "{}", fault.message);
        }
    }
}

fn component(bytes: &[u8]) -> Option<Vec<u8>> {
    let (kind, bytes) = bytes.split_first()?;
    match kind % 3 {
        0 => Some(bytes.to_vec()),
        1 => wasm_smith::Component::arbitrary_take_rest(Unstructured::new(bytes))
            .ok()
            .map(|made| made.to_bytes()),
        _ => {
            let module = wasm_smith::Module::arbitrary_take_rest(Unstructured::new(bytes)).ok()?;
            Some(around(&module.to_bytes()))
        }
    }
}

/// The component that holds nothing but this core module.
fn around(module: &[u8]) -> Vec<u8> {
    let mut component = [COMPONENT, &[CORE_MODULE_SECTION]].concat();
    let mut length = module.len();
    while length > 0x7f {
        component.push(0x80 | length.to_le_bytes()[0]);
        length >>= 7;
    }
    component.push(length.to_le_bytes()[0]);
    component.extend_from_slice(module);
    component
}

impl Place {
    fn new(program: &Path) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let cache = tempfile::tempdir().expect("a directory");
        let entered = runtime.enter();
        // In a program of Rust, its `main` sees to it that a child may end early; a fuzzer has no such
        // `main`.
        drop(signal(SignalKind::pipe()).expect("a handler"));
        let network = Arc::new(Network::new(&NetworkOptions::default()).expect("a network"));
        let sandbox = |program: PathBuf| {
            let allowance = Allowance {
                memory: Size::mebibytes(256),
                cpu: Duration::from_secs(2),
                wall: Duration::from_secs(6),
            };
            let compiler = CompilerConfig { program, allowance, cache: Some(cache.path().to_owned()) };
            Sandbox::new(1, compiler, Arc::clone(&network), None).expect("a sandbox")
        };
        let (compiles, finds) = (sandbox(program.to_owned()), sandbox("/bin/false".into()));
        drop(entered);
        Self { runtime, compiles, finds, _cache: cache }
    }

    fn load(&self, sandbox: &Sandbox, bytes: &[u8]) -> Result<Arc<Guest>, Fault> {
        self.runtime.block_on(async {
            let admitted = Keyring::default().admit("m.wasm", Blob::of(bytes), None).await?;
            sandbox.load("m.wasm", admitted).await
        })
    }
}
