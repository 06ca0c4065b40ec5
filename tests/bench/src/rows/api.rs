//! Rows about the cost of a guest's call of the Kubernetes API, beside the same call without a guest.

use super::{Bench, runtime};
use crate::{
    cluster::Cluster,
    figure::{Figure, median, micros},
};
use anyhow::{Context, Result, anyhow, ensure};
use aviary::{
    capability::dial::{Network, NetworkOptions},
    cluster::Cluster as Way,
    grant::Ceiling,
    ledger::Ledger,
    manifest,
    outcome::Status,
    sandbox::{Instance, Sandbox},
    signature::Keyring,
    usage::Usage,
    value::Blob,
};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, api::DynamicObject, core::ApiResource};
use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

const CALLS: usize = 500;
const TARGET: f64 = 0.15;
const NAME: &str = "subject";

/// Measures `kubernetes-get`.
pub(super) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    runtime()?.block_on(async {
        let cluster = Cluster::enter("get").await?;
        cluster.apply(NAME, b"", "{ module: check.wasm }").await?;
        let mut guest = guest(bench, &cluster).await?;
        let resource = ApiResource::erase::<ConfigMap>(&());
        let api: Api<DynamicObject> =
            Api::namespaced_with(cluster.client.clone(), &cluster.namespace, &resource);
        let (mut plain, mut guests) = (Vec::with_capacity(CALLS), Vec::with_capacity(CALLS));
        // The two take turns, as the server is not always equally fast.
        for _ in 0..CALLS {
            let start = Instant::now();
            serde_json::to_string(&api.get(NAME).await?)?;
            plain.push(start.elapsed());
            let start = Instant::now();
            poll(&mut guest).await?;
            guests.push(start.elapsed());
        }
        drop(guest);
        cluster.leave().await?;
        let (plain, guests) = (median(plain), median(guests));
        let overhead = guests.as_secs_f64() / plain.as_secs_f64() - 1.0;
        let percent = overhead * 100.0;
        let measured = format!("{percent:.1} % ({} against {})", micros(guests), micros(plain));
        Ok(vec![Figure::new("kubernetes-get", measured, "≤ 15 %", overhead <= TARGET)])
    })
}

async fn guest(bench: &Bench, cluster: &Cluster) -> Result<Instance> {
    let manifest = format!(
        "apiVersion: aviary.dev/v1alpha1\nkind: Check\nmetadata: {{ name: {NAME} }}\nspec:\n  module: check.wasm\n  \
         grants: {{ kubernetes: [{{ apiGroups: [''], resources: [configmaps], verbs: [get] }}] }}\n  \
         settings: {{ poll: [{{ get: {{ kind: ConfigMap, name: {NAME} }} }}] }}\n"
    );
    let check = manifest::parse(&manifest, &cluster.namespace, &Ceiling::open())?.remove(0);
    let way = Way::new(cluster.config.clone())?;
    let ledger = Ledger::fleeting(Arc::new(way), Arc::default());
    let network = Arc::new(Network::new(&NetworkOptions::default())?);
    let sandbox = Sandbox::new(4, bench.compiler(), network, Some(ledger)).map_err(anyhow::Error::from)?;
    let module = fs::read(bench.guests.join("calls_kubernetes.wasm")).context("cannot read the guest")?;
    let module = Keyring::default().admit("check.wasm", Blob::of(module), None).await?;
    let guest = sandbox.load("check.wasm", module).await?;
    let usage = Arc::new(Usage::new(check.key, &check.program.limits));
    let mut instance = Instance::new(&sandbox, &guest, check.program, usage, false).await?;
    instance.init().await.done().map_err(|verdict| anyhow!("{verdict:?}"))?;
    Ok(instance)
}

async fn poll(guest: &mut Instance) -> Result<()> {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    let outcome = guest.poll(deadline).await.done().map_err(|verdict| anyhow!("{verdict:?}"))?;
    ensure!(outcome.status == Status::Pass, "the guest fails: {}", outcome.message);
    Ok(())
}
