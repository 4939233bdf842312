//! The commands: what is asked on the command line, and how it is answered there. One file per command.

pub mod drive;
pub mod fleet;
pub mod generate;
pub mod http;
pub mod mqtt;
pub mod profile;
pub mod quic;
pub mod receive;
pub mod subscribe;
pub mod verify;

use std::error::Error;
use std::process::ExitCode;

/// How a command ends.
pub type Ended = Result<ExitCode, Box<dyn Error>>;
