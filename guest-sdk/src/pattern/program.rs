//! From a tree to steps, which all run side by side through the text (Thompson's construction).

use super::parse::{Node, Set};

/// More steps would let a short expression take a lot of memory and time.
const MOST_STEPS: usize = 10_000;

/// An expression ready to run.
#[derive(Debug, Clone)]
pub(super) struct Program {
    steps: Vec<Step>,
}

#[derive(Debug, Clone)]
enum Step {
    Take(Set),
    LineStart,
    LineEnd,
    WordEdge,
    /// Goes on in both places.
    Fork(usize, usize),
    Match,
}

impl Program {
    pub(super) fn new(node: &Node) -> Result<Self, String> {
        let mut program = Self { steps: Vec::new() };
        program.add(node)?;
        program.push(Step::Match)?;
        Ok(program)
    }

    /// Where the match ends that starts at byte `from` or later and ends first.
    pub(super) fn find_end(&self, text: &str, from: usize) -> Option<usize> {
        let mut threads = Threads { active: Vec::new(), seen: vec![0; self.steps.len()], round: 0 };
        let mut next = Vec::new();
        let mut before = None;
        let ends = [(text.len(), None)];
        for (index, c) in text.char_indices().map(|(index, c)| (index, Some(c))).chain(ends) {
            if index >= from {
                threads.round += 1;
                for step in next.drain(..).chain([0]) {
                    if threads.follow(&self.steps, step, before, c) {
                        return Some(index);
                    }
                }
                if let Some(c) = c {
                    let takes =
                        |step: &usize| matches!(&self.steps[*step], Step::Take(set) if set.contains(c));
                    next.extend(threads.active.drain(..).filter(takes).map(|step| step + 1));
                }
            }
            before = c;
        }
        None
    }

    fn push(&mut self, step: Step) -> Result<usize, String> {
        if self.steps.len() == MOST_STEPS {
            return Err("it is too large".into());
        }
        self.steps.push(step);
        Ok(self.steps.len() - 1)
    }

    fn add(&mut self, node: &Node) -> Result<(), String> {
        match node {
            Node::Set(set) => _ = self.push(Step::Take(set.clone()))?,
            Node::LineStart => _ = self.push(Step::LineStart)?,
            Node::LineEnd => _ = self.push(Step::LineEnd)?,
            Node::WordEdge => _ = self.push(Step::WordEdge)?,
            Node::Sequence(nodes) => nodes.iter().try_for_each(|node| self.add(node))?,
            Node::Either(branches) => self.add_branches(branches)?,
            Node::Repeat { node, least, most } => self.add_repeat(node, *least, *most)?,
        }
        Ok(())
    }

    fn add_branches(&mut self, branches: &[Node]) -> Result<(), String> {
        let Some((last, others)) = branches.split_last() else {
            return Ok(());
        };
        let mut exits = Vec::new();
        for branch in others {
            let fork = self.push(Step::Fork(0, 0))?;
            self.add(branch)?;
            exits.push(self.push(Step::Fork(0, 0))?);
            self.steps[fork] = Step::Fork(fork + 1, self.steps.len());
        }
        self.add(last)?;
        let end = self.steps.len();
        exits.into_iter().for_each(|exit| self.steps[exit] = Step::Fork(end, end));
        Ok(())
    }

    fn add_repeat(&mut self, node: &Node, least: u32, most: Option<u32>) -> Result<(), String> {
        for _ in 0..least {
            self.add(node)?;
        }
        let Some(most) = most else {
            let fork = self.push(Step::Fork(0, 0))?;
            self.add(node)?;
            let end = self.push(Step::Fork(fork, fork))?;
            self.steps[fork] = Step::Fork(fork + 1, end + 1);
            return Ok(());
        };
        let mut forks = Vec::new();
        for _ in least..most {
            forks.push(self.push(Step::Fork(0, 0))?);
            self.add(node)?;
        }
        let end = self.steps.len();
        forks.into_iter().for_each(|fork| self.steps[fork] = Step::Fork(fork + 1, end));
        Ok(())
    }
}

struct Threads {
    /// Steps that wait for a character.
    active: Vec<usize>,
    /// The round in which each step was last reached.
    seen: Vec<usize>,
    round: usize,
}

impl Threads {
    /// Follows everything that takes no character; true when that leads to a match.
    fn follow(&mut self, steps: &[Step], start: usize, before: Option<char>, after: Option<char>) -> bool {
        let mut open = vec![start];
        while let Some(step) = open.pop() {
            if self.seen[step] == self.round {
                continue;
            }
            self.seen[step] = self.round;
            let goes_on = match &steps[step] {
                Step::Match => return true,
                Step::Take(_) => {
                    self.active.push(step);
                    false
                }
                Step::Fork(one, other) => {
                    open.extend([*other, *one]);
                    false
                }
                Step::LineStart => before.is_none_or(|c| c == '\n'),
                Step::LineEnd => after.is_none_or(|c| matches!(c, '\n' | '\r')),
                Step::WordEdge => is_word(before) != is_word(after),
            };
            if goes_on {
                open.push(step + 1);
            }
        }
        false
    }
}

fn is_word(c: Option<char>) -> bool {
    c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
}
