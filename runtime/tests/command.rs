//! The command `aviary` as people type it.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output, Stdio},
};
use tempfile::TempDir;

// Only one guest is needed here.
macro_rules! guest {
    (PASSES $path:literal) => {
        const PASSES: &str = $path;
    };
    ($name:ident $path:literal) => {};
}
test_guests::for_each!(guest);

const MANIFEST: &str =
    "apiVersion: aviary.dev/v1alpha1\nkind: Check\nmetadata: { name: web }\nspec: { module: web.wasm }\n";

fn aviary(directory: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aviary"));
    command.env("AVIARY_CACHE_DIR", directory.join(".cache"));
    let command = command.current_dir(directory).args(arguments).envs(variables.iter().copied());
    command.output().expect("the command runs")
}

fn directory() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

fn printed(text: &[u8]) -> &str {
    str::from_utf8(text).expect("text")
}

#[test]
fn an_empty_variable_means_the_same_as_none() {
    let empty = [
        "AVIARY_LISTEN",
        "AVIARY_NAMESPACE",
        "AVIARY_MAX_CHECKS",
        "AVIARY_MAX_MODULE_SIZE",
        "AVIARY_REQUIRE_SIGNATURE",
        "AVIARY_COMPILE_MEMORY",
        "AVIARY_COMPILE_CPU",
        "AVIARY_COMPILE_TIMEOUT",
        "AVIARY_CACHE_DIR",
        "AVIARY_CA_FILE",
        "AVIARY_CLOSE_AFTER",
        "AVIARY_KILL_AFTER",
        "AVIARY_LOG_FORMAT",
        "AVIARY_LOG",
        "AVIARY_DEBUG",
    ]
    .map(|name| (name, ""));
    let run = aviary(directory().path(), &["run", "--checks", "nowhere"], &empty);
    let error = printed(&run.stderr);
    assert!(error.starts_with("error: cannot read nowhere: "), "{error}");
}

#[test]
fn a_manifest_to_inspect_gets_a_hint() {
    let directory = directory();
    fs::write(directory.path().join("web.yaml"), MANIFEST).expect("written");
    let inspect = aviary(directory.path(), &["inspect", "web.yaml"], &[]);
    let error = printed(&inspect.stderr);
    assert!(
        error.contains("web.yaml is a manifest") && error.contains("aviary validate web.yaml"),
        "{error}"
    );
}

#[test]
fn validate_names_each_file_once() {
    let directory = directory();
    fs::write(directory.path().join("lonely.yaml"), MANIFEST).expect("written");
    fs::write(directory.path().join("wrong.yaml"), "kind: Chek").expect("written");
    fs::write(directory.path().join("notes.txt"), "").expect("written");
    let paths = ["nowhere", "lonely.yaml", "wrong.yaml", "notes.txt"];
    let validate = aviary(directory.path(), &[&["validate"], &paths[..]].concat(), &[]);
    assert_eq!(validate.status.code(), Some(1));
    let lines: Vec<_> = printed(&validate.stdout).lines().collect();
    let expected = [
        "refused  nowhere: there is no such file or directory",
        "refused  default/web: lonely.yaml: the module web.wasm must lie beside it: cannot be read: ",
        "refused  wrong.yaml: line 1, ",
        "refused  notes.txt: expected a module ",
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:?}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line}");
    }
}

/// A secret key of `minisign -G -W`, which leaves the checksum out.
const SECRET_KEY: &str = "untrusted comment: minisign encrypted secret key
RWQAAEIyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAzmotcX4NtTYQM6j1E43gR7z3+y/2r7fPNWf45oBeBCUs0ag/eIq0elZIvpVLls/Kl8sD7K+O8R2SnGp/ic94rfxyeOb7/PtWAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
";
const PUBLIC_KEY: &str = "RWTOai1xfg21NlZIvpVLls/Kl8sD7K+O8R2SnGp/ic94rfxyeOb7/PtW";

#[test]
fn a_module_is_signed_with_a_key_of_minisign_and_refused_without() {
    let directory = directory();
    let path = directory.path();
    fs::write(path.join("web.wasm"), "rubbish").expect("written");
    fs::write(path.join("minisign.key"), SECRET_KEY).expect("written");
    let validate = || {
        let validate = aviary(path, &["validate", "web.wasm", "--require-signature", PUBLIC_KEY], &[]);
        printed(&validate.stdout).to_owned()
    };
    assert!(validate().contains("web.wasm is not signed"), "{}", validate());
    let sign = aviary(path, &["sign", "web.wasm", "--key", "minisign.key"], &[]);
    assert!(printed(&sign.stdout).contains("signed with the key 36B50D7E712D6ACE"), "{sign:?}");
    assert!(validate().contains("web.wasm is not WebAssembly"), "the signature is good: {}", validate());
    fs::write(path.join("web.wasm"), "Rubbish").expect("written");
    assert!(validate().contains("web.wasm.minisig does not fit web.wasm"), "{}", validate());
}

#[test]
fn a_key_that_was_made_here_signs_with_its_password_and_is_never_replaced() {
    let directory = directory();
    let path = directory.path();
    let password = [("AVIARY_KEY_PASSWORD", "open sesame")];
    let generate = aviary(path, &["sign", "--generate", "mine"], &password);
    assert!(printed(&generate.stdout).contains("--require-signature RW"), "{generate:?}");
    let mode = fs::metadata(path.join("mine.key")).expect("a key").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = aviary(path, &["sign", "--generate", "mine"], &password);
    assert!(printed(&again.stderr).contains("mine.key exists already"), "{again:?}");

    fs::write(path.join("web.wasm"), "rubbish").expect("written");
    let sign = |password| {
        aviary(path, &["sign", "web.wasm", "--key", "mine.key"], &[("AVIARY_KEY_PASSWORD", password)])
    };
    let wrong = sign("open barley");
    assert!(printed(&wrong.stderr).contains("Wrong password") && wrong.status.code() == Some(2), "{wrong:?}");
    assert!(!path.join("web.wasm.minisig").exists());
    assert!(sign("open sesame").status.success());
    let validate = aviary(path, &["validate", "web.wasm", "--require-signature", "mine.pub"], &[]);
    assert!(printed(&validate.stdout).contains("is not WebAssembly"), "{validate:?}");
}

/// The exit code of a command that writes to `output`, and what it complains about.
fn writing_to(output: impl Into<Stdio>, path: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aviary"));
    command.env("AVIARY_CACHE_DIR", path.join(".cache")).current_dir(path).args(arguments);
    let output = command.stdout(output).output().expect("the command runs");
    (output.status.code(), printed(&output.stderr).to_owned())
}

#[test]
fn a_reader_that_has_left_changes_neither_what_is_done_nor_how_it_ends() {
    let directory = directory();
    let path = directory.path();
    fs::copy(PASSES, path.join("web.wasm")).expect("copied");
    fs::write(path.join("web.yaml"), MANIFEST).expect("written");
    fs::write(path.join("minisign.key"), SECRET_KEY).expect("written");
    for (arguments, code) in [
        (&["inspect", "web.wasm"][..], 0),
        (&["check", "web.yaml"], 0),
        (&["validate", "nowhere", "web.wasm"], 1),
        (&["bundle", ".", "--name", "checks"], 0),
        (&["sign", "web.wasm", "--key", "minisign.key"], 0),
    ] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        assert_eq!(writing_to(writer, path, arguments), (Some(code), String::new()), "{arguments:?}");
    }
    assert!(path.join("web.wasm.minisig").exists());
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("a full device");
    let error = "error: cannot write to standard output: no storage space\n".to_owned();
    assert_eq!(writing_to(full, path, &["inspect", "web.wasm"]), (Some(2), error));
}

#[test]
fn what_cannot_be_signed_or_required_is_named() {
    let directory = directory();
    let path = directory.path();
    fs::write(path.join("web.yaml"), MANIFEST).expect("written");
    fs::write(path.join("web.wasm"), "rubbish").expect("written");
    fs::write(path.join("minisign.key"), SECRET_KEY).expect("written");
    for (arguments, says) in [
        (&["sign", "web.yaml", "--key", "minisign.key"][..], "web.yaml is no module"),
        (&["sign", "web.wasm", "--key", "web.yaml"], "it is no minisign secret key"),
        (&["sign", "web.wasm", "--key", "nowhere"], "it cannot be read"),
        (&["validate", "web.wasm", "--require-signature", "nowhere"], "neither a minisign public key"),
        (&["run", "--require-signature", "minisign.key"], "holds no minisign public key"),
    ] {
        let refused = aviary(path, arguments, &[]);
        let error = printed(&refused.stderr);
        assert!(error.contains(says) && refused.status.code() == Some(2), "{error}");
    }
}

/// The standard output of `aviary validate`, and its exit code.
fn validated(path: &Path, arguments: &[&str]) -> (String, Option<i32>) {
    let output = aviary(path, &[&["validate"], arguments].concat(), &[]);
    (printed(&output.stdout).to_owned(), output.status.code())
}

#[test]
fn a_large_module_is_judged_alike_as_a_file_and_in_a_directory() {
    let directory = directory();
    let path = directory.path();
    fs::write(path.join("web.yaml"), MANIFEST).expect("written");
    fs::File::create(path.join("web.wasm")).expect("created").set_len(5 << 20).expect("a hole");
    for argument in ["web.wasm", "web.yaml", "."] {
        let (told, code) = validated(path, &[argument]);
        assert!(told.contains("larger than 4194304 bytes") && told.contains("--max-module-size"), "{told}");
        assert_eq!(code, Some(1));
        let (told, _) = validated(path, &[argument, "--max-module-size", "5Mi"]);
        assert!(told.contains("not WebAssembly"), "now its bytes are judged: {told}");
    }
}

#[test]
fn a_directory_that_holds_nothing_ends_nothing_unless_there_is_nothing_else() {
    let directory = directory();
    let path = directory.path();
    fs::create_dir(path.join("empty")).expect("a directory");
    fs::copy(PASSES, path.join("web.wasm")).expect("copied");
    let (told, code) = validated(path, &["empty", "web.wasm"]);
    assert_eq!(code, Some(0));
    assert!(told.starts_with("nothing  empty: ") && told.contains("ok       default/web"), "{told}");
    assert_eq!(validated(path, &["empty"]).1, Some(2));
}

#[test]
fn a_manifest_that_is_too_large_is_to_be_split() {
    let directory = directory();
    fs::write(directory.path().join("a.yaml"), "#".repeat((1 << 20) + 1)).expect("written");
    for argument in ["a.yaml", "."] {
        let (told, _) = validated(directory.path(), &[argument]);
        assert!(told.contains("1048576 bytes: split it") && !told.contains("--max-module-size"), "{told}");
    }
}

#[test]
fn a_pipe_holds_nobody_up() {
    let directory = directory();
    let path = directory.path();
    fs::write(path.join("minisign.key"), SECRET_KEY).expect("written");
    for pipe in ["web.wasm", "web.yaml", "key"] {
        let made = Command::new("mkfifo").current_dir(path).arg(pipe).status();
        assert!(made.expect("mkfifo runs").success());
    }
    for arguments in [
        &["check", "web.wasm"][..],
        &["check", "web.yaml"],
        &["inspect", "web.wasm"],
        &["validate", "web.wasm", "web.yaml"],
        &["sign", "web.wasm", "--key", "minisign.key"],
        &["sign", "minisign.key", "--key", "key"],
        &["run", "--checks", ".", "--policy", "key"],
        &["run", "--checks", ".", "--ca-file", "key"],
    ] {
        let output = aviary(path, arguments, &[]);
        let said = [printed(&output.stdout), printed(&output.stderr)].concat();
        assert!(
            !output.status.success() && (said.contains("not a regular file") || said.contains("no module")),
            "{said}"
        );
    }
}

#[test]
fn a_check_that_is_chosen_does_not_mind_what_is_wrong_with_the_others() {
    let directory = directory();
    let path = directory.path();
    let other = MANIFEST.replace("name: web", "name: shop").replace("web.wasm", "shop.wasm");
    let broken = MANIFEST.replace("name: web", "name: broken").replace("spec:", "specification:");
    fs::write(path.join("all.yaml"), [&other, MANIFEST, &broken].join("---\n")).expect("written");
    fs::copy(PASSES, path.join("web.wasm")).expect("copied");
    let chosen = aviary(path, &["check", "all.yaml", "--only", "web"], &[]);
    assert!(chosen.status.success(), "{chosen:?}");
    for (only, says) in [("shop", "the module shop.wasm must lie beside it"), ("broken", "unknown key")] {
        let refused = aviary(path, &["check", "all.yaml", "--only", only], &[]);
        assert!(printed(&refused.stderr).contains(says), "{refused:?}");
    }
    let (told, code) = validated(path, &["all.yaml"]);
    assert!(told.contains("ok       default/web") && told.contains("refused  default/shop"), "{told}");
    assert!(told.contains("refused  default/broken: all.yaml: line 14, ") && code == Some(1), "{told}");
}

#[test]
fn a_bundle_has_a_name_that_kubernetes_takes() {
    let directory = directory();
    fs::copy(PASSES, directory.path().join("web.wasm")).expect("copied");
    let longest = ["a".repeat(200), "b".repeat(52)].join(".");
    for (name, code) in
        [("a b", 2), ("A", 2), ("-a", 2), ("a..b", 2), (&*format!("{longest}c"), 2), (&longest, 0)]
    {
        let bundle = aviary(directory.path(), &["bundle", ".", &format!("--name={name}")], &[]);
        assert_eq!(bundle.status.code(), Some(code), "{name}: {bundle:?}");
        let says = printed(&bundle.stderr);
        assert!(
            code == 0 || says.contains("at most 253 lower-case letters, digits, dashes and dots"),
            "{says}"
        );
    }
}
