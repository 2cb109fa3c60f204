//! What happened in a run, as lines of a timeline.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Cheap to clone; all inhabitants write into one.
#[derive(Clone, Debug)]
pub struct Journal {
    start: Instant,
    lines: Arc<Mutex<Vec<Line>>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Since the run began.
    pub at: Duration,
    pub who: Arc<str>,
    pub what: String,
}

impl Journal {
    /// Call on a runtime whose clock is paused.
    pub fn new() -> Self {
        Self { start: Instant::now(), lines: Arc::default() }
    }

    /// Since the run began.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    pub fn note(&self, who: &Arc<str>, what: impl Into<String>) {
        let line = Line { at: self.elapsed(), who: who.clone(), what: what.into() };
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    pub fn len(&self) -> usize {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn lines(&self) -> Vec<Line> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Default for Journal {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.at.as_secs(), self.at.subsec_millis());
        let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
        let clock = format!("{days}d {hours:02}:{minutes:02}:{:02}.{millis:03}", seconds % 60);
        write!(f, "{clock}  {:<14} {}", self.who, self.what)
    }
}
