//! Lists the pods of a namespace.

use aviary_guest::json::Value;
use aviary_guest::kubernetes::Selection;
use aviary_guest::{Check, Outcome};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AsksKubernetes {
    namespace: String,
}

impl Check for AsksKubernetes {
    fn poll(&mut self) -> Result<Outcome, String> {
        let (pods, _) = Selection::of("v1", "Pod").namespace(&self.namespace).list::<Value>()?;
        Ok(Outcome::pass(format!("{} pods", pods.len())))
    }
}

aviary_guest::export!(AsksKubernetes);
