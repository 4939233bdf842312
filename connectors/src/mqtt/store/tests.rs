//! Stored sessions come back as they were.
