//! What the driver has to say.

use super::{
    super::response::{Code, Condition, ContentName, Data, FetchData, Status},
    Extension,
    session::{Activity, Kind, Phase, Running, Server},
};
use crate::machine::Tls;

impl Server {
    /// Ends the command under way. If the client has been promised octets that did not come, nothing can be said any
    /// more, and the session is closed.
    pub fn complete(&mut self, status: &Status) {
        let running = match &self.activity {
            Activity::Running(running) => running.clone(),
            Activity::Appending(append) if append.is_complete() => append.running(),
            _ => return,
        };
        if self.encoder.content_left() > 0 {
            self.activity = Activity::Closing;
            return;
        }
        self.activity = Activity::AwaitingCommand;
        match (running.kind, status.condition) {
            (Kind::Select, Condition::Ok) => self.phase = Phase::Selected,
            (Kind::Deselect, Condition::Ok) => self.phase = Phase::Authenticated,
            _ => {}
        }
        self.answer(&running.tag, status);
    }

    /// Untagged data, at any time after the login. False, and nothing is written, for an expunge that must not be told
    /// now (RFC 9051 §7.5.1): keep it until a later time.
    pub fn data(&mut self, data: &Data) -> bool {
        let expunges = matches!(data, Data::Expunge(_) | Data::Vanished { earlier: false, .. });
        let fits = (!expunges || self.may_expunge()) && self.encoder.content_left() == 0;
        if fits {
            self.encoder.data(data);
        }
        fits
    }

    /// Untagged, such as the codes of SELECT; BYE closes the session.
    pub fn status(&mut self, status: &Status) {
        if self.encoder.content_left() == 0 {
            self.encoder.status("*", status);
            if status.condition == Condition::Bye {
                self.activity = Activity::Closing;
            }
        }
    }

    /// How far the command under way has come (RFC 9585), of how much; not within a FETCH response. What is returned is to
    /// be written at once.
    pub fn progress(&mut self, done: u32, of: Option<u32>) -> Vec<u8> {
        if let Activity::Running(running) = &self.activity
            && self.config.extensions.has(Extension::InProgress)
        {
            let code = Code::InProgress { tag: running.tag.clone(), done: Some(done), of };
            self.encoder.status("*", &Status::ok("it goes on").with(code));
        }
        self.take_output()
    }

    /// What waits to be written, to be written at once by the driver.
    pub fn take_output(&mut self) -> Vec<u8> {
        self.encoder.take()
    }

    /// No mailbox is selected any more, and the client is told (RFC 9051 §3, §7.1).
    pub fn handle_mailbox_closed(&mut self, text: &str) {
        if self.phase == Phase::Selected {
            self.phase = Phase::Authenticated;
            self.status(&Status::ok(text).with(Code::Closed));
        }
    }

    /// Whether messages may lose their numbers now.
    pub fn may_expunge(&self) -> bool {
        match &self.activity {
            Activity::Running(Running { kind, .. }) => *kind != Kind::Numbers,
            Activity::Idling(_) => true,
            Activity::Appending(append) => append.is_complete(),
            Activity::AwaitingCommand => self.expunges_any_time && self.reader.is_between_commands(),
            _ => false,
        }
    }

    /// Whether the client has asked with NOTIFY to hear of expunges in the selected mailbox at once.
    pub fn set_expunges_any_time(&mut self, any_time: bool) {
        self.expunges_any_time = any_time;
    }

    /// Octets that wait to be written; a driver that has much to say returns to polling at some ten thousand.
    pub fn output_len(&self) -> usize {
        self.encoder.len()
    }

    /// A FETCH response: items and content follow.
    pub fn start_fetch(&mut self, number: u32) {
        self.encoder.start_fetch(number);
    }

    pub fn fetch_item(&mut self, data: &FetchData<'_>) {
        self.encoder.fetch_item(data);
    }

    /// Exactly so many octets have to follow. `binary`: with NUL among them.
    pub fn start_content(&mut self, name: &ContentName<'_>, octets: u64, binary: bool) {
        self.encoder.start_content(name, octets, binary);
    }

    /// A URLFETCH response; so many octets of content have to follow.
    pub fn start_url(&mut self, url: &str, octets: u64) {
        self.encoder.start_url(url, octets);
    }

    pub fn content(&mut self, octets: &[u8]) {
        self.encoder.content(octets);
    }

    /// Octets of the content that are to be given still.
    pub fn content_left(&self) -> u64 {
        self.encoder.content_left()
    }

    pub fn end_fetch(&mut self) {
        self.encoder.end_fetch();
    }

    pub fn answer_unauthenticated(&mut self) {
        let Activity::Unauthenticating { tag } = &self.activity else { return };
        let tag = tag.clone();
        // RFC 8437 §3: as if the client had just connected.
        self.phase = Phase::NotAuthenticated;
        self.enabled = super::Enabled::default();
        self.encoder.set_utf8(false);
        self.expunges_any_time = false;
        self.login_deadline = None;
        self.activity = Activity::AwaitingCommand;
        self.answer(&tag, &Status::ok("you are nobody again"));
    }

    /// Both directions are compressed from here on.
    pub fn handle_compression_started(&mut self) {
        if matches!(self.activity, Activity::StartingCompression) {
            self.compressed = true;
            self.activity = Activity::AwaitingCommand;
        }
    }

    /// TLS was agreed; the session goes on without another greeting, and nothing said in clear counts.
    pub fn handle_tls_started(&mut self) {
        if matches!(self.activity, Activity::StartingTls) {
            self.config.tls = Tls::Active;
            self.activity = Activity::AwaitingCommand;
        }
    }

    /// The handshake failed, and nothing can be said on this connection any more.
    pub fn handle_tls_failed(&mut self) {
        self.activity = Activity::Closing;
    }
}
