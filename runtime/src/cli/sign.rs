//! `aviary sign`: makes signatures in minisign's format, and keys for them.

use super::{
    module::{LARGEST_MODULE, read_module},
    print::print,
};
use crate::{
    file,
    signature::{PublicKey, beside},
    source::is_module,
};
use anyhow::{Context, Result, bail};
use clap::Args;
use ct_codecs::{Base64, Decoder};
use jiff::Timestamp;
use minisign::{KeyPair, SecretKey, SecretKeyBox};
use std::{
    env,
    fs::{self, OpenOptions},
    io::{Cursor, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// The environment variable that holds the password where there is no terminal to ask on.
const PASSWORD: &str = "AVIARY_KEY_PASSWORD";
/// The most bytes of the file of a secret key. Minisign's own have less than 300 bytes, and a comment.
const LONGEST_KEY: usize = 16 * 1024;
/// The bytes of a decoded secret key that say how it is encrypted.
const ENCRYPTION: std::ops::Range<usize> = 2..4;
/// The value of [`ENCRYPTION`] in a key without a password.
const PLAIN: [u8; 2] = [0, 0];

/// Sign modules for daemons that ask for it, or make a key for that.
#[derive(Args, Debug)]
pub(super) struct Sign {
    /// Modules: .wasm, .wasm.zst or .wasm.gz. The signature of `x.wasm` is written to `x.wasm.minisig`.
    #[arg(required_unless_present = "generate", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The file of the secret key, made by `--generate` or by `minisign -G`.
    #[arg(long, value_name = "SECRETKEY", required_unless_present = "generate")]
    key: Option<PathBuf>,
    /// Make a key pair instead: NAME.key, to be kept secret, and NAME.pub, for daemons.
    #[arg(long, value_name = "NAME", conflicts_with = "files")]
    generate: Option<String>,
}

impl Sign {
    pub(super) fn execute(self) -> Result<ExitCode> {
        if let Some(name) = &self.generate {
            generate(name)?;
        } else if let Some(path) = &self.key {
            if let Some(other) = self.files.iter().find(|file| !is_module(&file.to_string_lossy())) {
                bail!(
                    "{} is no module: a signature covers a .wasm, .wasm.zst or .wasm.gz file",
                    other.display()
                );
            }
            let key = secret_key(path).with_context(|| format!("cannot use the key {}", path.display()))?;
            for file in &self.files {
                sign(file, &key).with_context(|| format!("cannot sign {}", file.display()))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Writes the signature of a module beside it.
fn sign(file: &Path, key: &SecretKey) -> Result<()> {
    let module = read_module(file, LARGEST_MODULE)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let public = minisign::PublicKey::from_secret_key(key)?;
    let id = PublicKey::from(public.clone()).id();
    let about = format!("timestamp:{}\tfile:{name}\thashed", Timestamp::now().as_second());
    let title = format!("signature by the key {id}");
    let content = || Cursor::new(module.bytes());
    let signed = minisign::sign(Some(&public), key, content(), Some(&about), Some(&title))?;
    minisign::verify(&public, &signed, content(), true, false, false)
        .context("its two halves do not belong together: the secret key is damaged")?;
    let target = file.with_file_name(beside(&name));
    fs::write(&target, signed.to_bytes()).with_context(|| format!("cannot write {}", target.display()))?;
    print(format_args!("{}  signed with the key {id}", target.display()));
    Ok(())
}

/// Reads a secret key. Its checksum is not verified, as minisign itself leaves it out of keys without a
/// password.
fn secret_key(path: &Path) -> Result<SecretKey> {
    let text = file::read_text(path, LONGEST_KEY).context("it cannot be read")?;
    let wrong = "it is no minisign secret key; `aviary sign --generate NAME` makes one";
    let line = text.lines().nth(1).context(wrong)?;
    let bytes = Base64::decode_to_vec(line.trim(), None).ok().context(wrong)?;
    let key = SecretKey::from_bytes(&bytes).ok().context(wrong)?;
    if bytes.get(ENCRYPTION) == Some(&PLAIN) {
        return Ok(key);
    }
    SecretKeyBox::from(text).into_secret_key(password()?).with_context(no_password)
}

/// Makes a key pair in new files; an error if one of them exists.
fn generate(name: &str) -> Result<()> {
    let (secret, public) = (PathBuf::from(format!("{name}.key")), PathBuf::from(format!("{name}.pub")));
    if let Some(taken) = [&secret, &public].into_iter().find(|path| path.exists()) {
        bail!("{} exists already: choose another name", taken.display());
    }
    let pair = KeyPair::generate_encrypted_keypair(password()?).with_context(no_password)?;
    let id = PublicKey::from(pair.pk.clone()).id();
    let title = format!("aviary secret key {id}");
    create(&secret, 0o600, &pair.sk.to_box(Some(&title))?.to_bytes())?;
    create(&public, 0o644, &pair.pk.to_box()?.to_bytes())?;
    print(format_args!(
        "{}  the secret key {id}: with its password, whoever has it can sign",
        secret.display()
    ));
    print(format_args!(
        "{}  the public key: aviary run --require-signature {}",
        public.display(),
        pair.pk.to_base64()
    ));
    Ok(())
}

fn create(path: &Path, mode: u32, content: &[u8]) -> Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(content))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// The password from the environment; none if it has to be asked for on the terminal.
fn password() -> Result<Option<String>> {
    match env::var(PASSWORD) {
        Ok(password) => Ok(Some(password).filter(|password| !password.is_empty())),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(error) => Err(error).context(PASSWORD),
    }
}

fn no_password() -> String {
    format!("its password comes from {PASSWORD}, or else from the terminal")
}
