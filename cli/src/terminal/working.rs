//! Shows that a verb is at work, and how far it is: by a line that changes on a terminal, and by a line now and then
//! elsewhere.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::task::JoinHandle;

use super::output::Terminal;
use super::words::{duration, one_line};

/// How often the line on a terminal is drawn.
const DRAW_EVERY: Duration = Duration::from_millis(200);
/// How often a line is written where there is no terminal.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// How much of all that there is to do is done. Its copies count together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Done(Arc<AtomicU64>);

impl Done {
    /// Notes that so much more is done.
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Relaxed);
    }

    /// Returns how much is done.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Work that is shown until this is dropped.
#[derive(Debug)]
pub(crate) struct Working<'a> {
    terminal: &'a Terminal,
    showing: JoinHandle<()>,
}

impl Terminal {
    /// Shows from now on how far the work is, in the words of `how_far`.
    pub(crate) fn working(&self, how_far: impl Fn() -> String + Send + 'static) -> Working<'_> {
        let began = Instant::now();
        let said = move || format!("{}, {}", how_far(), duration(began.elapsed().as_secs()));
        let (every, terminal) = (if self.is_watched { DRAW_EVERY } else { SAY_EVERY }, self.clone());
        if self.is_watched {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::term(Term::stderr(), 10));
            bar.set_style(ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_bar()));
            *self.bar.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar);
        }
        let showing = tokio::spawn(async move {
            loop {
                tokio::time::sleep(every).await;
                if !terminal.is_watched {
                    terminal.progress(&format!("{}.", said()));
                } else if let Some(bar) = &*terminal.bar.lock().unwrap_or_else(PoisonError::into_inner) {
                    bar.set_message(one_line(&said()).into_owned());
                    bar.tick();
                }
            }
        });
        Working {
            terminal: self,
            showing,
        }
    }
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.showing.abort();
        let bar = self.terminal.bar.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
    }
}
