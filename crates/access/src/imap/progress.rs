//! INPROGRESS (RFC 9585): who waits for a long command hears that it goes on.

use std::time::Duration;

use super::{refusal::Refusal, session::Session};

const INTERVAL: Duration = Duration::from_secs(10);

impl Session {
    pub(super) fn restart_progress(&mut self) {
        let now = self.service.clock.now();
        self.progress_due = now.checked_add(INTERVAL).unwrap_or(now);
    }

    /// So many messages are done, of so many. To be called often: the client is told every ten seconds. A client that is
    /// gone ends the command.
    pub(super) async fn show_progress(&mut self, done: usize, of: Option<usize>) -> Result<(), Refusal> {
        if self.service.clock.now() < self.progress_due {
            return Ok(());
        }
        self.restart_progress();
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let octets = self.machine.progress(number(done), of.map(number));
        let written = Box::pin(self.connection.write(&octets)).await;
        written.map_err(|_| Refusal::bad("the connection broke"))
    }
}
