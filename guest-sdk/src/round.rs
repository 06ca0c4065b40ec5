//! A round in the guest: the life of a [`Check`] value, from its settings to a cleanup that succeeded.

use std::cell::RefCell;

use crate::{Check, Outcome, settings};

/// Holds the check between the calls of one round.
#[derive(Debug)]
pub struct Round<C> {
    check: RefCell<Option<C>>,
}

impl<C: Check> Round<C> {
    /// The state without a round.
    pub const fn new() -> Self {
        Self { check: RefCell::new(None) }
    }

    /// Starts a round from settings in JSON.
    pub fn init(&self, settings: &str) -> Result<(), String> {
        self.check.take();
        let check = settings::parse(settings)?;
        self.check.borrow_mut().insert(check).init()
    }

    /// Judges once, by the check of the round.
    pub fn poll(&self) -> Result<Outcome, String> {
        match self.check.borrow_mut().as_mut() {
            Some(check) => check.poll(),
            None => Err("poll was called, but no round is under way: call init first".into()),
        }
    }

    /// Ends the round, or sweeps if its check was lost.
    pub fn cleanup(&self) -> Result<(), String> {
        match self.check.borrow_mut().as_mut() {
            Some(check) => check.cleanup()?,
            None => return C::sweep(),
        }
        self.check.take();
        Ok(())
    }
}

impl<C: Check> Default for Round<C> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Stubborn {
        attempts: u32,
    }

    impl Check for Stubborn {
        fn init(&mut self) -> Result<(), String> {
            if self.attempts == 1 { Err("one attempt is not enough".into()) } else { Ok(()) }
        }

        fn poll(&mut self) -> Result<Outcome, String> {
            Ok(Outcome::pass(format!("{} left", self.attempts)))
        }

        fn cleanup(&mut self) -> Result<(), String> {
            self.attempts -= 1;
            if self.attempts == 0 { Ok(()) } else { Err("not yet".into()) }
        }

        fn sweep() -> Result<(), String> {
            Err("swept".into())
        }
    }

    #[test]
    fn poll_before_init_is_an_error() {
        let error = Round::<Stubborn>::new().poll().expect_err("no round");
        assert!(error.contains("call init first"), "{error}");
    }

    #[test]
    fn the_value_lives_until_cleanup_succeeds() {
        let round = Round::<Stubborn>::new();
        round.init(r#"{"attempts": 2}"#).expect("valid settings");
        assert_eq!(round.cleanup(), Err("not yet".into()));
        assert_eq!(round.poll().expect("still there").message, "1 left");
        assert_eq!(round.cleanup(), Ok(()));
        assert!(round.poll().is_err());
    }

    #[test]
    fn a_failed_init_is_cleaned_up_with_its_settings() {
        let round = Round::<Stubborn>::new();
        assert!(round.init(r#"{"attempts": 1}"#).is_err());
        assert_eq!(round.cleanup(), Ok(()));
    }

    #[test]
    fn cleanup_without_a_value_sweeps() {
        let round = Round::<Stubborn>::new();
        assert_eq!(round.cleanup(), Err("swept".into()));
        assert!(round.init(r#"{"attempts": "many"}"#).is_err());
        assert_eq!(round.cleanup(), Err("swept".into()));
    }
}
