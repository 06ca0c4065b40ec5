//! Functions that make outcomes and targets.

use crate::{Outcome, Status, Target};

/// Something that is wrong with a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad the finding is.
    pub status: Status,
    /// What was seen, for people.
    pub message: String,
}

impl Finding {
    /// A finding with the status warn: the target works, and somebody should look at it.
    pub fn warn(message: impl Into<String>) -> Self {
        Self { status: Status::Warn, message: message.into() }
    }

    /// A finding with the status fail: the target does not work.
    pub fn fail(message: impl Into<String>) -> Self {
        Self { status: Status::Fail, message: message.into() }
    }
}

impl Outcome {
    /// An outcome with the status pass: all is well.
    pub fn pass(message: impl Into<String>) -> Self {
        Self::new(Status::Pass, message)
    }

    /// An outcome with the status warn: everything works, and somebody should look at it.
    pub fn warn(message: impl Into<String>) -> Self {
        Self::new(Status::Warn, message)
    }

    /// An outcome with the status fail: something does not work.
    pub fn fail(message: impl Into<String>) -> Self {
        Self::new(Status::Fail, message)
    }

    /// An outcome with the status pass if the condition holds, and fail if not.
    pub fn pass_if(condition: bool, message: impl Into<String>) -> Self {
        Self::new(if condition { Status::Pass } else { Status::Fail }, message)
    }

    /// An outcome without targets.
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), targets: Vec::new() }
    }

    /// An outcome with these targets and the worst of their statuses. Its message counts and names them.
    /// Without targets it is a fail: a check that looked at nothing knows nothing.
    #[must_use]
    pub fn from_targets(targets: Vec<Target>) -> Self {
        let status = targets.iter().map(|target| target.status).max().unwrap_or(Status::Fail);
        Self { status, message: summary(status, &targets), targets }
    }

    /// Adds a target; the outcome is never better than its worst target.
    #[must_use]
    pub fn target(mut self, target: Target) -> Self {
        self.status = self.status.max(target.status);
        self.targets.push(target);
        self
    }
}

impl Target {
    /// A target with the status pass: all is well with it.
    pub fn pass(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(name, Status::Pass, message)
    }

    /// A target with the status warn: it works, and somebody should look at it.
    pub fn warn(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(name, Status::Warn, message)
    }

    /// A target with the status fail: it does not work.
    pub fn fail(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(name, Status::Fail, message)
    }

    /// A target with the worst status of these findings and all their messages. Without findings it is a pass
    /// with the summary.
    pub fn from_findings(name: impl Into<String>, summary: impl Into<String>, findings: &[Finding]) -> Self {
        let status = findings.iter().map(|finding| finding.status).max().unwrap_or(Status::Pass);
        let messages: Vec<_> = findings.iter().map(|finding| finding.message.as_str()).collect();
        let message = if messages.is_empty() { summary.into() } else { messages.join("; ") };
        Self::new(name, status, message)
    }

    /// A target without labels.
    pub fn new(name: impl Into<String>, status: Status, message: impl Into<String>) -> Self {
        Self { name: name.into(), status, message: message.into(), labels: Vec::new() }
    }

    /// Adds a label, which is a fact for programs.
    #[must_use]
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.push((key.into(), value.into()));
        self
    }
}

fn summary(status: Status, targets: &[Target]) -> String {
    let [first, ..] = targets else {
        return "nothing was looked at: there are no targets".into();
    };
    if targets.len() == 1 {
        return format!("{}: {}", first.name, first.message);
    }
    let verb = match status {
        Status::Pass => return format!("all {} targets pass", targets.len()),
        Status::Warn => "warn",
        Status::Fail => "fail",
    };
    let mut worst = targets.iter().filter(|target| target.status == status);
    let count = worst.clone().count();
    let example = worst.next().unwrap_or(first);
    format!("{count} of {} targets {verb}: {}: {}", targets.len(), example.name, example.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_target_decides() {
        let outcome = Outcome::from_targets(vec![
            Target::pass("a", "fine"),
            Target::fail("b", "refused"),
            Target::warn("c", "slow"),
            Target::fail("d", "timeout"),
        ]);
        assert_eq!(outcome.status, Status::Fail);
        assert_eq!(outcome.message, "2 of 4 targets fail: b: refused");
    }

    #[test]
    fn a_single_target_speaks_for_itself() {
        assert_eq!(Outcome::from_targets(vec![Target::pass("a", "fine")]).message, "a: fine");
    }

    #[test]
    fn targets_that_all_pass_are_counted() {
        let outcome = Outcome::from_targets(vec![Target::pass("a", "fine"), Target::pass("b", "fine")]);
        assert_eq!((outcome.status, outcome.message.as_str()), (Status::Pass, "all 2 targets pass"));
    }

    #[test]
    fn the_worst_finding_decides_and_all_are_told() {
        let target = Target::from_findings("a", "fine", &[Finding::fail("no body"), Finding::warn("slow")]);
        assert_eq!((target.status, target.message.as_str()), (Status::Fail, "no body; slow"));
        assert_eq!(Target::from_findings("a", "fine", &[]), Target::pass("a", "fine"));
    }

    #[test]
    fn no_targets_are_a_fail() {
        assert_eq!(Outcome::from_targets(Vec::new()).status, Status::Fail);
    }

    #[test]
    fn an_outcome_is_never_better_than_its_targets() {
        let outcome =
            Outcome::pass("as a whole").target(Target::warn("a", "slow")).target(Target::pass("b", "fine"));
        assert_eq!(outcome.status, Status::Warn);
        assert_eq!(Outcome::fail("broken").target(Target::pass("a", "fine")).status, Status::Fail);
    }
}
