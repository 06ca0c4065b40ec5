use super::*;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    time::{Duration, SystemTime},
};
use tempfile::TempDir;

fn cache(path: &Path) -> io::Result<Cache> {
    Cache::open(path, &Engine::default())
}

fn module(number: u8) -> Digest {
    Digest::of(&[number])
}

fn kept(cache: &Cache, number: u8) -> Option<Vec<u8>> {
    cache.get(&module(number)).map(|code| code.bytes().to_vec())
}

/// A directory whose cache holds code for module 1.
fn filled() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let cache = cache(directory.path()).expect("a cache");
    cache.put(&module(1), &Code::vouched_for(b"code".to_vec()));
    let entry = directory.path().join(DIRECTORY).join(cache.name(&module(1)));
    (directory, entry)
}

fn refusal(path: &Path) -> String {
    cache(path).err().expect("refused").to_string()
}

#[test]
fn what_was_kept_is_there_after_a_restart_and_only_for_its_module() {
    let (directory, _) = filled();
    let again = cache(directory.path()).expect("a cache");
    assert_eq!(kept(&again, 1), Some(b"code".to_vec()));
    assert_eq!(kept(&again, 2), None);
}

#[test]
fn an_entry_that_was_touched_is_not_used() {
    let (directory, entry) = filled();
    let whole = fs::read(&entry).expect("an entry");
    let cache = cache(directory.path()).expect("a cache");
    let last = whole.len() - 1;
    let mut other = whole.clone();
    other[last] ^= 1;
    for wrong in [&other[..], &whole[..last], &whole[..TAG_LENGTH], &whole[..3], b""] {
        fs::write(&entry, wrong).expect("written");
        assert_eq!(kept(&cache, 1), None, "{wrong:?}");
    }
    fs::write(&entry, &whole).expect("written");
    assert!(kept(&cache, 1).is_some());
}

#[test]
fn an_entry_does_not_pass_for_that_of_another_module() {
    let (directory, entry) = filled();
    let cache = cache(directory.path()).expect("a cache");
    fs::copy(&entry, entry.with_file_name(cache.name(&module(2)))).expect("copied");
    assert_eq!(kept(&cache, 2), None);
}

#[test]
fn links_and_entries_that_others_can_reach_are_not_used() {
    let (directory, entry) = filled();
    let cache = cache(directory.path()).expect("a cache");
    fs::set_permissions(&entry, fs::Permissions::from_mode(0o644)).expect("changed");
    assert_eq!(kept(&cache, 1), None);
    let elsewhere = directory.path().join("elsewhere");
    fs::rename(&entry, &elsewhere).expect("moved");
    fs::set_permissions(&elsewhere, fs::Permissions::from_mode(0o600)).expect("changed");
    std::os::unix::fs::symlink(&elsewhere, &entry).expect("linked");
    assert_eq!(kept(&cache, 1), None);
}

#[test]
fn a_directory_that_others_can_reach_is_refused() {
    let (directory, _) = filled();
    let private = directory.path().join(DIRECTORY);
    assert_eq!(fs::metadata(&private).expect("it is there").permissions().mode() & 0o777, 0o700);
    fs::set_permissions(&private, fs::Permissions::from_mode(0o755)).expect("changed");
    assert!(refusal(directory.path()).contains("others may reach into it"));
}

#[test]
fn a_directory_of_somebody_else_is_refused() {
    let (directory, _) = filled();
    // Only root can make another user its owner.
    if std::os::unix::fs::chown(directory.path().join(DIRECTORY), Some(12_345), None).is_ok() {
        assert!(refusal(directory.path()).contains("belongs to somebody else"));
    }
    let linked = tempfile::tempdir().expect("a directory");
    std::os::unix::fs::symlink(directory.path(), linked.path().join(DIRECTORY)).expect("linked");
    assert!(cache(linked.path()).is_err());
}

#[test]
fn without_its_key_nothing_that_was_kept_is_used() {
    let (directory, entry) = filled();
    let key = entry.with_file_name(KEY);
    assert_eq!(fs::metadata(&key).expect("a key").permissions().mode() & 0o777, 0o600);
    fs::remove_file(&key).expect("removed");
    let again = cache(directory.path()).expect("a cache");
    assert_eq!(kept(&again, 1), None);
    fs::write(&key, b"short").expect("written");
    assert!(refusal(directory.path()).contains("is broken"));
}

#[test]
fn what_was_not_used_for_longest_goes_first() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut cache = cache(directory.path()).expect("a cache");
    cache.most = 1_000;
    let path = directory.path().join(DIRECTORY);
    for number in 0..4 {
        cache.put(&module(number), &Code::vouched_for(vec![number; 300]));
        let age = Duration::from_secs(100 - u64::from(number));
        let entry = File::options().write(true).open(path.join(cache.name(&module(number))));
        // Only the entries that are left are changed, as the last `put` has already removed the first.
        if let Ok(entry) = entry {
            entry.set_modified(SystemTime::now() - age).expect("changed");
        }
        assert!(number != 1 || kept(&cache, 0).is_some());
    }
    let left: Vec<_> = (0..4).filter(|number| kept(&cache, *number).is_some()).collect();
    assert_eq!(left, [0, 2, 3]);
}
