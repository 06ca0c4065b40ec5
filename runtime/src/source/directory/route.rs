//! The paths that decide where another path leads.

use std::{
    collections::VecDeque,
    ffi::OsString,
    fs,
    path::{self, Component, Path, PathBuf},
};

/// The most links that are followed on the way to one path, as in Linux.
const MOST_LINKS: usize = 40;

/// Where a path leads, and by which links.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// The links on the way and the end of the path, or the first part that is missing. A change of any of
    /// them may lead elsewhere.
    pub(super) turns: Vec<PathBuf>,
    /// The path without links to the same target; none if a part is missing.
    pub(super) end: Option<PathBuf>,
}

/// Follows a path as the system does.
pub(super) fn route(path: &Path) -> Route {
    let mut turns = Vec::new();
    let mut ahead: VecDeque<OsString> = path::absolute(path).iter().flat_map(|path| parts(path)).collect();
    let mut here = PathBuf::from("/");
    while let Some(part) = ahead.pop_front() {
        let next = here.join(&part);
        match Path::new(&part).components().next() {
            Some(Component::RootDir) => here = next,
            Some(Component::ParentDir) => {
                here.pop();
            }
            Some(Component::Normal(_)) => match fs::read_link(&next) {
                Ok(link) if turns.len() < MOST_LINKS => {
                    parts(&link).into_iter().rev().for_each(|part| ahead.push_front(part));
                    turns.push(next);
                }
                Err(error) if !super::files::is_gone(&error) => here = next,
                Ok(_) | Err(_) => {
                    turns.push(next);
                    return Route { turns, end: None };
                }
            },
            Some(Component::CurDir | Component::Prefix(_)) | None => {}
        }
    }
    turns.push(here.clone());
    Route { turns, end: Some(here) }
}

fn parts(path: &Path) -> Vec<OsString> {
    path.components().map(|part| part.as_os_str().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_path_turns_at_its_links_and_at_its_end() {
        let home = tempfile::tempdir().expect("a directory");
        let home = home.path().canonicalize().expect("a path without links");
        fs::create_dir_all(home.join("v1/checks")).expect("a directory");
        symlink("v1", home.join("current")).expect("a link");
        symlink(home.join("current/checks"), home.join("checks")).expect("a link");
        let turns = |path: &str| route(&home.join(path)).turns;
        let at = |path: &str| home.join(path);
        assert_eq!(turns("v1/../v1/checks"), [at("v1/checks")]);
        assert_eq!(turns("checks"), [at("checks"), at("current"), at("v1/checks")]);
        assert_eq!(route(&at("checks")).end, Some(at("v1/checks")));
        assert_eq!(
            route(&at("current/new/checks")),
            Route { turns: vec![at("current"), at("v1/new")], end: None }
        );
    }

    #[test]
    fn a_link_to_itself_leads_nowhere() {
        let home = tempfile::tempdir().expect("a directory");
        symlink("loop", home.path().join("loop")).expect("a link");
        let Route { turns, end } = route(&home.path().join("loop"));
        assert!(end.is_none() && turns.len() <= MOST_LINKS + 1, "{turns:?}");
    }
}
