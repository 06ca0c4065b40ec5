//! Images for the node, without a registry.

use super::containerd;
use crate::{
    binaries::Binaries,
    directory::Directory,
    program::{read, run},
};
use anyhow::{Context, Result};
use serde_json::json;
use std::{fs, path::Path, process::Command};

const PAUSE_SOURCE: &str = include_str!("pause.c");

/// Loads an archive, as `docker save` makes it, into the node.
pub(crate) fn load(directory: &Directory, binaries: &Binaries, archive: &Path) -> Result<()> {
    let what = format!("load the image {}", archive.display());
    let archive = archive.to_str().context("the path of an image is text")?;
    containerd::ask(directory, binaries, &what, &["images", "import", archive]).map(drop)
}

/// Compiles the image that every pod begins with, and loads it.
pub(crate) fn load_pause(directory: &Directory, binaries: &Binaries) -> Result<()> {
    let image = directory.path("pause");
    let content = image.join("content");
    fs::create_dir_all(&content)?;
    let source = image.join("pause.c");
    fs::write(&source, PAUSE_SOURCE)?;
    let mut compile = Command::new("cc");
    compile.args(["-static", "-Os", "-s", "-o"]).arg(content.join("pause")).arg(&source);
    run("compile the pause image", &mut compile)?;
    let archive = pack(&image, containerd::PAUSE, "/pause")?;
    load(directory, binaries, &archive)
}

/// Packs a directory as an image of one layer, and returns the path of the archive beside it.
fn pack(image: &Path, name: &str, entry: &str) -> Result<std::path::PathBuf> {
    let layer = image.join("layer.tar");
    tar(&layer, &image.join("content"), &["."])?;
    let sum = read("sum up a layer", Command::new("sha256sum").arg(&layer))?;
    let digest = sum.split(' ').next().context("sha256sum tells a sum")?;
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let configuration = json!({
        "architecture": architecture,
        "os": "linux",
        "config": {"Entrypoint": [entry]},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{digest}")]},
    });
    let manifest = json!([{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]);
    fs::write(image.join("config.json"), configuration.to_string())?;
    fs::write(image.join("manifest.json"), manifest.to_string())?;
    let archive = image.join("image.tar");
    tar(&archive, image, &["manifest.json", "config.json", "layer.tar"])?;
    Ok(archive)
}

fn tar(archive: &Path, directory: &Path, names: &[&str]) -> Result<()> {
    let mut tar = Command::new("tar");
    tar.arg("--create").arg("--file").arg(archive).arg("--directory").arg(directory).args(names);
    read("pack an image", &mut tar).map(drop)
}
