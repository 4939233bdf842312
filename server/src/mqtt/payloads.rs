//! Where the payloads of `anabranch mqtt pub` come from: the command line, a file, or lines of standard input.

use std::io;
use std::path::Path;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, BufReader};

use super::error::MqttError;
use super::publish::PubArgs;

/// Payloads, one after the other.
pub(super) enum Payloads {
    /// One, until it is taken.
    One(Option<Vec<u8>>),
    /// One per line that is not blank.
    Lines {
        /// Where they come from.
        from: Box<dyn AsyncBufRead + Unpin + Send>,
        /// What of the next line has come.
        line: Vec<u8>,
    },
}

impl Payloads {
    /// As the arguments say.
    pub async fn open(args: &PubArgs) -> Result<Self, MqttError> {
        if args.lines {
            return Ok(Self::Lines { from: Box::new(BufReader::new(tokio::io::stdin())), line: Vec::new() });
        }
        let payload = match &args.file {
            Some(path) if path == Path::new("-") => {
                let mut payload = Vec::new();
                tokio::io::stdin().read_to_end(&mut payload).await.map_err(MqttError::Input)?;
                payload
            }
            Some(path) => std::fs::read(path).map_err(|error| MqttError::File { path: path.clone(), error })?,
            None => args.payload.clone().unwrap_or_default().into_bytes(),
        };
        Ok(Self::One(Some(payload)))
    }

    /// The next one; none: that was all. Cancel safe.
    pub async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        match self {
            Self::One(payload) => Ok(payload.take()),
            Self::Lines { from, line } => loop {
                from.read_until(b'\n', line).await?;
                if line.is_empty() {
                    return Ok(None);
                }
                let mut payload = std::mem::take(line);
                if payload.ends_with(b"\n") {
                    payload.pop();
                    if payload.ends_with(b"\r") {
                        payload.pop();
                    }
                }
                if !payload.is_empty() {
                    return Ok(Some(payload));
                }
            },
        }
    }
}
