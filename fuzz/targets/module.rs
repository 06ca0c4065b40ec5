#![no_main]
#![feature(exitcode_exit_method)]

use aviary::{cli::Arguments, sandbox::COMMAND};
use std::{env, path::Path};

libfuzzer_sys::fuzz_target!(
    init: compile_if_asked(),
    |bytes: &[u8]| test_fuzz::module(Path::new("/proc/self/exe"), bytes)
);

/// Modules are compiled by a child of the same program, which has the daemon's command for that.
fn compile_if_asked() {
    if env::args().nth(1).is_some_and(|command| command == COMMAND) {
        Arguments::read().execute().exit_process();
    }
}
