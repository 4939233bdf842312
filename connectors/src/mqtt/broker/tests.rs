//! The broker without sockets.
