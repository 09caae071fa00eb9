//! The function `copy-delta`: wires the step to the environment.
fn main() {}
