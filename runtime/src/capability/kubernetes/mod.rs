//! The `kubernetes` capability: the API of the cluster, with the rights of the check's account and no more
//! than its grant.

mod call;
mod failure;
mod fields;
mod read;
mod tamper;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use call::Caller;

use super::{
    bindings::aviary::check::kubernetes::{
        Error, Host, LogRequest, Object, Page, PatchType, Propagation, Selection,
    },
    call_end::{CallEnd, end_calls},
    milliseconds, shorten,
};
use crate::{
    capability::{Crowded, HostState},
    grant::Capability,
};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, error::Elapsed, timeout_at};

impl Host for HostState {
    async fn get(&mut self, object: Object) -> Result<String, Error> {
        let (caller, deadline) = self.begin_call(format!("get {}", describe(&object)), None)?;
        let result = timeout_at(deadline, caller.get(&object)).await;
        self.end_call(result)
    }

    async fn list(&mut self, selection: Selection) -> Result<Page, Error> {
        let target = format!("list {}", shorten(&selection.kind.kind));
        let (caller, deadline) = self.begin_call(target, None)?;
        let result = timeout_at(deadline, caller.list(&selection)).await;
        self.end_call(result)
    }

    async fn create(&mut self, namespace: Option<String>, body: String) -> Result<String, Error> {
        self.book_body(&body)?;
        let (caller, deadline) = self.begin_call("create".to_owned(), None)?;
        let result = timeout_at(deadline, caller.create(namespace, &body)).await;
        self.end_call(result)
    }

    async fn apply(&mut self, namespace: Option<String>, body: String) -> Result<String, Error> {
        self.book_body(&body)?;
        let (caller, deadline) = self.begin_call("apply".to_owned(), None)?;
        let result = timeout_at(deadline, caller.apply(namespace, &body)).await;
        self.end_call(result)
    }

    async fn patch(&mut self, object: Object, kind: PatchType, body: String) -> Result<String, Error> {
        self.book_body(&body)?;
        let (caller, deadline) = self.begin_call(format!("patch {}", describe(&object)), None)?;
        let result = timeout_at(deadline, caller.patch(&object, kind, &body)).await;
        self.end_call(result)
    }

    async fn delete(&mut self, object: Object, propagation: Propagation) -> Result<(), Error> {
        let (caller, deadline) = self.begin_call(format!("delete {}", describe(&object)), None)?;
        let result = timeout_at(deadline, caller.delete(&object, propagation)).await;
        self.end_call(result)
    }

    async fn wait(
        &mut self,
        object: Object,
        json_path: String,
        value: Option<String>,
        timeout_ms: Option<u32>,
    ) -> Result<String, Error> {
        let target = format!("wait for {}", describe(&object));
        let (caller, deadline) = self.begin_call(target, milliseconds(timeout_ms))?;
        let result = timeout_at(deadline, caller.wait(&object, &json_path, value.as_deref())).await;
        self.end_call(result)
    }

    async fn logs(&mut self, request: LogRequest) -> Result<String, Error> {
        let target = format!("logs of {}", shorten(&request.pod));
        let (caller, deadline) = self.begin_call(target, None)?;
        let result = timeout_at(deadline, caller.logs(&request)).await;
        self.end_call(result)
    }
}

impl HostState {
    /// Begins a call. Returns who makes it, and when it has to end.
    fn begin_call(
        &mut self,
        target: String,
        timeout: Option<Duration>,
    ) -> Result<(Arc<Caller>, Instant), Error> {
        self.in_flight.clear();
        let deadline = self.calls.begin(Capability::Kubernetes, target, timeout);
        let deadline = deadline.map_err(|error| Error::Denied(error.to_string()))?;
        let Some(caller) = &self.kubernetes else {
            self.finish(CallEnd::Error);
            let why = "the daemon knows no cluster: run it in one, or give it a --kubeconfig";
            return Err(Error::Unavailable(why.to_owned()));
        };
        Ok((Arc::clone(caller), deadline))
    }

    /// Counts the bytes that a call is about to send.
    fn book_body(&mut self, body: &str) -> Result<(), Error> {
        self.calls.send(Capability::Kubernetes, body.len()).map_err(|spent| Error::Denied(spent.to_string()))
    }

    /// Counts how a call ended and the bytes that it brought, and returns what the guest gets.
    fn end_call<T: Answer>(&mut self, ended: Result<Result<T, Error>, Elapsed>) -> Result<T, Error> {
        let result = ended.unwrap_or(Err(Error::Timeout));
        self.finish(&result);
        let answer = result?;
        self.in_flight.hold(answer.length())?;
        self.calls.receive(answer.length()).map_err(|spent| Error::Denied(spent.to_string()))?;
        Ok(answer)
    }
}

/// An answer that a guest gets.
trait Answer {
    /// The size of the answer in bytes.
    fn length(&self) -> usize;
}

impl Answer for String {
    fn length(&self) -> usize {
        self.len()
    }
}

impl Answer for Page {
    fn length(&self) -> usize {
        self.items.iter().map(String::len).sum()
    }
}

impl Answer for () {
    fn length(&self) -> usize {
        0
    }
}

end_calls!(Error, Error::Timeout);

impl From<Crowded> for Error {
    fn from(crowded: Crowded) -> Self {
        Self::Denied(crowded.to_string())
    }
}

fn describe(object: &Object) -> String {
    let name = shorten(&object.name);
    let kind = shorten(&object.kind.kind);
    match &object.namespace {
        Some(namespace) => format!("{kind} {}/{name}", shorten(namespace)),
        None => format!("{kind} {name}"),
    }
}
