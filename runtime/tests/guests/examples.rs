//! The manifests in `deploy/examples`.

use crate::{
    self as guests,
    support::{Subject, sandbox},
};
use aviary::{grant::Ceiling, manifest};
use std::{fs, path::Path, sync::Arc};

#[tokio::test]
async fn each_example_is_taken_by_the_module_that_it_names() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples");
    let files = fs::read_dir(directory).expect("the examples").map(|entry| entry.expect("an entry").path());
    let mut taken = 0;
    for file in files.filter(|path| path.extension().is_some_and(|end| end == "yaml")) {
        let text = fs::read_to_string(&file).expect("text");
        let checks = manifest::parse(&text, "default", &Ceiling::open());
        for check in checks.unwrap_or_else(|error| panic!("{}: {error}", file.display())) {
            let guest = match check.program.module.file_name() {
                "dns.wasm" => guests::CHECK_DNS,
                "http.wasm" => guests::CHECK_HTTP,
                "tcp.wasm" => guests::CHECK_TCP,
                other => panic!("{}: there is no check {other}", file.display()),
            };
            let subject = Subject::load_in(sandbox(), Arc::new(check), guest).await.expect("loaded");
            let begun = subject.live().await.init().await.done();
            assert!(begun.is_ok(), "{}: {}: {begun:?}", file.display(), subject.check.key);
            taken += 1;
        }
    }
    assert!(taken > 5, "there are only {taken} examples");
}
