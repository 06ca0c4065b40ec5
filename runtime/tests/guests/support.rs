//! A check in the sandbox, outside of any schedule.

use aviary::{
    board::{Board, Entry},
    capability::dial::{Network, NetworkOptions},
    grant::Ceiling,
    manifest::{self, Check},
    outcome::{Fault, Outcome, Reason, Verdict},
    sandbox::{Guest, Instance, Round, Sandbox, Version},
    scheduler::Ready,
    settings::CompilerConfig,
    signature::Keyring,
    value::{Blob, Origin},
};
use std::{fs, sync::Arc};
use tokio::time::Instant;

/// A module with a manifest, loaded and ready to become live.
pub(crate) struct Subject {
    pub(crate) check: Arc<Check>,
    pub(crate) entry: Arc<Entry>,
    sandbox: Arc<Sandbox>,
    guest: Arc<Guest>,
}

/// The settings for the real compiler, without a cache.
pub(crate) fn compiler() -> CompilerConfig {
    CompilerConfig { program: env!("CARGO_BIN_EXE_aviary").into(), ..CompilerConfig::default() }
}

/// A sandbox for a few guests.
pub(crate) fn sandbox() -> Sandbox {
    sandbox_in(compiler())
}

/// A sandbox for a few guests that are compiled in this compiler.
pub(crate) fn sandbox_in(compiler: CompilerConfig) -> Sandbox {
    let network = Network::new(&NetworkOptions::default()).expect("a network");
    Sandbox::new(8, compiler, Arc::new(network), None).expect("a sandbox")
}

/// The check of a manifest with these lines under `spec`.
pub(crate) fn check(spec: &str) -> Arc<Check> {
    check_in("default", spec, &Ceiling::open())
}

/// The check of such a manifest in a namespace, under a ceiling.
pub(crate) fn check_in(namespace: &str, spec: &str, ceiling: &Arc<Ceiling>) -> Arc<Check> {
    let text = format!(
        "apiVersion: aviary.dev/v1alpha1\nkind: Check\nmetadata: {{ name: subject }}\nspec:\n  module: subject.wasm\n{spec}"
    );
    let mut checks = manifest::parse(&text, namespace, ceiling).expect("a manifest");
    Arc::new(checks.remove(0))
}

impl Subject {
    /// Loads a guest with these lines under `spec`.
    pub(crate) async fn load(path: &str, spec: &str) -> Result<Self, Fault> {
        Self::load_in(sandbox(), check(spec), path).await
    }

    /// Loads a guest into a sandbox.
    pub(crate) async fn load_in(
        sandbox: impl Into<Arc<Sandbox>>,
        check: Arc<Check>,
        path: &str,
    ) -> Result<Self, Fault> {
        let sandbox = sandbox.into();
        let module = fs::read(path).expect("a guest");
        let module = Keyring::default().admit("subject.wasm", Blob::of(module), None).await?;
        let guest = sandbox.load("subject.wasm", module).await?;
        guest.require_for(&check.program)?;
        let entry = Board::default().enter(&check, &Arc::new(Origin::File("subject.yaml".into())));
        Ok(Self { check, entry, sandbox, guest })
    }

    /// The check as a scheduler takes it.
    pub(crate) fn ready(&self) -> Ready {
        let guest = self.sandbox.house(Arc::clone(&self.guest), &self.check.program).expect("room");
        let (program, usage) = (Arc::clone(&self.check.program), Arc::clone(&self.entry.usage));
        let round = Round::new(Version { sandbox: Arc::clone(&self.sandbox), guest, program, usage });
        Ready { entry: Arc::clone(&self.entry), check: Arc::clone(&self.check), round, signer: None }
    }

    /// Makes the guest live.
    pub(crate) async fn live(&self) -> Instance {
        self.try_live().await.expect("a live guest")
    }

    /// Makes the guest live, or tells why that did not work.
    pub(crate) async fn try_live(&self) -> Result<Instance, Fault> {
        let (program, usage) = (Arc::clone(&self.check.program), Arc::clone(&self.entry.usage));
        Instance::new(&self.sandbox, &self.guest, program, usage, true).await
    }

    /// Polls a live guest.
    pub(crate) async fn poll(&self, instance: &mut Instance) -> Verdict {
        instance.poll(Instant::now() + self.check.program.timeout).await.into()
    }

    /// Init and one poll.
    pub(crate) async fn run(&self) -> Verdict {
        let mut instance = self.live().await;
        match instance.init().await.done() {
            Ok(()) => self.poll(&mut instance).await,
            Err(verdict) => verdict,
        }
    }
}

/// Loads a guest and runs it once.
pub(crate) async fn run(path: &str, spec: &str) -> Verdict {
    Subject::load(path, spec).await?.run().await
}

/// The outcome of a run that had one.
pub(crate) async fn outcome(path: &str, spec: &str) -> Outcome {
    run(path, spec).await.expect("an outcome")
}

/// The reason and message of a run that had no outcome.
pub(crate) async fn fault(path: &str, spec: &str) -> (Reason, String) {
    let fault = run(path, spec).await.expect_err("a fault");
    (fault.reason, fault.message)
}
