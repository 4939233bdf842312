//! Where the view goes: lines that stay in place on a terminal, a plain line a second anywhere else.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::frame::DemoFrame;
use super::view;

/// The place of the view.
#[derive(Debug)]
pub enum Screen {
    /// Lines that stay in place.
    Terminal {
        /// All of them.
        multi: MultiProgress,
        /// How far the demo has come.
        bar: ProgressBar,
        /// The view's lines.
        lines: Vec<ProgressBar>,
    },
    /// Standard output is a pipe or a file.
    Plain,
}

/// Steps of the bar.
const BAR_STEPS: u64 = 1_000;

impl Screen {
    /// A terminal if standard output is one.
    pub fn open() -> Self {
        if !std::io::stdout().is_terminal() {
            return Self::Plain;
        }
        let multi = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
        let style = ProgressStyle::with_template("  {bar:60} {msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = multi.add(ProgressBar::new(BAR_STEPS).with_style(style));
        Self::Terminal { multi, bar, lines: Vec::new() }
    }

    /// How often to show a frame.
    pub fn interval(&self) -> Duration {
        match self {
            Self::Terminal { .. } => Duration::from_millis(500),
            Self::Plain => Duration::from_secs(1),
        }
    }

    /// Shows one.
    pub fn show(&mut self, frame: &DemoFrame) {
        match self {
            Self::Plain => println!("{}", view::plain_line(frame)),
            Self::Terminal { multi, bar, lines } => {
                let share = if frame.seconds > 0.0 { (frame.elapsed_s / frame.seconds).clamp(0.0, 1.0) } else { 1.0 };
                bar.set_position((share * BAR_STEPS as f64) as u64);
                bar.set_message(view::headline(frame));
                for (at, text) in view::lines(frame).into_iter().enumerate() {
                    if at == lines.len() {
                        let style =
                            ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
                        lines.push(multi.add(ProgressBar::new(0).with_style(style)));
                    }
                    lines[at].set_message(text);
                }
            }
        }
    }

    /// Leaves the last view where it is; what is printed next comes below it.
    pub fn close(self) {
        if let Self::Terminal { bar, lines, .. } = self {
            bar.abandon();
            for line in lines {
                line.abandon();
            }
        }
    }
}
