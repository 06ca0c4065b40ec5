//! The Kubernetes API. Needs the grant `kubernetes`, and whatever the service account may do.
//!
//! ```no_run
//! use aviary_guest::json::Value;
//! use aviary_guest::kubernetes::{self, Selection};
//!
//! # fn main() -> Result<(), kubernetes::Error> {
//! let (pods, _truncated) = Selection::of("v1", "Pod").namespace("prod").labels("app=web").list::<Value>()?;
//! # Ok(())
//! # }
//! ```

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use crate::bindings::aviary::check::kubernetes::{
    Kind, LogRequest, Object, PatchType, Propagation, Selection,
};

use crate::bindings::aviary::check::kubernetes as raw;
use crate::duration::milliseconds;

/// Creates an object, labelled with the check, and returns it. It is deleted when the round ends.
pub fn create<T: Serialize + DeserializeOwned>(namespace: Option<&str>, body: &T) -> Result<T, Error> {
    read(&raw::create(namespace, &write(body)?)?)
}

/// Applies an object on the server, labelled with the check, and returns it.
pub fn apply<T: Serialize + DeserializeOwned>(namespace: Option<&str>, body: &T) -> Result<T, Error> {
    read(&raw::apply(namespace, &write(body)?)?)
}

impl Object {
    /// An object of this API version and kind, for example `apps/v1` and `Deployment`, without a namespace.
    pub fn new(api_version: impl Into<String>, kind: impl Into<String>, name: impl Into<String>) -> Self {
        let kind = Kind { api_version: api_version.into(), kind: kind.into() };
        Self { kind, namespace: None, name: name.into() }
    }

    /// Sets the namespace of the object.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Reads the object.
    pub fn get<T: DeserializeOwned>(&self) -> Result<T, Error> {
        read(&raw::get(self)?)
    }

    /// Changes a part of the object, and returns the whole of it.
    pub fn patch<T: DeserializeOwned>(
        &self,
        patch_type: PatchType,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        read(&raw::patch(self, patch_type, &write(body)?)?)
    }

    /// Deletes the object. One that is gone already is no error.
    pub fn delete(&self, propagation: Propagation) -> Result<(), Error> {
        Ok(raw::delete(self, propagation)?)
    }

    /// Waits until a JSONPath of the object has this value, or any value if none is given, and returns the
    /// object.
    pub fn wait<T: DeserializeOwned>(
        &self,
        json_path: &str,
        value: Option<&str>,
        timeout: Option<Duration>,
    ) -> Result<T, Error> {
        read(&raw::wait(self, json_path, value, timeout.map(milliseconds))?)
    }
}

impl Selection {
    /// Selects all objects of a kind, for example of `v1` and `Pod`.
    pub fn of(api_version: impl Into<String>, kind: impl Into<String>) -> Self {
        Self {
            kind: Kind { api_version: api_version.into(), kind: kind.into() },
            namespace: None,
            label_selector: None,
            field_selector: None,
            fields: Vec::new(),
            limit: None,
        }
    }

    /// Selects only objects in this namespace.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Selects only objects with these labels, for example `app=web,tier!=cache`.
    #[must_use]
    pub fn labels(mut self, selector: impl Into<String>) -> Self {
        self.label_selector = Some(selector.into());
        self
    }

    /// Selects only objects with these fields, for example `status.phase=Running`.
    #[must_use]
    pub fn fields(mut self, selector: impl Into<String>) -> Self {
        self.field_selector = Some(selector.into());
        self
    }

    /// Keeps only this JSONPath of each object, and others that are asked for.
    #[must_use]
    pub fn keep(mut self, json_path: impl Into<String>) -> Self {
        self.fields.push(json_path.into());
        self
    }

    /// Selects at most this many objects.
    #[must_use]
    pub fn limit(mut self, most: u32) -> Self {
        self.limit = Some(most);
        self
    }

    /// Reads the selected objects. The flag says that more would have matched.
    pub fn list<T: DeserializeOwned>(&self) -> Result<(Vec<T>, bool), Error> {
        let page = raw::list(self)?;
        let items = page.items.iter().map(|item| read(item)).collect::<Result<_, _>>()?;
        Ok((items, page.truncated))
    }
}

impl LogRequest {
    /// Selects the last 100 lines of a pod's only container.
    pub fn of(namespace: impl Into<String>, pod: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            pod: pod.into(),
            container: None,
            tail_lines: 100,
            previous: false,
        }
    }

    /// Reads the selected lines.
    pub fn read(&self) -> Result<String, Error> {
        Ok(raw::logs(self)?)
    }
}

fn read<T: DeserializeOwned>(body: &str) -> Result<T, Error> {
    serde_json::from_str(body).map_err(|error| Error::Malformed(error.to_string()))
}

fn write(body: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(body).map_err(|error| Error::Malformed(error.to_string()))
}

/// Why a call of the Kubernetes API did not work.
#[derive(Debug, Clone, PartialEq)]
pub enum Error {
    /// The manifest does not grant the call; the text says what would allow it.
    Denied(String),
    /// The API server's own rules forbid it; the text names the missing rule.
    Forbidden(String),
    /// There is no such object or no such kind.
    NotFound(String),
    /// The object exists already, or has changed meanwhile.
    Conflict(String),
    /// The API server does not accept the object.
    Invalid(String),
    /// The API server cannot answer.
    Unavailable(String),
    /// No answer came in time.
    Timeout,
    /// The object does not fit the Rust type.
    Malformed(String),
}

impl From<raw::Error> for Error {
    fn from(error: raw::Error) -> Self {
        match error {
            raw::Error::Denied(reason) => Self::Denied(reason),
            raw::Error::Forbidden(reason) => Self::Forbidden(reason),
            raw::Error::NotFound(reason) => Self::NotFound(reason),
            raw::Error::Conflict(reason) => Self::Conflict(reason),
            raw::Error::Invalid(reason) => Self::Invalid(reason),
            raw::Error::Unavailable(reason) => Self::Unavailable(reason),
            raw::Error::Timeout => Self::Timeout,
        }
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(reason) => write!(f, "denied: {reason}"),
            Self::Forbidden(reason) => write!(f, "forbidden by the API server: {reason}"),
            Self::NotFound(reason) => write!(f, "not found: {reason}"),
            Self::Conflict(reason) => write!(f, "conflict: {reason}"),
            Self::Invalid(reason) => write!(f, "refused by the API server: {reason}"),
            Self::Unavailable(reason) => write!(f, "the API server cannot answer: {reason}"),
            Self::Timeout => f.write_str("timed out"),
            Self::Malformed(reason) => write!(f, "the object has another shape than expected: {reason}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for String {
    fn from(error: Error) -> Self {
        error.to_string()
    }
}
