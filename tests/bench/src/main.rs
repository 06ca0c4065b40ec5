//! Measures the figures that the daemon is held to: `aviary-bench DAEMON CHECKS GUESTS [ROW…]`.
//!
//! Prints a table. A missed target is no error: only what cannot be measured is.

mod client;
mod cluster;
mod daemon;
mod figure;
mod lag;
mod manifest;
mod process;
mod rows;

use anyhow::{Context, Result, bail};
use figure::Figure;
use rows::{Bench, GROUPS, Group};
use std::{env, fs, process::ExitCode};

fn main() -> Result<ExitCode> {
    let mut arguments = env::args().skip(1);
    let mut path = || {
        let path = arguments.next().context(USAGE)?;
        fs::canonicalize(&path).with_context(|| format!("cannot measure {path}"))
    };
    let bench = Bench { daemon: path()?, checks: path()?, guests: path()? };
    let wanted: Vec<String> = arguments.collect();
    let groups = choose(&wanted)?;
    let mut figures = Vec::new();
    for group in groups {
        eprintln!("measuring {} …", group.rows.join(", "));
        let measured = (group.measure)(&bench).unwrap_or_else(|error| {
            eprintln!("  {error:#}");
            group.rows.iter().map(|row| Figure::missing(row, &error.root_cause().to_string())).collect()
        });
        figures
            .extend(measured.into_iter().filter(|figure| wanted.is_empty() || wanted.contains(&figure.row)));
    }
    println!("{}", figure::table(&figures));
    let complete = figures.iter().all(Figure::is_measured);
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

const USAGE: &str = "usage: aviary-bench DAEMON CHECKS GUESTS [ROW…]; `cargo xtask bench` builds them all";

/// The groups of rows that measure the wanted rows; all groups if no row is named.
fn choose(wanted: &[String]) -> Result<Vec<&'static Group>> {
    let known = || GROUPS.iter().flat_map(|group| group.rows);
    if let Some(unknown) = wanted.iter().find(|row| !known().any(|known| known == row)) {
        let known: Vec<_> = known().copied().collect();
        bail!("there is no row {unknown}; the rows are {}", known.join(", "));
    }
    let is_wanted = |group: &&Group| {
        wanted.is_empty() || group.rows.iter().any(|row| wanted.iter().any(|wanted| wanted == row))
    };
    Ok(GROUPS.iter().filter(is_wanted).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_rows_are_measured_unless_some_are_named() {
        assert_eq!(choose(&[]).expect("all").len(), GROUPS.len());
        let chosen = choose(&["lateness".to_owned()]).expect("a known row");
        assert_eq!(chosen.len(), 1);
        assert!(chosen[0].rows.contains(&"memory-10000"));
    }

    #[test]
    fn the_help_lists_each_row_in_the_order_of_the_table() {
        let told = include_str!("../rows.txt").lines().map(|line| line.split_whitespace().next());
        let known: Vec<_> = GROUPS.iter().flat_map(|group| group.rows).map(|row| Some(*row)).collect();
        assert_eq!(told.collect::<Vec<_>>(), known);
    }

    #[test]
    fn an_unknown_row_is_refused_with_the_known_ones() {
        let error = choose(&["latness".to_owned()]).err().expect("no such row").to_string();
        assert!(error.contains("latness") && error.contains("lateness"), "{error}");
    }
}
