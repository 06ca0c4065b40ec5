//! From text to a tree.

use std::iter::Peekable;
use std::str::Chars;

/// Deeper nesting would be nobody's intention, and costs stack.
const DEEPEST: usize = 50;
const MOST_REPETITIONS: u32 = 1_000;

/// A part of an expression.
pub(super) enum Node {
    Set(Set),
    LineStart,
    LineEnd,
    WordEdge,
    Sequence(Vec<Node>),
    Either(Vec<Node>),
    Repeat { node: Box<Node>, least: u32, most: Option<u32> },
}

/// Characters that match in one place.
#[derive(Debug, Clone)]
pub(super) struct Set {
    ranges: Vec<(char, char)>,
    negated: bool,
    ignores_case: bool,
}

impl Set {
    pub(super) fn contains(&self, c: char) -> bool {
        let is_within = |c| self.ranges.iter().any(|(first, last)| (*first..=*last).contains(&c));
        let is_within = if self.ignores_case {
            is_within(c.to_ascii_lowercase()) || is_within(c.to_ascii_uppercase())
        } else {
            is_within(c)
        };
        is_within != self.negated
    }
}

/// Reads an expression.
pub(super) fn parse(text: &str) -> Result<Node, String> {
    let (flags, rest) = split_flags(text);
    let mut parser = Parser {
        rest: rest.chars().peekable(),
        depth: 0,
        ignores_case: flags.contains('i'),
        dot_takes_all: flags.contains('s'),
    };
    let node = parser.either()?;
    if parser.rest.peek().is_some() { Err("a group is closed that was not opened".into()) } else { Ok(node) }
}

/// The letters of `(?is)` in front.
fn split_flags(text: &str) -> (&str, &str) {
    match text.strip_prefix("(?").and_then(|rest| rest.split_once(')')) {
        Some((flags, rest)) if !flags.is_empty() && flags.chars().all(|flag| "ims".contains(flag)) => {
            (flags, rest)
        }
        _ => ("", text),
    }
}

struct Parser<'a> {
    rest: Peekable<Chars<'a>>,
    depth: usize,
    ignores_case: bool,
    dot_takes_all: bool,
}

impl Parser<'_> {
    fn either(&mut self) -> Result<Node, String> {
        let mut branches = vec![self.sequence()?];
        while self.rest.next_if_eq(&'|').is_some() {
            branches.push(self.sequence()?);
        }
        Ok(Node::Either(branches))
    }

    fn sequence(&mut self) -> Result<Node, String> {
        let mut nodes = Vec::new();
        while let Some(c) = self.rest.next_if(|c| !matches!(c, '|' | ')')) {
            let node = self.one(c)?;
            nodes.push(self.repeated(node)?);
        }
        Ok(Node::Sequence(nodes))
    }

    fn one(&mut self, c: char) -> Result<Node, String> {
        match c {
            '(' => self.group(),
            '[' => self.class(),
            '^' => Ok(Node::LineStart),
            '$' => Ok(Node::LineEnd),
            '.' if self.dot_takes_all => Ok(self.set(Vec::new(), true)),
            '.' => Ok(self.set(vec![('\n', '\n')], true)),
            '\\' => match self.rest.next() {
                Some('b') => Ok(Node::WordEdge),
                Some(c @ ('D' | 'W' | 'S')) => {
                    let ranges = named(c.to_ascii_lowercase()).unwrap_or_default();
                    Ok(self.set(ranges, true))
                }
                c => self.escaped(c).map(|ranges| self.set(ranges, false)),
            },
            '*' | '+' | '?' | '{' => Err(format!("there is nothing to repeat before {c}")),
            c => Ok(self.set(vec![(c, c)], false)),
        }
    }

    fn group(&mut self) -> Result<Node, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("its groups are nested too deeply".into());
        }
        if self.rest.next_if_eq(&'?').is_some() {
            match self.rest.next() {
                Some(':') => {}
                c => return Err(format!("(?{} is unknown here", c.unwrap_or(' '))),
            }
        }
        let node = self.either()?;
        self.depth -= 1;
        self.rest.next_if_eq(&')').map(|_| node).ok_or_else(|| "a group is not closed".into())
    }

    fn class(&mut self) -> Result<Node, String> {
        let negated = self.rest.next_if_eq(&'^').is_some();
        let mut ranges = Vec::new();
        loop {
            let first = match self.rest.next().ok_or("a class is not closed")? {
                ']' if !ranges.is_empty() => return Ok(self.set(ranges, negated)),
                c => self.member(c)?,
            };
            let is_range = self.rest.peek() == Some(&'-') && {
                let mut ahead = self.rest.clone();
                ahead.next();
                ahead.peek().is_some_and(|c| *c != ']')
            };
            if !is_range {
                ranges.extend(first);
                continue;
            }
            self.rest.next();
            let last = self.rest.next().ok_or("a class is not closed")?;
            match (first.as_slice(), self.member(last)?.as_slice()) {
                (&[(first, same)], &[(last, also)]) if first == same && last == also => {
                    if first > last {
                        return Err(format!("the range {first}-{last} is the wrong way round"));
                    }
                    ranges.push((first, last));
                }
                _ => return Err("a range needs two characters".into()),
            }
        }
    }

    fn member(&mut self, c: char) -> Result<Vec<(char, char)>, String> {
        match c {
            '\\' => match self.rest.next() {
                Some(c @ ('D' | 'W' | 'S' | 'b')) => Err(format!("\\{c} cannot stand in a class")),
                c => self.escaped(c),
            },
            c => Ok(vec![(c, c)]),
        }
    }

    fn escaped(&mut self, c: Option<char>) -> Result<Vec<(char, char)>, String> {
        let c = c.ok_or("there is an escape at the end")?;
        if let Some(ranges) = named(c) {
            return Ok(ranges);
        }
        let c = match c {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'x' => self.hexadecimal().ok_or("\\x needs two hexadecimal digits")?,
            c if c.is_alphanumeric() => return Err(format!("the escape \\{c} is unknown")),
            c => c,
        };
        Ok(vec![(c, c)])
    }

    fn hexadecimal(&mut self) -> Option<char> {
        let high = self.rest.next()?.to_digit(16)?;
        let low = self.rest.next()?.to_digit(16)?;
        char::from_u32(high * 16 + low)
    }

    fn repeated(&mut self, node: Node) -> Result<Node, String> {
        let (least, most) = match self.rest.next_if(|c| matches!(c, '*' | '+' | '?' | '{')) {
            None => return Ok(node),
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some(_) => self.counts().ok_or_else(|| {
                format!(
                    "{{ begins no repetition like {{2}}, {{2,}} or {{2,5}}, of at most {MOST_REPETITIONS}"
                )
            })?,
        };
        // Lazy or not makes no difference to whether a text matches.
        self.rest.next_if_eq(&'?');
        Ok(Node::Repeat { node: Box::new(node), least, most })
    }

    fn counts(&mut self) -> Option<(u32, Option<u32>)> {
        let mut text = String::new();
        while let Some(c) = self.rest.next_if(|c| *c != '}') {
            text.push(c);
        }
        self.rest.next()?;
        let (least, most) = match text.split_once(',') {
            None => (text.parse().ok()?, Some(text.parse().ok()?)),
            Some((least, "")) => (least.parse().ok()?, None),
            Some((least, most)) => (least.parse().ok()?, Some(most.parse().ok()?)),
        };
        let highest = most.unwrap_or(least);
        (least <= highest && highest <= MOST_REPETITIONS).then_some((least, most))
    }

    fn set(&self, ranges: Vec<(char, char)>, negated: bool) -> Node {
        Node::Set(Set { ranges, negated, ignores_case: self.ignores_case })
    }
}

fn named(c: char) -> Option<Vec<(char, char)>> {
    match c {
        'd' => Some(vec![('0', '9')]),
        'w' => Some(vec![('a', 'z'), ('A', 'Z'), ('0', '9'), ('_', '_')]),
        's' => Some(vec![('\t', '\r'), (' ', ' ')]),
        _ => None,
    }
}
