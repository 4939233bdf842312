//! What every connector's configuration says about itself: its problems, found without opening anything.

/// One thing that is wrong in a connector's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key it is about, as written in the file.
    pub field: &'static str,
    /// What is wrong.
    pub message: String,
    /// The way out.
    pub help: String,
}
