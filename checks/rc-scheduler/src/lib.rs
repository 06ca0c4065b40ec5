//! Can the cluster still schedule? Each round makes a ReplicationController of pause pods, and each
//! poll demands that all of them are Running and Ready.

use std::hash::{BuildHasher, Hasher, RandomState};

use aviary_guest::kubernetes::{self, Object, Propagation, Selection};
use aviary_guest::{Check, Outcome, Status};

use crate::controller::{Controller, INSTANCE};
use crate::pod::Pod;
pub use judge::judge;
pub use settings::Settings;

pub mod controller;
pub mod judge;
pub mod pod;
pub mod settings;

impl Check for Settings {
    fn init(&mut self) -> Result<(), String> {
        self.validate()?;
        // Set before the call, so that cleanup knows what to delete even if the answer is lost.
        self.round.name = unique_name();
        kubernetes::create(Some(&self.namespace), &controller::body(self, &self.round.name))?;
        Ok(())
    }

    fn poll(&mut self) -> Result<Outcome, String> {
        let (pods, truncated) = self.pods().list::<Pod>()?;
        if truncated {
            return Err("there are more pods than the daemon lists at once: lower settings.count".into());
        }
        let obstacle = if judge::are_enough(self.count, &pods) { None } else { self.obstacle() };
        let outcome = judge(self.count, &pods, self.round.was_complete, obstacle.as_deref());
        self.round.was_complete |= outcome.status == Status::Pass;
        Ok(outcome)
    }

    // No sweep, as a guest that lost its value knows neither its namespace nor which controllers are its own.
    // The daemon knows that by its labels, and deletes them.
    fn cleanup(&mut self) -> Result<(), String> {
        if self.round.name.is_empty() {
            return Ok(());
        }
        Ok(self.controller().delete(Propagation::Background)?)
    }
}

impl Settings {
    fn controller(&self) -> Object {
        Object::new("v1", "ReplicationController", &self.round.name).namespace(&self.namespace)
    }

    fn pods(&self) -> Selection {
        Selection::of("v1", "Pod")
            .namespace(&self.namespace)
            .labels(format!("{INSTANCE}={}", self.round.name))
            .keep("$.metadata.name")
            .keep("$.metadata.deletionTimestamp")
            .keep("$.status")
    }

    /// Why the controller does not make its pods, if it says so.
    fn obstacle(&self) -> Option<String> {
        match self.controller().get::<Controller>() {
            Ok(controller) => controller.obstacle(),
            Err(kubernetes::Error::NotFound(_)) => Some("somebody has deleted it".into()),
            Err(error) => Some(error.to_string()),
        }
    }
}

/// A name that no other round has, from the random keys of the standard library's hasher.
fn unique_name() -> String {
    format!("rc-scheduler-{:016x}", RandomState::new().build_hasher().finish())
}

aviary_guest::export!(Settings);
