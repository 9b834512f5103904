//! Progress on the terminal: bars where there is one, a line per epoch where output goes to a file. `epochs` shows a
//! training's.

mod epochs;

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

pub use self::epochs::EpochRenderer;

/// Where progress goes.
///
/// ```
/// use approx_experiment::progress::Display;
///
/// let display = Display::hidden(); // `Display::new(false)` suits standard error
/// let bar = display.bar("images", 360);
/// bar.inc(90);
/// bar.finish_and_clear();
/// display.line("90 of 360 images");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Display {
    /// Bars and lines, to a terminal.
    Terminal,
    /// Lines alone.
    Lines,
    /// Nowhere.
    Hidden,
}

impl Display {
    /// What suits standard error, where progress is written.
    pub fn new(quiet: bool) -> Self {
        match (quiet, std::io::stderr().is_terminal()) {
            (true, _) => Self::Hidden,
            (false, true) => Self::Terminal,
            (false, false) => Self::Lines,
        }
    }

    /// No progress, as with `--quiet`.
    pub fn hidden() -> Self {
        Self::Hidden
    }

    /// A bar over `length` steps of the work called `label`.
    pub fn bar(self, label: &str, length: usize) -> ProgressBar {
        let target = match self {
            Self::Terminal => ProgressDrawTarget::stderr(),
            Self::Lines | Self::Hidden => ProgressDrawTarget::hidden(),
        };
        let style = ProgressStyle::with_template(
            "{prefix:18} [{bar:30}] {pos:>6}/{len} {msg} ({elapsed}, {eta} left)",
        )
        .expect("the template is valid")
        .progress_chars("=> ");
        let bar = ProgressBar::with_draw_target(Some(length as u64), target);
        bar.set_style(style);
        bar.set_prefix(label.to_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    }

    /// A line of text. Call it while no bar is up.
    pub fn line(self, text: &str) {
        if self != Self::Hidden {
            eprintln!("{text}");
        }
    }
}
