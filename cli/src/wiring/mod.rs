//! From arguments to the ports of the steps.

pub(crate) mod sink;
pub(crate) mod source;
pub(crate) mod stack;
pub(crate) mod store;
