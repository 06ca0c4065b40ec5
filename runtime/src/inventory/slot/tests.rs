//! Tests of the actions that follow from events of one check, without modules and without time.

use super::*;
use crate::{outcome::Reason, source::Packed, value::Key};

/// A slot whose methods return the actions as words.
#[derive(Default)]
struct Fixture(Slot);

impl Fixture {
    fn want(&mut self, check: &Arc<Check>) -> Vec<String> {
        words(self.0.want(candidate(check)))
    }

    fn refuse(&mut self, check: Option<&Arc<Check>>, why: &str) -> Vec<String> {
        words(self.0.refuse(refusal(check, why)))
    }

    fn remove(&mut self) -> Vec<String> {
        words(self.0.remove())
    }

    fn retry(&mut self) -> Vec<String> {
        words(self.0.retry())
    }

    /// Ends the load with a new version, which is `check`.
    fn loads(&mut self, check: &Arc<Check>) -> Vec<String> {
        words(self.0.loaded(Loaded::New(version(check), owner(check).to_owned())))
    }

    /// Ends the load of `check` with a failure.
    fn fails(&mut self, check: &Arc<Check>, may_pass: bool) -> Vec<String> {
        words(self.0.loaded(Loaded::Failed { refusal: refusal(Some(check), "no"), may_pass }))
    }

    /// A fixture in which `check` was loaded and runs.
    fn running(check: &Arc<Check>) -> Self {
        let mut fixture = Self::default();
        fixture.want(check);
        fixture.loads(check);
        fixture
    }
}

/// The check `team-a/web` with this owner, by which tests tell versions apart.
fn check(owner: &str) -> Arc<Check> {
    let key: Key = "team-a/web".parse().expect("a key");
    let module = "m.wasm".parse().expect("a module");
    Arc::new(Check { owner: Some(owner.into()), ..Check::bare(key, module) })
}

fn suspended(owner: &str) -> Arc<Check> {
    Arc::new(Check { suspend: true, ..Check::clone(&check(owner)) })
}

fn owner(check: &Check) -> &str {
    check.owner.as_deref().unwrap_or_default()
}

fn candidate(check: &Arc<Check>) -> Candidate {
    let module = Packed::new(Digest::of(owner(check).as_bytes()), || Ok(Vec::new()));
    Candidate { origin: origin(), check: Arc::clone(check), module, signature: None }
}

fn origin() -> Arc<Origin> {
    Arc::new(Origin::File("web.yaml".into()))
}

fn version(check: &Arc<Check>) -> LiveVersion {
    LiveVersion { check: Arc::clone(check), digest: Digest::of(owner(check).as_bytes()) }
}

fn refusal(check: Option<&Arc<Check>>, why: &str) -> Refusal {
    Refusal { origin: origin(), check: check.cloned(), fault: Fault::new(Reason::Module, why) }
}

fn words(actions: Actions<String>) -> Vec<String> {
    let word = |action| match action {
        Action::Enter(check, _) => format!("enter {}", owner(&check)),
        Action::Adopt(check, _) => format!("adopt {}", owner(&check)),
        Action::Load { candidate, live: None } => format!("load {}", owner(&candidate.check)),
        Action::Load { candidate, live: Some(live) } => {
            format!("load {} beside {}", owner(&candidate.check), owner(&live.check))
        }
        Action::GiveUp => "give up".to_owned(),
        Action::Retry(pause) => format!("retry in {}s", pause.as_secs()),
        Action::Run(ready) => format!("run {ready}"),
        Action::Confirm(_) => "confirm".to_owned(),
        Action::End(ready) => format!("end {ready}"),
        Action::Stop => "stop".to_owned(),
        Action::Refuse { refusal, is_running: false } => format!("refuse: {}", refusal.fault.message),
        Action::Refuse { refusal, is_running: true } => {
            format!("refuse: {}, the former goes on", refusal.fault.message)
        }
        Action::Remove => "remove".to_owned(),
    };
    actions.into_iter().map(word).collect()
}

#[test]
fn what_is_wanted_is_loaded_and_then_runs() {
    let mut slot = Fixture::default();
    assert_eq!(slot.want(&check("a")), ["adopt a", "load a"]);
    assert_eq!(slot.loads(&check("a")), ["run a"]);
    assert_eq!(slot.want(&check("b")), ["adopt b", "load b beside a"]);
    assert_eq!(slot.loads(&check("b")), ["run b"]);
}

#[test]
fn of_what_comes_during_a_load_only_the_newest_is_loaded_after_it() {
    let mut slot = Fixture::default();
    slot.want(&check("a"));
    assert_eq!(slot.want(&check("b")), ["adopt b"]);
    assert_eq!(slot.want(&check("c")), ["adopt c"]);
    assert_eq!(slot.loads(&check("a")), ["run a", "adopt c", "load c beside a"]);
    assert_eq!(slot.loads(&check("c")), ["run c"]);
}

#[test]
fn what_is_refused_leaves_what_runs() {
    let mut slot = Fixture::running(&check("a"));
    assert_eq!(slot.refuse(None, "broken"), ["refuse: broken, the former goes on"]);
    assert_eq!(
        slot.refuse(Some(&check("b")), "no module"),
        ["adopt b", "refuse: no module, the former goes on"]
    );
    slot.want(&check("c"));
    assert_eq!(slot.fails(&check("c"), false), ["adopt c", "refuse: no, the former goes on"]);
    assert_eq!(slot.want(&check("d")), ["adopt d", "load d beside a"]);
}

#[test]
fn what_is_refused_during_a_load_is_shown_at_its_end() {
    let mut slot = Fixture::default();
    slot.want(&check("a"));
    assert_eq!(slot.refuse(Some(&check("b")), "broken"), ["adopt b"]);
    assert_eq!(slot.loads(&check("a")), ["run a", "adopt b", "refuse: broken, the former goes on"]);
    slot.want(&check("c"));
    slot.refuse(None, "broken");
    assert_eq!(slot.want(&check("d")), ["adopt d"], "it is mended");
    assert_eq!(slot.loads(&check("c")), ["run c", "adopt d", "load d beside c"]);
    assert_eq!(slot.loads(&check("d")), ["run d"]);
}

#[test]
fn what_fails_for_a_reason_that_may_pass_is_tried_again_after_pauses_that_grow() {
    let mut slot = Fixture::default();
    slot.want(&check("a"));
    let spread = check("a").key.spread();
    for failures in 1..4 {
        let pause = format!("retry in {}s", backoff(failures, spread).as_secs());
        assert_eq!(slot.fails(&check("a"), true), [pause.as_str(), "adopt a", "refuse: no"]);
        assert_eq!(slot.retry(), ["load a"]);
    }
    assert!(slot.retry().is_empty(), "it is being loaded");
    assert_eq!(slot.loads(&check("a")), ["run a"]);
    assert!(slot.retry().is_empty());
}

#[test]
fn what_is_out_of_date_is_not_tried_again() {
    let mut slot = Fixture::default();
    slot.want(&check("a"));
    slot.fails(&check("a"), true);
    assert_eq!(slot.refuse(None, "broken"), ["refuse: broken"]);
    assert!(slot.retry().is_empty());
    slot.want(&check("b"));
    slot.want(&check("c"));
    assert_eq!(slot.fails(&check("b"), true), ["adopt b", "refuse: no", "adopt c", "load c"]);
}

#[test]
fn nothing_comes_of_a_load_whose_check_is_removed() {
    let mut slot = Fixture::running(&check("a"));
    slot.want(&check("b"));
    assert_eq!(slot.remove(), ["stop", "remove", "give up"]);
    assert!(!slot.0.is_blank());
    assert_eq!(slot.loads(&check("b")), ["end b"]);
    assert!(slot.0.is_blank());
    slot.want(&check("c"));
    slot.remove();
    assert!(slot.fails(&check("c"), true).is_empty());
    assert!(slot.0.is_blank());
}

#[test]
fn a_check_that_comes_back_during_a_load_that_gives_up_is_loaded_after_it() {
    let mut slot = Fixture::default();
    slot.want(&check("a"));
    slot.remove();
    assert_eq!(slot.refuse(None, "broken"), ["refuse: broken"], "nothing else is expected of it");
    assert_eq!(slot.want(&check("b")), ["adopt b"]);
    assert!(slot.refuse(None, "broken").is_empty());
    assert_eq!(slot.loads(&check("a")), ["end a", "adopt b", "load b"]);
    assert_eq!(slot.loads(&check("b")), ["run b", "refuse: broken, the former goes on"]);
}

#[test]
fn a_check_that_was_removed_leaves_nothing() {
    let mut slot = Fixture::running(&suspended("a"));
    assert!(!slot.0.is_blank());
    assert_eq!(slot.remove(), ["stop", "remove"]);
    assert!(slot.0.is_blank());
}

#[test]
fn a_check_that_is_to_rest_stops_at_once_and_goes_on_when_its_module_was_tried() {
    let mut slot = Fixture::running(&check("a"));
    assert_eq!(slot.want(&suspended("b")), ["adopt b", "stop", "load b"]);
    assert_eq!(slot.loads(&suspended("b")), ["run b"]);
    assert_eq!(slot.want(&check("c")), ["enter c", "load c beside b"]);
    assert_eq!(slot.loads(&check("c")), ["run c"]);
}

#[test]
fn a_version_that_runs_already_is_confirmed() {
    let mut slot = Fixture::running(&check("a"));
    slot.want(&check("a"));
    assert_eq!(words(slot.0.loaded(Loaded::Same(None))), ["confirm"]);
}
