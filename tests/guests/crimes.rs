//! Turns the crimes in `crimes/` into components.

use std::fs;
use std::path::{Path, PathBuf};

const FRAME: &str = include_str!("frame.wat");

/// A part of the frame: the heading under which a crime has fields of its own for it, and its default fields.
/// A default is left out if the crime defines something that begins alike.
struct Part {
    name: &'static str,
    defaults: &'static [(&'static str, &'static str)],
}

/// The parts of the frame. What stands before any heading belongs to the first part.
const PARTS: [Part; 4] = [
    Part {
        name: "core",
        defaults: &[
            ("(func (export \"init\")", "(param i32 i32) (result i32) (i32.const 32))"),
            ("(func (export \"poll\")", "(result i32) (i32.const 64))"),
            ("(func (export \"cleanup\")", "(result i32) (i32.const 32))"),
            ("(func (export \"done\")", "(param i32))"),
        ],
    },
    Part {
        name: "room",
        defaults: &[
            ("(memory (export \"memory\")", "1)"),
            ("(global $free", "(mut i32) (i32.const 32768))"),
            (
                "(func (export \"realloc\")",
                "(param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
                   (local $start i32)
                   (local.set $start (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
                   (global.set $free (i32.add (local.get $start) (local.get $size)))
                   (loop $grow
                     (if (i32.gt_u (global.get $free) (i32.mul (memory.size) (i32.const 65536)))
                       (then
                         (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
                         (br $grow))))
                   (local.get $start))",
            ),
        ],
    },
    Part { name: "imports", defaults: &[("(core instance $host", ")")] },
    Part {
        name: "lifts",
        defaults: &[
            (
                "(func $init ",
                "(param \"settings\" string) (result (result (error string)))
                   (canon lift (core func $crime \"init\") (memory $memory) (realloc $realloc)))",
            ),
            (
                "(func $poll ",
                "(result (result $outcome (error string)))
                   (canon lift (core func $crime \"poll\") (memory $memory) (post-return (core func $crime \"done\"))))",
            ),
            (
                "(func $cleanup ",
                "(result (result (error string))) (canon lift (core func $crime \"cleanup\") (memory $memory)))",
            ),
        ],
    },
];

/// Writes each crime of a directory as a component into another, and returns names and paths without the ending.
pub(crate) fn build(crimes: &Path, built: &Path) -> Vec<(String, PathBuf)> {
    fs::create_dir_all(built).unwrap_or_else(|error| panic!("{}: {error}", built.display()));
    let entries = fs::read_dir(crimes).unwrap_or_else(|error| panic!("{}: {error}", crimes.display()));
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    let (built, broken): (Vec<_>, Vec<_>) =
        paths.iter().map(|path| write(path, built)).partition(Result::is_ok);
    let broken: Vec<_> = broken.into_iter().filter_map(Result::err).collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    built.into_iter().flatten().collect()
}

fn write(path: &Path, built: &Path) -> Result<(String, PathBuf), String> {
    let name = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
    let crime = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let crime = repeated(&crime);
    let text = if crime.contains("\n(component\n") { crime } else { framed(&crime) };
    let component = wat::parse_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    let built = built.join(&name);
    fs::write(built.with_extension("wasm"), component).expect("the target directory can be written");
    Ok((name, built))
}

/// Writes out a text such as `[3 text#]`, which becomes `text0text1text2`.
fn repeated(crime: &str) -> String {
    let mut parts = crime.split('[');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |written, part| {
        let repetition = part.split_once(']').and_then(|(inner, rest)| {
            let (times, text) = inner.split_once(' ')?;
            let times: u32 = times.parse().ok()?;
            let repeated: String = (0..times).map(|number| text.replace('#', &number.to_string())).collect();
            Some(repeated + rest)
        });
        written + &repetition.unwrap_or_else(|| format!("[{part}"))
    })
}

fn framed(crime: &str) -> String {
    let mut parts: Vec<String> = PARTS.iter().map(|_| String::new()).collect();
    let mut current = 0;
    for line in crime.lines() {
        match line.strip_prefix(";;; ") {
            Some(name) => {
                current = PARTS.iter().position(|part| part.name == name).expect("a part of the frame");
            }
            None => parts[current] += &format!("{line}\n"),
        }
    }
    let fill = |frame: String, (part, own): (&Part, String)| {
        frame.replace(&format!("{{{}}}", part.name), &complete(part, own))
    };
    PARTS.iter().zip(parts).fold(FRAME.to_owned(), fill)
}

fn complete(part: &Part, mut own: String) -> String {
    for (start, rest) in part.defaults {
        if !own.contains(start) {
            own += &format!("{start} {rest}\n");
        }
    }
    own
}
