//! The promise about signatures, and the keys that they are judged with.

use aviary::{
    signature::{Keyring, PublicKey, Signature},
    value::Blob,
};
use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use std::sync::LazyLock;
use tokio::runtime::{Builder, Runtime};

/// An empty component, which the genuine signatures are for.
const MODULE: &[u8] = b"\0asm\x0d\0\x01\0";
const KEY: &str = "RWTOai1xfg21NlZIvpVLls/Kl8sD7K+O8R2SnGp/ic94rfxyeOb7/PtW";
/// Two genuine signatures: over the hash of the bytes, and over the bytes.
const GENUINE: [&str; 2] = [
    "untrusted comment: signature from minisign secret key
RUTOai1xfg21Ng4xqhkcvQ2lL50vounf3gkgWkEt64aiDOZlJZ2QHTwwuKPuIq2qvoDl4vXtq9Ct1OcPdWcaIZgi9+Eehf0Zigc=
trusted comment: file:component.wasm
fOkUju1ThWChILXET8N7wiv5L8lLEwlhQp2Ejq97gSbAyJIo8Qp3H6veVKxyJzmivAl7vFQKyuhZFNeq9SmvDw==
",
    "untrusted comment: signature from minisign secret key
RWTOai1xfg21NuJT4ITM2sjmUoJXW8olmSqYMindV200hrAG9vwT89hNNfD0GvEvhfd5siNL88eW05zG7kSiPeMruakstPL4uwQ=
trusted comment: legacy
AFsW3gZ6YEU7ddHUHtZXvcwcJji5tk+/RzVeMuXhtc7OTmDv43SCJZjyqOM7rDKAKQvXQfJQpkJLDBU6+l0eAQ==
",
];

/// Decodes base64 with any last bits, as they say nothing.
static LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(1).build().expect("a runtime"));

/// Only what the key has signed is admitted.
///
/// The first byte tells what the other bytes replace: the signature, the module, or the key.
pub fn minisig(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind % 3 {
        0 => {
            let signature = Signature::of(bytes.to_vec());
            assert!(bytes.len() <= 16 * 1024 || signature.claims().is_none());
            if is_admitted(KEY, MODULE, signature) {
                let text = std::str::from_utf8(bytes).expect("a signature is text");
                assert!(GENUINE.iter().any(|genuine| says_the_same(genuine, text)), "forged:\n{text}");
            }
        }
        1 => {
            for genuine in GENUINE {
                let admitted = is_admitted(KEY, bytes, Signature::of(genuine.into()));
                assert_eq!(admitted, bytes == MODULE, "another module is admitted");
            }
        }
        _ => {
            let Ok(text) = std::str::from_utf8(bytes) else { return };
            if is_admitted(text, MODULE, Signature::of(GENUINE[0].into())) {
                let same = |line: &str| decoded(line) == decoded(KEY);
                assert!(text.lines().any(|line| same(line.trim())), "another key will do:\n{text}");
            }
        }
    }
}

fn is_admitted(key: &str, module: &[u8], signature: Signature) -> bool {
    let Some(key) = PublicKey::in_file(key) else { return false };
    let keyring = Keyring::of(vec![key]);
    let judged = RUNTIME.block_on(keyring.admit("m.wasm", Blob::of(module), Some(signature)));
    judged.is_ok_and(|admitted| {
        assert!(admitted.signer().is_some());
        true
    })
}

/// Whether two files hold the same signatures and the same trusted comment.
fn says_the_same(genuine: &str, text: &str) -> bool {
    let lines = |text: &str| -> Vec<String> { text.lines().map(|line| line.trim().to_owned()).collect() };
    let (genuine, lines) = (lines(genuine), lines(text));
    lines.len() >= 4
        && decoded(&lines[1]) == decoded(&genuine[1])
        && lines[2] == genuine[2]
        && decoded(&lines[3]) == decoded(&genuine[3])
}

fn decoded(line: &str) -> Option<Vec<u8>> {
    LENIENT.decode(line).ok()
}
