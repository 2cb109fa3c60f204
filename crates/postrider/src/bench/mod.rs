//! A load generator and a sink, in the manner of smtp-source and smtp-sink; and a queue filled without either.

pub mod fill;
pub mod load;
pub mod sink;

use std::time::Duration;

use serde::Serialize;

use crate::{Failure, cli::Output};

/// What a run came to.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Outcome {
    pub messages: u64,
    pub octets: u64,
    pub failed: u64,
    pub seconds: f64,
    pub messages_per_second: f64,
}

impl Outcome {
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    pub fn new(messages: u64, octets: u64, failed: u64, elapsed: Duration) -> Self {
        let seconds = elapsed.as_secs_f64();
        let messages_per_second = if seconds > 0.0 { messages as f64 / seconds } else { 0.0 };
        Self { messages, octets, failed, seconds, messages_per_second }
    }

    pub fn show(&self, output: &mut Output) -> Result<(), Failure> {
        if output.is_json() {
            return output.value(self);
        }
        let Self { messages, octets, failed, seconds, messages_per_second } = self;
        output.line(format_args!(
            "{messages} messages ({octets} octets) in {seconds:.2} s: {messages_per_second:.0} a second, {failed} failed"
        ))
    }
}
