//! Packages of Debian, without a trace in the machine's own package lists.

use crate::program::{read, run};
use anyhow::{Context, Result, bail};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const SOURCES: &str = "/etc/apt";
const RELEASE: &str = "VERSION_CODENAME=bookworm";

/// A copy of the machine's package sources that knows source packages too.
#[derive(Debug)]
pub struct Packages {
    directory: PathBuf,
}

impl Packages {
    /// Copies the sources below this directory and reads their lists.
    ///
    /// # Errors
    /// When this is not Debian 12, or the lists cannot be had.
    pub fn open(directory: &Path) -> Result<Self> {
        let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        if !release.lines().any(|line| line == RELEASE) {
            bail!("packages of Debian can be had on Debian 12 only");
        }
        // An absolute path, as apt-get takes any other for one below /etc/apt or below another directory of
        // its own.
        let packages = Self { directory: std::path::absolute(directory)? };
        let directory = &packages.directory;
        for name in ["sources", "lists/partial", "archives/partial"] {
            fs::create_dir_all(directory.join(name))?;
        }
        packages.copy_sources()?;
        run("read the package lists", packages.apt().args(["--quiet", "update"]))?;
        Ok(packages)
    }

    /// Installs packages that are missing. Only root can.
    ///
    /// # Errors
    /// When somebody else wants to install them, or a package cannot be installed.
    pub fn install(&self, names: &[&str]) -> Result<()> {
        let missing: Vec<&str> = names.iter().copied().filter(|name| !is_installed(name)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let missing = missing.join(" ");
        if !rustix::process::geteuid().is_root() {
            bail!("these packages are missing: run `sudo apt-get install {missing}` and try again");
        }
        let what = format!("install {missing}");
        let mut command = self.apt();
        command.env("DEBIAN_FRONTEND", "noninteractive");
        run(
            &what,
            command.args(["--quiet", "--yes", "--no-install-recommends", "install"]).args(missing.split(' ')),
        )
    }

    /// Downloads packages and puts their files below a directory. Nothing is installed, so no service starts.
    ///
    /// # Errors
    /// When they cannot be downloaded or unpacked.
    pub fn unpack(&self, names: &[&str], into: &Path) -> Result<()> {
        let downloaded = self.directory.join("downloaded");
        fs::create_dir_all(&downloaded)?;
        let what = format!("download {}", names.join(" "));
        run(&what, self.apt().current_dir(&downloaded).args(["--quiet", "download"]).args(names))?;
        for package in fs::read_dir(&downloaded)? {
            let package = package?.path();
            run("unpack a package", Command::new("dpkg-deb").arg("--extract").arg(&package).arg(into))?;
        }
        Ok(())
    }

    /// Downloads and unpacks the source of a package, and returns its directory.
    pub(crate) fn unpack_source(&self, name: &str, into: &Path) -> Result<PathBuf> {
        fs::create_dir_all(into)?;
        let what = format!("download the source of {name}");
        run(&what, self.apt().current_dir(into).args(["--quiet", "source", name]))?;
        let mut entries = fs::read_dir(into)?.filter_map(Result::ok).map(|entry| entry.path());
        entries.find(|path| path.is_dir()).with_context(|| format!("the source of {name} has no directory"))
    }

    fn apt(&self) -> Command {
        let path = |name: &str| self.directory.join(name).display().to_string();
        let options = [
            "Dir::Etc::sourcelist=/dev/null".to_owned(),
            format!("Dir::Etc::sourceparts={}", path("sources")),
            format!("Dir::State::lists={}", path("lists")),
            format!("Dir::Cache::archives={}", path("archives")),
            "Dir::Cache::pkgcache=".to_owned(),
            "Dir::Cache::srcpkgcache=".to_owned(),
            // Run without the user `_apt`, which cannot see the directory for downloads.
            "APT::Sandbox::User=".to_owned(),
        ];
        let mut command = Command::new("apt-get");
        command.args(options.iter().flat_map(|option| ["--option", option]));
        command
    }

    fn copy_sources(&self) -> Result<()> {
        let parts = fs::read_dir(Path::new(SOURCES).join("sources.list.d"))?;
        let parts = parts.filter_map(Result::ok).map(|part| part.path());
        for source in parts.chain([Path::new(SOURCES).join("sources.list")]) {
            let extension = source.extension().and_then(|extension| extension.to_str());
            if !matches!(extension, Some("list" | "sources")) || !source.is_file() {
                continue;
            }
            let content = fs::read_to_string(&source);
            let content = content.with_context(|| format!("cannot read {}", source.display()))?;
            let name = source.file_name().context("a file has a name")?;
            fs::write(self.directory.join("sources").join(name), with_source_packages(&content))?;
        }
        Ok(())
    }
}

fn is_installed(package: &str) -> bool {
    let mut query = Command::new("dpkg-query");
    let status = read("ask for a package", query.args(["--show", "--showformat=${Status}", package]));
    status.is_ok_and(|status| status == "install ok installed")
}

/// Adds source packages to sources in either format of apt.
fn with_source_packages(sources: &str) -> String {
    let mut lines = Vec::new();
    for line in sources.lines() {
        match line.strip_prefix("deb ") {
            Some(rest) => lines.extend([line.to_owned(), format!("deb-src {rest}")]),
            None if line.trim_end() == "Types: deb" => lines.push("Types: deb deb-src".to_owned()),
            None => lines.push(line.to_owned()),
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_packages_are_added_in_both_formats() {
        assert_eq!(
            with_source_packages("deb http://example.org/debian bookworm main"),
            "deb http://example.org/debian bookworm main\ndeb-src http://example.org/debian bookworm main\n"
        );
        assert_eq!(
            with_source_packages("Types: deb\nSuites: bookworm"),
            "Types: deb deb-src\nSuites: bookworm\n"
        );
    }

    #[test]
    fn sources_that_have_source_packages_are_left_as_they_are() {
        let sources = "# deb of old\nTypes: deb deb-src\nSuites: bookworm\n";
        assert_eq!(with_source_packages(sources), sources);
    }
}
