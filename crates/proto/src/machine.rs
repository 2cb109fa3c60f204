//! The one shape all protocol machines have.

use std::time::Instant;

/// A protocol's side of one connection. The driver loops: [`poll`](Machine::poll) until it says
/// [`NeedInput`](Step::NeedInput), then reads and [`push`](Machine::push)es, or waits for [`deadline`](Machine::deadline).
pub trait Machine {
    type Event;

    /// What the peer sent. Bounded by the driver's read size; pushed only after `NeedInput`.
    fn push(&mut self, bytes: &[u8]);
    /// The peer closed its side: whatever is unfinished is dropped.
    fn push_end(&mut self);
    fn poll(&mut self, now: Instant) -> Step<Self::Event>;
    /// When to poll again although nothing came.
    fn deadline(&self) -> Option<Instant>;
}

/// What the driver does next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<E> {
    /// A decision to take or content to store; events that want an answer stay pending until the answer method is called.
    Event(E),
    /// Octets to write, all replies of a pipelined group in one piece; taken when returned.
    Write(Vec<u8>),
    NeedInput,
    /// Begin TLS as the side we are; the machine has already dropped unread plaintext. Answer with `handle_tls_*`.
    StartTls,
    /// Everything is written: close.
    Close,
}

/// Where TLS stands on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Neither active nor on offer.
    Unavailable,
    /// The client may ask for it.
    Available,
    Active,
}
