//! The end of a host call: one word for the counters, and a denial for the operators as well.

use crate::{capability::HostState, usage::CallResult};

/// How a host call ended.
#[derive(Clone, Copy)]
pub(super) enum CallEnd<'a> {
    Ok,
    Error,
    Timeout,
    /// No grant covers the call; the text says why.
    Denied(&'a str),
}

/// Turns the errors of an interface into the end of a call: each has `Denied` with a reason, and a case for
/// timeouts.
macro_rules! end_calls {
    ($error:ident, $timeout:pat) => {
        impl<'a> From<&'a $error> for $crate::capability::call_end::CallEnd<'a> {
            fn from(error: &'a $error) -> Self {
                match error {
                    $error::Denied(why) => Self::Denied(why),
                    $timeout => Self::Timeout,
                    _ => Self::Error,
                }
            }
        }
    };
}
pub(super) use end_calls;

impl HostState {
    /// Counts the end of the latest call that is still open, and tells operators of a denial.
    pub(super) fn finish<'a>(&mut self, ended: impl Into<CallEnd<'a>>) {
        let ended = ended.into();
        self.calls.finish(ended.result());
        if let CallEnd::Denied(why) = ended {
            self.usage.deny(why);
        }
    }
}

impl CallEnd<'_> {
    fn result(self) -> CallResult {
        match self {
            Self::Ok => CallResult::Ok,
            Self::Error => CallResult::Error,
            Self::Timeout => CallResult::Timeout,
            Self::Denied(_) => CallResult::Denied,
        }
    }
}

impl<'a, T, E> From<&'a Result<T, E>> for CallEnd<'a>
where
    &'a E: Into<CallEnd<'a>>,
{
    fn from(result: &'a Result<T, E>) -> Self {
        result.as_ref().map_or_else(Into::into, |_| Self::Ok)
    }
}
