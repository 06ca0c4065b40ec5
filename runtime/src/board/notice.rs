//! What is to be said about an object that checks are from.

use crate::value::Origin;
use std::sync::Arc;

/// Something about an object that checks are from, and about none of its checks on the board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// It does not get what it asks for, or asks for nothing; the text says why.
    Refused(Arc<Origin>, String),
    /// It is gone.
    Gone(Arc<Origin>),
}
