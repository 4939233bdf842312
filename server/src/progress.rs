//! A line on the terminal while long work goes on: how much was read, and what became of it.

use std::io::{IsTerminal, Write};

/// What the progress line shows.
pub(crate) const PROGRESS: &str = "{spinner} {bytes} read, {bytes_per_sec}; {msg}";

/// See the module. Nothing is drawn where standard error is no terminal, nor where what is printed would be drawn over.
pub(crate) struct Progress(Option<indicatif::ProgressBar>);

impl Progress {
    /// Begins the line.
    pub(crate) fn start() -> Self {
        if !std::io::stderr().is_terminal() || std::io::stdout().is_terminal() && !std::io::stdin().is_terminal() {
            return Self(None);
        }
        let bar = indicatif::ProgressBar::new_spinner();
        let style = indicatif::ProgressStyle::with_template(PROGRESS);
        bar.set_style(style.expect("the template is a constant and a test draws it"));
        Self(Some(bar))
    }

    /// Draws nothing.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// So many bytes more were read, and this is how it stands.
    pub(crate) fn add(&self, bytes: u64, message: impl FnOnce() -> String) {
        if let Some(bar) = &self.0 {
            bar.inc(bytes);
            bar.set_message(message());
        }
    }

    /// A message of its own line.
    pub(crate) fn above(&self, message: &str) {
        match &self.0 {
            Some(bar) => bar.suspend(|| eprintln!("{message}")),
            None => eprintln!("{message}"),
        }
    }

    /// Takes the line away.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
            let _ = std::io::stderr().flush();
        }
    }
}
