//! Tests with keys and signatures that minisign 0.11 made.

use super::*;

/// An empty component.
const MODULE: &[u8] = b"\0asm\x0d\0\x01\0";

const ONE: &str = "RWTOai1xfg21NlZIvpVLls/Kl8sD7K+O8R2SnGp/ic94rfxyeOb7/PtW";
const TWO: &str = "RWQ/z/PCxIVkAHW/qSh+cWB3ZIkX3/GnoRlLf9dMfWvT6G36E22y8VET";

const BY_ONE: &str = "untrusted comment: signature from minisign secret key
RUTOai1xfg21Ng4xqhkcvQ2lL50vounf3gkgWkEt64aiDOZlJZ2QHTwwuKPuIq2qvoDl4vXtq9Ct1OcPdWcaIZgi9+Eehf0Zigc=
trusted comment: file:component.wasm
fOkUju1ThWChILXET8N7wiv5L8lLEwlhQp2Ejq97gSbAyJIo8Qp3H6veVKxyJzmivAl7vFQKyuhZFNeq9SmvDw==
";

const BY_TWO: &str = "untrusted comment: signature from minisign secret key
RUQ/z/PCxIVkAATtzWm5aKD/ehzaFjJkSvKm6sIOmBpZ/5VL/GXhCgWiZSVpHkKJlCfTZeLxTLJWcUn7AumC09dx3cU/MVl3+gw=
trusted comment: file:component.wasm
n23SQlwnL9bo8OU37hNna789Y36qsHSfXGiMuJg0RP2MQMvUJhvk8IB/lKylTr3LYv3MX+NQH7HViBlYiolDDQ==
";

/// A legacy signature of `minisign -S -l`: over the bytes of the module, not over their hash.
const LEGACY: &str = "untrusted comment: signature from minisign secret key
RWTOai1xfg21NuJT4ITM2sjmUoJXW8olmSqYMindV200hrAG9vwT89hNNfD0GvEvhfd5siNL88eW05zG7kSiPeMruakstPL4uwQ=
trusted comment: legacy
AFsW3gZ6YEU7ddHUHtZXvcwcJji5tk+/RzVeMuXhtc7OTmDv43SCJZjyqOM7rDKAKQvXQfJQpkJLDBU6+l0eAQ==
";

/// The signature of another module, with the bytes `other`.
const OF_ANOTHER: &str = "untrusted comment: signature from minisign secret key
RUTOai1xfg21Nq9jl2EilxC+hIjWgg4gPwdAbeScW3HPAfDZt1xvR3cXA8+jYlNOlzU6nigfRi6OiedX3gTjqsqRP3p2IS9l/Ac=
trusted comment: other
iDncGuwHdeD8BMU/r3BxxNbMcHoaXBBvIsbb3rfMgFynak6IJBWl2axWcPfqsvaRvwo6xAtcRvz6xOhlWLXIDQ==
";

fn key(text: &str) -> PublicKey {
    PublicKey::find(text).expect("a key")
}

fn keyring(keys: &[&str]) -> Keyring {
    Keyring::of(keys.iter().map(|text| key(text)).collect())
}

/// The key that signed these bytes, or the refusal, for a daemon that asks for the first key.
fn judge(bytes: &[u8], signature: &str) -> Result<KeyId, Refusal> {
    keyring(&[ONE]).signer("m.wasm.zst", bytes, Some(&Signature::of(signature.into())))
}

#[test]
fn what_minisign_signs_is_admitted_hashed_or_not() {
    for signature in [BY_ONE, LEGACY, &BY_ONE.replace('\n', "\r\n")] {
        assert_eq!(judge(MODULE, signature).expect("signed").to_string(), "36B50D7E712D6ACE");
    }
}

#[test]
fn one_changed_bit_anywhere_is_found() {
    for bit in 0..MODULE.len() * 8 {
        let mut tampered = MODULE.to_vec();
        tampered[bit / 8] ^= 1 << (bit % 8);
        for signature in [BY_ONE, LEGACY] {
            assert!(matches!(judge(&tampered, signature), Err(Refusal::Misfit { .. })), "bit {bit}");
        }
    }
    let signed = BY_ONE.find("RUT").expect("a line");
    // Changes to the padding or to the end of the last line do not matter.
    let counts = |(place, byte): &(usize, char)| *place >= signed && *byte != '=' && place + 1 < BY_ONE.len();
    for (place, byte) in BY_ONE.char_indices().filter(counts) {
        let other = if byte == 'B' { 'C' } else { 'B' };
        let tampered = format!("{}{other}{}", &BY_ONE[..place], &BY_ONE[place + 1..]);
        assert!(judge(MODULE, &tampered).is_err(), "byte {place} of the signature");
    }
}

#[test]
fn the_signature_of_another_module_does_not_fit() {
    let refusal = judge(MODULE, OF_ANOTHER).expect_err("another module");
    assert_eq!(refusal, Refusal::Misfit { module: "m.wasm.zst".into() });
    assert!(refusal.to_string().starts_with("m.wasm.minisig does not fit m.wasm.zst: "), "{refusal}");
    assert!(judge(b"other", OF_ANOTHER).is_ok(), "it is a good one of that");
}

#[test]
fn a_hashed_signature_is_no_legacy_one_of_the_hash() {
    let relabelled = BY_ONE.replace("RUT", "RWT");
    assert!(matches!(judge(MODULE, &relabelled), Err(Refusal::Misfit { .. })));
}

#[test]
fn a_key_that_nobody_asked_for_does_not_count_and_is_named() {
    let refusal = judge(MODULE, BY_TWO).expect_err("another key").to_string();
    assert!(refusal.contains("the key 006485C4C2F3CF3F, and 36B50D7E712D6ACE is required"), "{refusal}");
    // The identifier of a key is no secret: whoever signs may write any.
    let line = BY_TWO.lines().nth(1).expect("a signature");
    let forged = BY_TWO.replace(line, &format!("RUTOai1xfg21Ng{}", &line[14..]));
    assert!(matches!(judge(MODULE, &forged), Err(Refusal::Misfit { .. })));
}

#[test]
fn of_two_keys_one_is_enough() {
    let both = keyring(&[ONE, TWO]);
    for (signature, id) in [(BY_ONE, key(ONE).id()), (BY_TWO, key(TWO).id())] {
        let signature = Signature::of(signature.into());
        assert_eq!(both.signer("m.wasm", MODULE, Some(&signature)), Ok(id));
    }
}

#[test]
fn an_unsigned_module_is_refused_with_the_way_out() {
    let refusal = keyring(&[ONE, TWO]).signer("m.wasm", MODULE, None).expect_err("unsigned").to_string();
    assert_eq!(
        refusal,
        "m.wasm is not signed: put m.wasm.minisig beside it; `aviary sign m.wasm --key SECRETKEY` with the key \
         36B50D7E712D6ACE or 006485C4C2F3CF3F makes it"
    );
}

#[test]
fn what_is_no_signature_is_refused_whatever_it_is() {
    let long = BY_ONE.replace("file:component.wasm", &"x".repeat(20_000));
    let short = BY_ONE.replace("fOkUju1ThWCh", "");
    let lines: Vec<&str> = BY_ONE.lines().collect();
    let cut: Vec<String> = (0..4).map(|count| lines[..count].join("\n")).collect();
    let half = &BY_ONE[..BY_ONE.len() - 5];
    let padded = BY_ONE.replace("mvDw==", "======");
    let mut texts = vec!["", "rubbish", "\n\n\n\n", ONE, &long, &short, half, &padded, "a\nb\nc\n\u{fc}\n"];
    texts.extend(cut.iter().map(String::as_str));
    for text in texts {
        let refusal = judge(MODULE, text).expect_err(text);
        assert!(matches!(refusal, Refusal::Unreadable { .. }), "{refusal} for {text:?}");
    }
    let binary = Signature::of(vec![0xff; 300]);
    let refusal = keyring(&[ONE]).signer("m.wasm", MODULE, Some(&binary)).expect_err("binary").to_string();
    assert!(
        refusal.starts_with("m.wasm.minisig cannot be judged, as it is not text; sign again"),
        "{refusal}"
    );
}

#[tokio::test]
async fn without_keys_everything_is_admitted_and_nobody_has_signed() {
    let rubbish = Some(Signature::of(b"rubbish".to_vec()));
    for signature in [None, rubbish, Some(Signature::of(BY_ONE.into()))] {
        let admitted =
            Keyring::default().admit("m.wasm", Blob::of(MODULE), signature).await.expect("admitted");
        assert!(admitted.signer().is_none());
    }
}

#[tokio::test]
async fn a_refusal_is_a_fault_of_its_own_reason() {
    let fault = keyring(&[ONE]).admit("m.wasm", Blob::of(MODULE), None).await.expect_err("unsigned");
    assert_eq!(fault.reason, Reason::Signature);
    let signature = Some(Signature::of(BY_ONE.into()));
    let admitted = keyring(&[ONE]).admit("m.wasm", Blob::of(MODULE), signature).await.expect("signed");
    assert_eq!(admitted.signer(), Some(key(ONE).id()));
}

#[test]
fn a_key_is_its_line_or_a_file_of_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let find = |content: &str| {
        let path = directory.path().join("key.pub");
        std::fs::write(&path, content).expect("written");
        PublicKey::find(path.to_str().expect("text"))
    };
    for content in [ONE, &format!("untrusted comment: minisign public key 36B50D7E712D6ACE\r\n{ONE}\r\n")] {
        assert_eq!(find(content).expect("a key").id(), key(ONE).id());
    }
    for content in
        ["", "untrusted comment: x\n", BY_ONE, &format!("{ONE}\n{TWO}\n"), &ONE.replace("RW", "QQ")]
    {
        assert!(matches!(find(content), Err(KeyError::NotInFile)), "{content:?}");
    }
    for text in ["", "nowhere.pub", &ONE[1..], &format!("{ONE}=")] {
        assert!(matches!(PublicKey::find(text), Err(KeyError::Neither(_))), "{text:?}");
    }
}

#[test]
fn a_signature_lies_beside_its_module_however_that_is_packed() {
    for module in ["m.wasm", "m.wasm.zst", "m.wasm.gz"] {
        assert_eq!(beside(module), "m.wasm.minisig");
    }
    assert!(is_signature("m.wasm.minisig") && !is_signature("m.minisig") && !is_signature("m.wasm"));
}

#[test]
fn a_signature_file_that_is_too_large_is_not_read_whole() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("m.wasm.minisig");
    assert!(Signature::read(&path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound));
    let huge = std::fs::File::create(&path).expect("created");
    huge.set_len(1 << 40).expect("a hole");
    let signature = Signature::read(&path).expect("it is there");
    assert!(signature.parse().err().expect("too large").contains("larger than 16384 bytes"));
}
