//! Making the ports of the steps from the arguments.

pub(crate) mod sink;
pub(crate) mod source;
pub(crate) mod stack;
pub(crate) mod store;
