use tokio::sync::watch;

/// A signal that is given once and stays given; cheap to clone and to wait for.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

/// The hand that gives the [`Shutdown`] signal.
#[derive(Debug)]
pub struct ShutdownTrigger(watch::Sender<bool>);

impl ShutdownTrigger {
    pub fn new() -> (Self, Shutdown) {
        let (sender, receiver) = watch::channel(false);
        (Self(sender), Shutdown(receiver))
    }

    pub fn give(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    pub fn is_given(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns once the signal was given, at once if it already was (or its trigger is gone).
    pub async fn given(&mut self) {
        while !*self.0.borrow_and_update() {
            if self.0.changed().await.is_err() {
                return;
            }
        }
    }
}
