//! placeholder

pub mod explain;
pub mod render;
