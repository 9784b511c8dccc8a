//! One progress bar for the whole run.

use crate::ensemble::Control;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the bar looks at the work done.
const PERIOD: Duration = Duration::from_millis(100);

/// A bar over path-steps; hidden where standard error is not a terminal.
pub(super) struct Progress {
    bar: ProgressBar,
    finished: Arc<AtomicBool>,
    ticker: Option<JoinHandle<()>>,
}

impl Progress {
    /// A bar over `total` path-steps of which `control` counts those done.
    pub fn new(total: u64, control: Arc<Control>, quiet: bool) -> Progress {
        let target = if quiet {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let style = ProgressStyle::with_template(
            "{msg:36!} {wide_bar:.cyan} {percent:>3} % {elapsed_precise} ETA {eta_precise}",
        )
        .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(Some(total), target).with_style(style);
        let finished = Arc::new(AtomicBool::new(false));
        let ticker = (!bar.is_hidden()).then(|| {
            let (bar, finished) = (bar.clone(), finished.clone());
            std::thread::spawn(move || {
                while !finished.load(Ordering::Relaxed) {
                    bar.set_position(control.done.load(Ordering::Relaxed));
                    std::thread::park_timeout(PERIOD);
                }
            })
        });
        Progress {
            bar,
            finished,
            ticker,
        }
    }

    /// Says what runs now.
    pub fn show(&self, text: String) {
        self.bar.set_message(text);
    }

    /// More path-steps are to come.
    pub fn more(&self, work: u64) {
        self.bar.inc_length(work);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finished.store(true, Ordering::Relaxed);
        if let Some(ticker) = self.ticker.take() {
            ticker.thread().unpark();
            // A ticker that failed has nothing left to show.
            let _ = ticker.join();
        }
        self.bar.finish_and_clear();
    }
}
