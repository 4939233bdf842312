//! Log lines: set up once, to stderr.

use tracing_subscriber::EnvFilter;

use crate::cli::LogFormat;

/// The level is none.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is no log level: use error, warn, info, debug or trace, or a list such as info,server::node=debug")]
pub struct BadLevel(String);

/// Starts logging. Called once, at the start of the process.
pub fn start(level: &str, format: LogFormat) -> Result<(), BadLevel> {
    let filter = EnvFilter::try_new(level).map_err(|_| BadLevel(level.to_owned()))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start, as by tests in one process, keeps the first.
    let _ = match format {
        LogFormat::Text => {
            let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
            lines.with_target(false).with_ansi(ansi).try_init()
        }
        LogFormat::Json => lines.json().try_init(),
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_that_is_none_is_refused() {
        assert!(start("loud=very", LogFormat::Text).is_err());
    }
}
