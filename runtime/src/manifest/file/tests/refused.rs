use crate::manifest::{error::Position, file::tests::*};

#[test]
fn each_bad_key_or_value_is_refused_where_it_stands() {
    let text = "a text belongs here";
    let number = "a whole number belongs here, not negative and not too large";
    let keys = "keys with values belong here";
    for (spec, column, message) in [
        ("intervall: 30s", 3, "unknown key `intervall`; did you mean `interval`?"),
        ("startupgrace: 1s", 3, "unknown key `startupgrace`; did you mean `startupGrace`?"),
        ("limits: { hostcalls: 1 }", 13, "unknown key `hostcalls`; did you mean `hostCalls`?"),
        ("remedy: {}", 3, "`remedy` is not offered by this version: remove it"),
        (
            "serviceAccount: a/b",
            19,
            "serviceAccount `a/b` is not valid: use lower-case letters, digits, dashes and dots",
        ),
        ("secrets: [{ name: a, secretKeyRef: { name: s } }]", 40, "the key `key` is missing"),
        ("interval: 30", 13, "`30` has no unit: write for example `30s` for seconds"),
        (
            "interval: soon",
            13,
            "`soon` is not a span of time: write for example `500ms`, `30s`, `1m30s`, `2h` or `14d`",
        ),
        ("interval: [1]", 13, text),
        ("interval: 1ms", 13, "interval is 1ms: choose at least 10ms"),
        ("failureThreshold: many", 21, number),
        ("failureThreshold: -1", 21, number),
        ("failureThreshold: 1.5", 21, number),
        ("failureThreshold: 4294967296", 21, number),
        ("failureThreshold: 0", 21, "failureThreshold is 0: choose at least 1"),
        ("successThreshold: 0", 21, "successThreshold is 0: choose at least 1"),
        ("retries: 11", 12, "retries is 11: choose at most 10"),
        ("suspend: yes", 12, "`true` or `false` belongs here"),
        ("severity: high", 13, "`high` is not possible here: write `critical` or `warning`"),
        ("severity: [high]", 13, "a word belongs here"),
        ("owner: ''", 10, "owner `` is not valid: write 1 to 128 bytes in one line"),
        ("owner: \"a\\nb\"", 10, "owner `a\\nb` is not valid: write 1 to 128 bytes in one line"),
        ("settings: [1]", 13, keys),
        ("settings: { a: .nan }", 18, "`.nan` is no number that JSON knows"),
        ("settings: { a: 1, a: 2 }", 21, "the key `a` is written twice"),
        ("settings: { a: &x 1 }", 21, "anchors and aliases are not offered: write the value out"),
        ("settings: { a: *x }", 18, "anchors and aliases are not offered: write the value out"),
        ("settings: { <<: { a: 1 } }", 15, "merge keys are not offered: write the values out"),
        ("settings: { a: !rm x }", 22, "unsupported tag `!rm`"),
        ("module: b.wasm", 3, "the key `module` is written twice"),
        ("secrets: { name: a }", 12, "a list belongs here"),
        (
            "secrets: [{ name: a }]",
            13,
            "secret `a` needs exactly one source: write one of `file`, `env` and `secretKeyRef`",
        ),
        ("secrets: [{ name: a, env: A }, { name: a, env: B }]", 34, "secret `a` is named twice"),
        ("secrets: [{ env: A }]", 15, "the key `name` is missing"),
        ("grants: 3", 11, keys),
        (
            "grants: { kubernetes: [{ apiGroups: [apps/v1], resources: [pods], verbs: [get] }] }",
            40,
            "`apps/v1` is no API group: write `\"\"` for that of pods, `apps` without a version, or `\"*\"`",
        ),
        (
            "grants: { kubernetes: [{ apiGroups: [], resources: [pods], verbs: [get] }] }",
            39,
            "the list is empty: name something, or remove the key",
        ),
        (
            "grants: { kubernetes: [{ resourceNames: [a] }] }",
            28,
            "unknown key `resourceNames`; did you mean `resources`?",
        ),
        (
            "limits: { memory: 64MB }",
            21,
            "`64MB` is not a size: write whole bytes or for example `500k`, `64Mi` or `1Gi`",
        ),
        ("limits: { memory: 2Gi }", 21, "limits.memory is 2Gi: choose between 2Mi and 1Gi"),
        ("limits: { targets: many }", 22, number),
        (
            "digest: sha256:00",
            11,
            "`sha256:00` is not a digest: write `sha256:` and 64 lower-case hexadecimal digits",
        ),
    ] {
        assert_eq!(
            refusal(&with(&format!("  {spec}\n"))),
            format!("line 6, column {column}: {message}"),
            "{spec}"
        );
    }
}

#[test]
fn values_that_contradict_each_other_are_refused_where_they_meet() {
    for (spec, place, message) in [
        (
            "interval: 30s\n  schedule: '@hourly'",
            (7, 13),
            "interval and schedule exclude each other: remove one of them",
        ),
        (
            "interval: 30s\n  timeZone: UTC",
            (7, 13),
            "timeZone means nothing to an interval: remove it, or write a cron expression",
        ),
        (
            "schedule: '@every 1m'\n  timeZone: UTC",
            (7, 13),
            "timeZone means nothing to an interval: remove it, or write a cron expression",
        ),
        (
            "timeZone: Mars/Base\n  schedule: '@hourly'",
            (6, 13),
            "time zone `Mars/Base` is not known: write for example `Europe/Berlin`",
        ),
        (
            "schedule: 99 * * * *",
            (6, 13),
            "schedule `99 * * * *` is not a cron expression: Number out of bounds",
        ),
        ("schedule: 0 0 30 2 *", (6, 13), "impossible schedule `0 0 30 2 *`: no such time ever comes"),
        (
            "timeout: 5s\n  interval: 2s",
            (6, 12),
            "timeout 5s does not fit: the check runs every 2s, so choose a shorter timeout or fewer runs",
        ),
        (
            "schedule: '0,1 0 * * *'\n  timeout: 61s",
            (7, 12),
            "timeout 1m1s does not fit: the check runs every 1m, so choose a shorter timeout or fewer runs",
        ),
        ("timeout: 0s", (6, 12), "timeout is 0s: choose between 1ms and 1h"),
        ("interval: 1d\n  timeout: 61m", (7, 12), "timeout is 1h1m: choose between 1ms and 1h"),
        ("ttl: 29s", (6, 8), "ttl 29s is shorter than the 30s between two runs: choose at least 30s"),
        (
            "ttl: 1m\n  startupGrace: 60s",
            (7, 17),
            "startupGrace 1m is not shorter than the ttl of 1m: no failure would ever count",
        ),
        (
            "startupGrace: 2h",
            (6, 17),
            "startupGrace 2h is not shorter than the ttl of 1h, which is the default: no failure would ever count",
        ),
    ] {
        let (line, column) = place;
        assert_eq!(
            refusal(&with(&format!("  {spec}\n"))),
            format!("line {line}, column {column}: {message}"),
            "{spec}"
        );
    }
}

#[test]
fn documents_that_are_no_checks_are_refused() {
    for (text, message) in [
        ("", "the file holds no Check: write a document with `kind: Check`, or remove the file"),
        (
            "# nothing\n---\n---\n",
            "the file holds no Check: write a document with `kind: Check`, or remove the file",
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\n",
            "line 1, column 13: `v1` is not possible here: write `aviary.dev/v1alpha1`",
        ),
        (
            "apiVersion: aviary.dev/v1alpha1\nkind: Chek\n",
            "line 2, column 7: `Chek` is not possible here: write `Check`",
        ),
        ("kind: Check\n", "line 1, column 1: the key `apiVersion` is missing"),
        ("hello", "line 1, column 1: keys with values belong here"),
        ("[1]", "line 1, column 1: keys with values belong here"),
        ("metadata: {labels: {b", "line 1, column 20: unclosed bracket '{'"),
        ("\0asm\u{1}", "line 1, column 1: unexpected character: `\\u{0}'"),
    ] {
        assert_eq!(refusal(text), message, "{text:?}");
    }
}

#[test]
fn names_and_modules_that_lead_elsewhere_are_refused() {
    let named = |metadata: &str| format!("{HEAD}metadata: {metadata}\nspec: {{ module: a.wasm }}\n");
    assert!(refusal(&named("{ name: ../a }")).starts_with("line 3, column 19: name `../a` is not valid"));
    assert!(
        refusal(&named("{ name: \"a\\0\" }")).starts_with("line 3, column 19: name `a\\u{0}` is not valid")
    );
    assert!(
        refusal(&named("{ name: a, namespace: A }"))
            .starts_with("line 3, column 33: namespace `A` is not valid")
    );
    assert!(refusal(&named(&format!("{{ name: {} }}", "a".repeat(10_000)))).len() < 300);
    assert_eq!(refusal(&named("{ namespace: a }")), "line 3, column 13: the key `name` is missing");
    let module =
        |module: &str| refusal(&format!("{HEAD}metadata: {{ name: a }}\nspec: {{ module: {module} }}\n"));
    assert!(module("../a.wasm").starts_with("line 4, column 17: module `../a.wasm` is not a file name"));
    assert!(module("builtin:dns").starts_with("line 4, column 17: module `builtin:dns` cannot be loaded"));
    assert_eq!(
        refusal(&format!("{HEAD}metadata: {{ name: a }}\nspec: {{}}\n")),
        "line 4, column 7: the key `module` is missing"
    );
}

#[test]
fn a_check_that_is_defined_twice_is_refused_with_both_lines() {
    let text = format!(
        "{}---\n{}",
        with(""),
        with("").replace("{ name: dns }", "{ name: dns, namespace: default }")
    );
    assert_eq!(refusal(&text), "line 7, column 1: default/dns is defined twice: line 1 has it already");
}

#[test]
fn a_later_document_is_refused_at_its_own_line() {
    let error = parse(&format!("{}---\n{}", with(""), with("  owner: ''\n")), "default", &Ceiling::open())
        .expect_err("empty owner");
    assert_eq!(error.position, Some(Position { line: 12, column: 10 }));
}

#[test]
fn files_that_are_too_much_are_refused_quickly() {
    assert_eq!(
        refusal(&"#".repeat(MAX_FILE + 1)),
        "the file has 1048577 bytes: split it, 1048576 are the most"
    );
    let documents = (0..=MAX_DOCUMENTS)
        .map(|number| format!("{}---\n", with("").replace("dns }", &format!("dns-{number} }}"))));
    assert!(refusal(&documents.collect::<String>()).contains("too many documents: split the file"));
    assert!(refusal(&with(&format!("  settings: {{ a: {}", "[".repeat(100_000)))).len() < 300);
    let block: String = (0..200).map(|depth| format!("{}a:\n", " ".repeat(depth + 4))).collect();
    assert!(refusal(&with(&format!("  settings:\n{block}"))).contains("too deeply nested"));
    assert!(refusal(&with(&format!("  settings: [{}]", "1,".repeat(200_000)))).len() < 300);
    assert!(refusal(&with(&format!("  {}: 1", "x".repeat(1_000)))).len() < 1_000);
    let settings = refusal(&with(&format!("  settings: {{ a: {} }}", "x".repeat(65_536))));
    assert_eq!(settings, "line 6, column 13: settings are 65544 bytes as JSON: 65536 are the most");
}
