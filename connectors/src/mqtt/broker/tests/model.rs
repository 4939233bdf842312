//! Random clients against a naive model.
