//! placeholder for now
fn main() {}
