//! A sign of life for work that takes more than two seconds.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use indicatif::ProgressBar;

const DELAY: Duration = Duration::from_secs(2);
const TICK: Duration = Duration::from_millis(100);

/// Works, with a spinner and the time beside `message` once it takes long; on a terminal only.
pub fn during<T>(message: &'static str, work: impl FnOnce() -> T) -> T {
    let (done, finished) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            if finished.recv_timeout(DELAY) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            let bar = ProgressBar::new_spinner().with_message(message);
            bar.set_style(
                indicatif::ProgressStyle::with_template("{spinner} {msg}, {elapsed}")
                    .expect("the template is valid"),
            );
            bar.enable_steady_tick(TICK);
            // Ends when the sender is dropped, by a panic too.
            let _ = finished.recv();
            bar.finish_and_clear();
        });
        let result = work();
        drop(done);
        result
    })
}
