//! `cargo xtask image`: builds the image of `deploy/Dockerfile` without Docker.

use crate::steps::{build_checks, build_daemon, target};
use anyhow::{Context, Result, bail};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::Path,
    process::Command,
};
use tar::{Builder, EntryType, Header};

/// The user id that the image runs as, the same as in distroless images.
const USER: u32 = 65_532;
/// The file name of the example's module, which is not committed.
const EXAMPLE: &str = "compute.wasm";
const ENTRYPOINT: &str = "/aviary";
/// The paths at which distributions keep root certificates. The image has them at the first.
const CERTIFICATES: [&str; 2] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

/// The files of the image by path, each with its mode and content.
type Files = BTreeMap<String, (u32, Vec<u8>)>;

/// Builds the daemon and writes `target/aviary-image.tar`, which `docker load` and `ctr images import` read.
/// The same files make the same bytes. It builds what `deploy/example` needs as well.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let name = match arguments {
        [] => format!("aviary:{}", env!("CARGO_PKG_VERSION")),
        [flag, name] if flag == "--name" && name.contains(':') => name.clone(),
        _ => bail!("cargo xtask image takes --name NAME:TAG and nothing else"),
    };
    let path = target().join("aviary-image.tar");
    write(&build_daemon()?, &name, &path)?;
    build_checks()?;
    fs::copy(target().join("checks").join(EXAMPLE), Path::new("deploy/example").join(EXAMPLE))?;
    Ok(())
}

/// Writes the image of a daemon to a file.
pub(crate) fn write(daemon: &Path, name: &str, path: &Path) -> Result<()> {
    let image = archive(name, &collect(daemon)?)?;
    fs::write(path, &image).with_context(|| format!("cannot write {}", path.display()))?;
    eprintln!("{} holds {name}, {} MB", path.display(), image.len() / 1_000_000);
    Ok(())
}

/// The files of the image: the daemon, the shared libraries that it needs from this machine, and the little
/// that they look for.
fn collect(daemon: &Path) -> Result<Files> {
    let mut files = Files::new();
    files.insert(ENTRYPOINT.to_owned(), (0o755, read(daemon)?));
    for library in libraries(daemon)? {
        let bytes = read(Path::new(&library))?;
        files.insert(library, (0o755, bytes));
    }
    let certificates = CERTIFICATES.iter().find(|path| Path::new(path).exists());
    let certificates =
        certificates.context("this machine has no CA certificates; install ca-certificates")?;
    files.insert(CERTIFICATES[0].to_owned(), (0o644, read(Path::new(certificates))?));
    let texts = [
        ("/etc/passwd", format!("nonroot:x:{USER}:{USER}:nonroot:/:/sbin/nologin\n")),
        ("/etc/group", format!("nonroot:x:{USER}:\n")),
        ("/etc/nsswitch.conf", "hosts: files dns\n".to_owned()),
    ];
    files.extend(texts.map(|(path, text)| (path.to_owned(), (0o644, text.into_bytes()))));
    Ok(files)
}

/// The paths of the shared libraries of the daemon and of the program that loads them.
fn libraries(daemon: &Path) -> Result<Vec<String>> {
    let told =
        Command::new("ldd").arg(daemon).output().context("cannot start ldd, which comes with glibc")?;
    let told = String::from_utf8(told.stdout)?;
    if let Some(missing) = told.lines().find(|line| line.contains("not found")) {
        bail!("{} needs a library that this machine lacks: {}", daemon.display(), missing.trim());
    }
    let paths = told.split_whitespace().filter(|word| word.starts_with('/') && !word.ends_with(':'));
    Ok(paths.map(str::to_owned).collect())
}

/// The image as a docker-archive: one layer, its config, and the list of both.
fn archive(name: &str, files: &Files) -> Result<Vec<u8>> {
    let layer = layer(files)?;
    let diff_id = hex(&layer);
    let config = json!({
        "architecture": architecture()?,
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {
            "User": format!("{USER}:{USER}"),
            "Entrypoint": [ENTRYPOINT],
            "Cmd": ["run"],
            "ExposedPorts": { "10002/tcp": {} },
            "WorkingDir": "/",
        },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{diff_id}")] },
        "history": [{ "created": "1970-01-01T00:00:00Z", "created_by": "cargo xtask image" }],
    });
    let config = config.to_string().into_bytes();
    let (config_name, layer_name) = (format!("{}.json", hex(&config)), format!("{diff_id}/layer.tar"));
    let manifest = json!([{ "Config": config_name, "RepoTags": [name], "Layers": [layer_name] }]);
    let mut archive = Builder::new(Vec::new());
    append(&mut archive, &config_name, 0o644, &config)?;
    append(&mut archive, &layer_name, 0o644, &layer)?;
    append(&mut archive, "manifest.json", 0o644, manifest.to_string().as_bytes())?;
    Ok(archive.into_inner()?)
}

fn layer(files: &Files) -> Result<Vec<u8>> {
    let mut layer = Builder::new(Vec::new());
    for directory in directories(files.keys()) {
        let mut header = header(EntryType::Directory, 0o755, 0);
        layer.append_data(&mut header, format!("{directory}/"), &[][..])?;
    }
    for (path, (mode, bytes)) in files {
        append(&mut layer, path.trim_start_matches('/'), *mode, bytes)?;
    }
    Ok(layer.into_inner()?)
}

/// The directories in which the files lie, the outer ones first.
fn directories<'a>(paths: impl Iterator<Item = &'a String>) -> BTreeSet<String> {
    let above = paths.flat_map(|path| Path::new(path.trim_start_matches('/')).ancestors().skip(1));
    above.map(|directory| directory.display().to_string()).filter(|name| !name.is_empty()).collect()
}

fn append(archive: &mut Builder<Vec<u8>>, path: &str, mode: u32, bytes: &[u8]) -> Result<()> {
    let mut header = header(EntryType::Regular, mode, bytes.len() as u64);
    archive.append_data(&mut header, path, bytes).with_context(|| format!("cannot archive {path}"))
}

/// The header of a file in the layer. It is owned by root and from 1970, so that it makes no difference who
/// builds it and when.
fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

fn architecture() -> Result<&'static str> {
    match env::consts::ARCH {
        "x86_64" => Ok("amd64"),
        "aarch64" => Ok("arm64"),
        other => bail!("no image is made for {other}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::io::Read;

    fn files() -> Files {
        let text = |text: &str| (0o644, text.as_bytes().to_vec());
        Files::from([("/etc/ssl/a".to_owned(), text("a")), ("/aviary".to_owned(), (0o755, b"elf".to_vec()))])
    }

    fn unpack(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let mut unpacked = BTreeMap::new();
        for entry in tar::Archive::new(archive).entries().expect("a tar") {
            let mut entry = entry.expect("an entry");
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).expect("in memory");
            let name = entry.path().expect("a name").display().to_string();
            unpacked.insert(name, bytes);
        }
        unpacked
    }

    #[test]
    fn everything_in_the_archive_is_called_after_its_digest() {
        let image = unpack(&archive("aviary:1", &files()).expect("an archive"));
        let manifest: Value = serde_json::from_slice(&image["manifest.json"]).expect("JSON");
        assert_eq!(manifest[0]["RepoTags"][0], "aviary:1");
        let config_name = manifest[0]["Config"].as_str().expect("a name");
        let config = &image[config_name];
        assert_eq!(config_name, format!("{}.json", hex(config)));
        let layer = &image[manifest[0]["Layers"][0].as_str().expect("a name")];
        let config: Value = serde_json::from_slice(config).expect("JSON");
        assert_eq!(config["rootfs"]["diff_ids"][0], format!("sha256:{}", hex(layer)));
        assert_eq!(config["config"]["User"], "65532:65532");
    }

    #[test]
    fn the_layer_has_the_files_and_their_directories_and_never_differs() {
        let layer = layer(&files()).expect("a layer");
        let names: Vec<_> = unpack(&layer).into_keys().collect();
        assert_eq!(names, ["aviary", "etc/", "etc/ssl/", "etc/ssl/a"]);
        assert_eq!(layer, super::layer(&files()).expect("a layer"));
    }
}
