//! Before the greeting: clients that cannot wait for it are not what they say they are.

use std::io;

use proto::{machine::Machine, smtp::server::Server};
use world::{BoxStream, Shutdown};

use super::Session;

impl Session {
    /// Listens for as long as the greeting is held back. What comes is given to the machine, which refuses it.
    pub(super) async fn await_silence(
        &mut self,
        server: &mut Server,
        stream: &mut BoxStream,
        shutdown: &mut Shutdown,
    ) -> io::Result<()> {
        let config = self.mta.config();
        let delay = config.clients.greeting_delay;
        if delay.is_zero() || self.client().is_exempt(&config) {
            return Ok(());
        }
        let clock = &self.mta.world.clock;
        let octets = tokio::select! {
            biased;
            read = world::read_some(stream, |octets| server.push(octets)) => read?,
            () = clock.sleep_until(clock.now() + delay) => {
                self.verdicts.extend(self.mta.judge(&config, self.client()).waited(delay));
                return Ok(());
            }
            () = shutdown.given() => return Ok(()),
        };
        match octets {
            0 => server.push_end(),
            _ => self.mta.judge(&config, self.client()).talked_early(octets),
        }
        Ok(())
    }
}
