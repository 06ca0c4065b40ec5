//! Code that runs while a guest is made live, before any of its functions is called.

use crate::{self as guests, support::Subject};
use aviary::outcome::Reason;

/// A core module whose start function has this body, appended to a good guest.
///
/// Sections of a component (component-model, `Binary.md`): 1 is a core module, 2 a core instance.
fn guest_that_starts_with(body: &[u8]) -> Vec<u8> {
    let section = |id: u8, content: &[u8]| [&[id, length(content)], content].concat();
    let code = [&[1, length(body)], body].concat();
    let types = section(1, &[1, 0x60, 0, 0]);
    let functions = section(3, &[1, 0]);
    let start = section(8, &[0]);
    let module = [b"\0asm\x01\0\0\0", types.as_slice(), &functions, &start, &section(10, &code)].concat();
    let mut guest = std::fs::read(guests::PASSES).expect("a guest");
    let index = core_modules(&guest);
    guest.extend(section(1, &module));
    guest.extend(section(2, &[1, 0, index, 0]));
    guest
}

fn length(content: &[u8]) -> u8 {
    u8::try_from(content.len()).ok().filter(|length| *length < 128).expect("a short section")
}

/// How many core modules a component holds.
fn core_modules(component: &[u8]) -> u8 {
    let (mut at, mut modules) = (8, 0);
    while at < component.len() {
        modules += u8::from(component[at] == 1);
        let (mut size, mut shift) = (0_usize, 0);
        loop {
            at += 1;
            size |= usize::from(component[at] & 0x7f) << shift;
            shift += 7;
            if component[at] < 0x80 {
                break;
            }
        }
        at += 1 + size;
    }
    modules
}

async fn fault(body: &[u8]) -> (Reason, String) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("starts.wasm");
    std::fs::write(&path, guest_that_starts_with(body)).expect("written");
    let subject = Subject::load(&path.to_string_lossy(), "  timeout: 200ms").await.expect("loaded");
    let fault = subject.try_live().await.err().expect("a fault");
    (fault.reason, fault.message)
}

#[tokio::test]
async fn a_start_function_that_spins_ends_with_the_deadline() {
    let forever = [0, 0x03, 0x40, 0x0c, 0, 0x0b, 0x0b];
    assert_eq!(fault(&forever).await, (Reason::Timeout, "start timed out after 200ms".to_owned()));
}

#[tokio::test]
async fn a_start_function_that_traps_is_the_guests_fault() {
    let (reason, message) = fault(&[0, 0, 0x0b]).await;
    assert_eq!(reason, Reason::Trap);
    assert!(message.starts_with("start trapped: ") && !message.contains('\n'), "{message}");
}
