//! Module signatures: who has to sign modules, and whether one did. The keys and signatures are minisign's.

#[cfg(test)]
mod tests;

use crate::{
    file::open_regular,
    outcome::{Fault, Reason},
    value::{Blob, ENDINGS},
};
use minisign::SignatureBox;
use std::{
    fmt,
    io::{self, Cursor, Read},
    path::Path,
    sync::Arc,
};

/// The largest signature or key file in bytes. Minisign's own comments come to 9 KiB at most.
const LARGEST: u64 = 16 * 1024;
/// The lines of a signature file that hold its two signatures, with their length in base64.
/// The first holds algorithm and key as well, the second does not.
const ENCODED: [(usize, usize); 2] = [(1, 100), (3, 88)];
/// The bytes with which every decoded public key begins: `Ed`, for Ed25519.
const ED25519: &[u8] = b"Ed";

/// The identifier of a key as minisign prints it: 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 8]);

/// A public key whose signatures count.
#[derive(Clone, Debug)]
pub struct PublicKey(minisign::PublicKey);

/// Why a text names no public key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The text is neither a key nor the name of a file.
    #[error(
        "it is neither a minisign public key (56 characters that begin with `RW`) nor a file that can be read: {0}"
    )]
    Neither(io::Error),
    /// The file that the text names holds no public key.
    #[error("the file holds no minisign public key; name the .pub file, not the secret key or a signature")]
    NotInFile,
}

/// The content of the signature file beside a module, not judged yet; or why it cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Signature(Result<Arc<str>, Arc<str>>);

/// The public keys of which one has to have signed a module. Without any, all modules are admitted.
#[derive(Clone, Debug, Default)]
pub struct Keyring(Arc<[PublicKey]>);

/// A module that may be compiled: only a [`Keyring`] makes one.
#[derive(Clone, Debug)]
pub struct Admitted {
    module: Blob,
    signer: Option<KeyId>,
}

/// Why a module is not admitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Refusal {
    #[error(
        "{module} is not signed: put {} beside it; `aviary sign {module} --key SECRETKEY` with the key {wanted} makes it",
        beside(module)
    )]
    Unsigned { module: String, wanted: String },
    #[error(
        "{} cannot be judged, as it {why}; sign again with `aviary sign {module} --key SECRETKEY`",
        beside(module)
    )]
    Unreadable { module: String, why: String },
    #[error(
        "{module} is signed with the key {signer}, and {wanted} is required: sign it with `aviary sign {module} --key SECRETKEY`, \
         or start the daemon with that key too (--require-signature)"
    )]
    Stranger { module: String, signer: KeyId, wanted: String },
    #[error(
        "{} does not fit {module}: one of them was changed after signing, or the signature is that of another module; if the \
         module is the right one, sign it again with `aviary sign {module} --key SECRETKEY`",
        beside(module)
    )]
    Misfit { module: String },
}

/// The name of the signature file of a module, which is the same for a packed module.
pub fn beside(module: &str) -> String {
    let stem = ENDINGS.iter().find_map(|ending| module.strip_suffix(ending)).unwrap_or(module);
    format!("{stem}.wasm.minisig")
}

/// Whether a file of this name holds the signature of a module.
pub fn is_signature(name: &str) -> bool {
    name.ends_with(".wasm.minisig")
}

impl KeyId {
    fn of(number: &[u8]) -> Self {
        let mut id = [0; 8];
        id.iter_mut().zip(number).for_each(|(byte, given)| *byte = *given);
        Self(id)
    }
}

impl PublicKey {
    /// Finds the key that `text` is, or that the file of this name holds.
    pub fn find(text: &str) -> Result<Self, KeyError> {
        if let Some(key) = Self::parse(text) {
            return Ok(key);
        }
        let content = read(Path::new(text)).map_err(KeyError::Neither)?;
        String::from_utf8(content).ok().and_then(|text| Self::in_file(&text)).ok_or(KeyError::NotInFile)
    }

    /// The key in a file with this content, if it holds one key and nothing else.
    pub fn in_file(content: &str) -> Option<Self> {
        let is_key = |line: &&str| !line.is_empty() && !line.starts_with("untrusted comment:");
        let mut lines = content.lines().map(str::trim).filter(is_key);
        lines.next().filter(|_| lines.next().is_none()).and_then(Self::parse)
    }

    /// The identifier of the key.
    pub fn id(&self) -> KeyId {
        KeyId::of(self.0.keynum())
    }

    fn parse(text: &str) -> Option<Self> {
        let key = minisign::PublicKey::from_base64(text).ok()?;
        key.to_bytes().starts_with(ED25519).then_some(Self(key))
    }
}

impl From<minisign::PublicKey> for PublicKey {
    fn from(key: minisign::PublicKey) -> Self {
        Self(key)
    }
}

impl Signature {
    /// A signature file with this content.
    pub fn of(bytes: Vec<u8>) -> Self {
        if bytes.len() as u64 > LARGEST {
            return Self(Err(format!("is larger than {LARGEST} bytes").into()));
        }
        Self(String::from_utf8(bytes).map(Arc::from).map_err(|_| "is not text".into()))
    }

    /// Reads a signature file.
    ///
    /// # Errors
    /// When the file is not there, or cannot be read.
    pub fn read(path: &Path) -> io::Result<Self> {
        read(path).map(Self::of)
    }

    /// A signature file that is there and cannot be read, because of `error`.
    pub fn unreadable(error: &io::Error) -> Self {
        Self(Err(format!("cannot be read: {error}").into()))
    }

    /// The identifier of the key that claims to have signed. Nothing proves it yet.
    pub fn claims(&self) -> Option<KeyId> {
        self.parse().ok().map(|signature| KeyId::of(signature.keynum()))
    }

    fn parse(&self) -> Result<SignatureBox, String> {
        let text = self.0.as_ref().map_err(ToString::to_string)?;
        let wrong = || "is no minisign signature".to_owned();
        // The library takes the length of the second signature for granted, and passes over a byte too many
        // in the first.
        for (place, length) in ENCODED {
            let line = text.lines().nth(place).map(str::trim);
            if line.is_none_or(|line| line.len() != length || !line.ends_with('=')) {
                return Err(wrong());
            }
        }
        SignatureBox::from_string(text).map_err(|_| wrong())
    }
}

impl Keyring {
    /// A keyring of these keys, of which one signature is enough.
    pub fn of(keys: Vec<PublicKey>) -> Self {
        Self(keys.into())
    }

    /// Whether modules have to be signed at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Judges a module of the name `module` by the signature file that lies beside it.
    ///
    /// # Errors
    /// A fault with the reason [`Reason::Signature`], and a message that says what to do.
    pub async fn admit(
        &self,
        name: &str,
        module: Blob,
        signature: Option<Signature>,
    ) -> Result<Admitted, Fault> {
        if self.is_empty() {
            return Ok(Admitted { module, signer: None });
        }
        let (keyring, name) = (self.clone(), name.to_owned());
        let judge = move || {
            let signer = keyring.signer(&name, module.bytes(), signature.as_ref())?;
            Ok(Admitted { module, signer: Some(signer) })
        };
        let judged = tokio::task::spawn_blocking(judge).await;
        let fault = |why: String| Fault::new(Reason::Signature, why);
        judged
            .map_err(|panic| fault(format!("judging the signature broke down: {panic}")))?
            .map_err(|refusal: Refusal| fault(refusal.to_string()))
    }

    /// The identifier of the key that signed these bytes, or why the module is refused.
    fn signer(&self, module: &str, bytes: &[u8], signature: Option<&Signature>) -> Result<KeyId, Refusal> {
        let (module, wanted) = (module.to_owned(), self.to_string());
        let Some(signature) = signature else { return Err(Refusal::Unsigned { module, wanted }) };
        let signature = match signature.parse() {
            Ok(signature) => signature,
            Err(why) => return Err(Refusal::Unreadable { module, why }),
        };
        let signer = KeyId::of(signature.keynum());
        let mut keys = self.0.iter().filter(|key| key.id() == signer).peekable();
        if keys.peek().is_none() {
            return Err(Refusal::Stranger { module, signer, wanted });
        }
        let fits = |key: &PublicKey| {
            // Legacy signatures, over the bytes instead of their hash, are as strong.
            minisign::verify(&key.0, &signature, Cursor::new(bytes), true, false, true).is_ok()
        };
        if keys.any(fits) { Ok(signer) } else { Err(Refusal::Misfit { module }) }
    }
}

impl Admitted {
    /// The key that signed the module; none if no signature was asked for.
    pub fn signer(&self) -> Option<KeyId> {
        self.signer
    }

    /// The decoded module.
    pub(crate) fn into_module(self) -> Blob {
        self.module
    }
}

/// Reads a signature or key file: at most [`LARGEST`] bytes and one more, which shows that it is too large.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl fmt::Display for KeyId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:016X}", u64::from_le_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "KeyId({self})")
    }
}

impl fmt::Display for Keyring {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<_> = self.0.iter().map(|key| key.id().to_string()).collect();
        out.write_str(&ids.join(" or "))
    }
}
