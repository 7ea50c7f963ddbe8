//! What is shown to somebody who watches while something takes long.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::ProgressBar;

/// Turns while something silent goes on; hidden unless standard error is a terminal.
pub(crate) fn spinner(message: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let spinner = ProgressBar::new_spinner().with_message(message.to_owned());
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}
