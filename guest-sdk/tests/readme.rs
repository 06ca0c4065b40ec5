//! What the README shows is what is compiled and run.

const README: &str = include_str!("../../README.md");
const MINIMAL: &str = include_str!("../examples/minimal.rs");

#[test]
fn the_readme_shows_the_minimal_example_as_it_is() {
    let (_, code) = MINIMAL.split_once("\n\n").expect("a doc comment, an empty line, the code");
    let shown = format!("```rust\n{code}```\n");
    assert!(README.contains(&shown), "copy guest-sdk/examples/minimal.rs into README.md:\n{shown}");
}
