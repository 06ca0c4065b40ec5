//! Prints plain lines, terminal escapes, control characters and a line of 100 KB.

use std::io::{Write, stderr, stdout};

use aviary_guest::{Check, Outcome};

#[derive(serde::Deserialize)]
struct Prints {}

impl Check for Prints {
    fn poll(&mut self) -> Result<Outcome, String> {
        println!("a line for stdout");
        eprintln!("a line for stderr");
        println!("\x1b[31mred\x1b[0m and a bell \x07 and a return\rover it, and a null \0");
        eprintln!("{}", "x".repeat(100_000));
        let raw = stdout().write_all(b"no text: \xff\xfe\nno end of line").and_then(|()| stdout().flush());
        let done = raw.and_then(|()| stderr().flush());
        Ok(Outcome::pass_if(done.is_ok(), format!("printed: {done:?}")))
    }
}

aviary_guest::export!(Prints);
