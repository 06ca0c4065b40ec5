//! A daemon that asks for signatures, over a directory.

use crate::{
    self as guests,
    inventory::{Aviary, PATIENCE, message},
};
use aviary::{board::CheckState, outcome::Reason, signature::Keyring};
use minisign::KeyPair;
use std::{fs, io::Cursor};

fn pair() -> KeyPair {
    KeyPair::generate_unencrypted_keypair().expect("a key")
}

fn aviary(keys: &[&KeyPair]) -> Aviary {
    let keys = keys.iter().map(|pair| pair.pk.clone().into()).collect();
    let aviary = Aviary::start_signed(PATIENCE, Keyring::of(keys));
    aviary.put_manifest("  interval: 20ms\n");
    aviary
}

/// The signature file that `minisign` writes for a guest.
fn signature(pair: &KeyPair, guest: &str) -> String {
    let module = fs::read(guest).expect("a guest");
    let signature = minisign::sign(None, &pair.sk, Cursor::new(module), None, None).expect("signed");
    signature.into_string()
}

#[tokio::test]
async fn a_module_runs_once_its_signature_has_arrived() {
    let pair = pair();
    let aviary = aviary(&[&pair]);
    aviary.put_guest("subject.wasm", guests::PASSES);
    let view = aviary.until("refused", |view| view.rejected.is_some()).await;
    let fault = view.rejected.as_ref().expect("a fault");
    assert_eq!(fault.reason, Reason::Signature);
    assert!(fault.message.contains("aviary sign subject.wasm --key"), "{}", fault.message);
    assert!(view.module.is_none() && view.counts.runs == [0; 4], "never run: {view:?}");
    aviary.put("subject.wasm.minisig", signature(&pair, guests::PASSES));
    let view = aviary.until("passing", |view| view.standing == CheckState::Pass).await;
    let signer = view.module.expect("a module").signer.expect("a signer");
    assert_eq!(signer.to_string().len(), 16);
    assert!(view.rejected.is_none());
}

#[tokio::test]
async fn what_is_not_signed_leaves_the_last_good_one_running() {
    let (pair, stranger) = (pair(), pair());
    let aviary = aviary(&[&pair]);
    aviary.put("subject.wasm.minisig", signature(&pair, guests::PASSES));
    aviary.put_guest("subject.wasm", guests::PASSES);
    aviary.until("passing", |view| view.standing == CheckState::Pass).await;
    // Another module under the former signature, then signed by a stranger, then without any.
    aviary.put_guest("subject.wasm", guests::RETURNS_ERROR);
    let refused = |what: &'static str| {
        let aviary = &aviary;
        async move {
            let so = |fault: &aviary::outcome::Fault| fault.message.contains(what);
            let view = aviary.until(what, |view| view.rejected.as_deref().is_some_and(so)).await;
            let runs = view.counts.runs[0];
            aviary.until("going on", |view| view.counts.runs[0] > runs + 1).await;
        }
    };
    refused("does not fit").await;
    aviary.put("subject.wasm.minisig", signature(&stranger, guests::RETURNS_ERROR));
    refused("is signed with the key").await;
    fs::remove_file(aviary.directory.path().join("subject.wasm.minisig")).expect("removed");
    refused("is not signed").await;
    aviary.put("subject.wasm.minisig", signature(&pair, guests::RETURNS_ERROR));
    let view = aviary.until("replaced", |view| view.standing == CheckState::Fail).await;
    assert_eq!((message(&view).as_str(), view.rejected), ("the guest gives up", None));
}

#[tokio::test]
async fn the_same_bytes_under_another_check_need_their_own_signature() {
    let pair = pair();
    let aviary = aviary(&[&pair]);
    aviary.put("subject.wasm.minisig", signature(&pair, guests::PASSES));
    aviary.put_guest("subject.wasm", guests::PASSES);
    aviary.until("passing", |view| view.standing == CheckState::Pass).await;
    aviary.put_guest("copy.wasm", guests::PASSES);
    let copy = "default/copy".parse().expect("a key");
    let view = aviary.until_of(&copy, "refused", |view| view.rejected.is_some()).await;
    assert_eq!(view.rejected.expect("a fault").reason, Reason::Signature);
    assert!(view.module.is_none());
    aviary.put("copy.wasm.minisig", signature(&pair, guests::PASSES));
    aviary.until_of(&copy, "passing", |view| view.standing == CheckState::Pass).await;
}

#[tokio::test]
async fn another_signature_of_the_same_module_does_not_disturb_its_round() {
    let (old, new) = (pair(), pair());
    let aviary = aviary(&[&old, &new]);
    aviary.put("subject.wasm.minisig", signature(&old, guests::COUNTS));
    aviary.put_guest("subject.wasm", guests::COUNTS);
    let view = aviary.until("in its third poll", |view| view.counts.runs[0] >= 3).await;
    let signer = view.module.expect("a module").signer;
    aviary.put("subject.wasm.minisig", signature(&new, guests::COUNTS));
    let resigned =
        |view: &aviary::board::View| view.module.as_ref().is_some_and(|module| module.signer != signer);
    let view = aviary.until("signed by the other key", resigned).await;
    let runs = view.counts.runs[0];
    let view = aviary.until("polled again", |view| view.counts.runs[0] > runs).await;
    let polls = view.counts.runs[0];
    assert_eq!(message(&view), format!("{polls} polls"), "still the first round");
}
