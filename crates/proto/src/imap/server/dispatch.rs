//! Which command may come when, and those that need no mailbox (RFC 9051 §6).

use super::{
    super::{
        command::{Command, Tagged},
        reader::Reader,
        response::{Code, Condition, Data, Status},
    },
    Extension, offers,
    session::{Activity, Kind, Phase, Running, Server},
};
use crate::machine::Tls;

impl Server {
    pub(super) fn handle_command(&mut self, tagged: Tagged) {
        let Tagged { tag, command } = tagged;
        let needed = offers::needed(&command);
        if needed.iter().any(|extension| !self.config.extensions.has(*extension)) {
            return self.answer(&tag, &Status::bad("there is no such thing here"));
        }
        match command {
            Command::Capability => {
                let names = self.capabilities();
                self.encoder.capability(&names);
                self.answer(&tag, &Status::ok("that is all"));
            }
            Command::Logout => {
                self.encoder.status("*", &Status::new(Condition::Bye, None, "goodbye"));
                self.answer(&tag, &Status::ok("logged out"));
                self.activity = Activity::Closing;
            }
            Command::Id(_) => {
                self.encoder.data(&Data::Id(vec![("name".to_owned(), "Postrider".to_owned())]));
                self.answer(&tag, &Status::ok("pleased to meet you"));
            }
            command if self.phase == Phase::NotAuthenticated => self.handle_before_login(tag, command),
            Command::StartTls | Command::Authenticate { .. } | Command::Login(_) => {
                self.answer(&tag, &Status::bad("you are logged in already"));
            }
            command => self.handle_after_login(tag, command),
        }
    }

    fn handle_before_login(&mut self, tag: String, command: Command) {
        match command {
            Command::Noop => self.answer(&tag, &Status::ok("nothing done")),
            Command::StartTls => self.handle_starttls(&tag),
            Command::Authenticate { mechanism, initial_response } => {
                self.handle_authenticate(tag, &mechanism, initial_response);
            }
            Command::Login(credentials) => self.handle_login(tag, credentials),
            _ => self.answer(&tag, &Status::bad("log in first")),
        }
    }

    fn handle_starttls(&mut self, tag: &str) {
        match self.config.tls {
            Tls::Active => self.answer(tag, &Status::bad("TLS is active already")),
            Tls::Unavailable => self.answer(tag, &Status::bad("TLS is not available here")),
            Tls::Available => {
                self.answer(tag, &Status::ok("begin TLS"));
                self.reader = Reader::new();
                self.activity = Activity::StartingTls;
            }
        }
    }

    fn handle_after_login(&mut self, tag: String, command: Command) {
        if let Err(status) = self.check(&command) {
            return self.answer(&tag, &status);
        }
        // RFC 7162 §3.1: who asks for mod-sequences wants to hear of them.
        self.enabled.condstore |= offers::needed(&command).contains(&Extension::CondStore);
        match command {
            Command::Enable(names) => {
                let new = self.enable(&names);
                self.encoder.data(&Data::Enabled(new));
                self.answer(&tag, &Status::ok("enabled"));
            }
            Command::Compress => self.handle_compress(&tag),
            Command::Unauthenticate => self.activity = Activity::Unauthenticating { tag },
            command => {
                let kind = kind(&command);
                if kind == Kind::Select && self.phase == Phase::Selected {
                    // RFC 9051 §7.1: what follows is of the other mailbox, even if that cannot be opened.
                    self.encoder.status("*", &Status::ok("the mailbox is closed").with(Code::Closed));
                    self.phase = Phase::Authenticated;
                }
                if command == Command::Idle {
                    self.encoder.continuation("idling");
                }
                let running = Running { tag: tag.clone(), kind };
                self.activity = Activity::Starting(Box::new(Tagged { tag, command }), running);
            }
        }
    }

    fn handle_compress(&mut self, tag: &str) {
        if self.compressed {
            let status = Status::no(Code::CompressionActive, "the connection is compressed already");
            return self.answer(tag, &status);
        }
        self.answer(tag, &Status::ok("compression begins"));
        self.reader = Reader::new();
        self.activity = Activity::StartingCompression;
    }

    /// What the grammar cannot tell.
    fn check(&self, command: &Command) -> Result<(), Status> {
        if needs_mailbox(command) && self.phase != Phase::Selected {
            return Err(Status::bad("select a mailbox first"));
        }
        let needs_qresync = match command {
            // RFC 5161 §3.1
            Command::Enable(_) if self.phase == Phase::Selected => {
                return Err(Status::bad("ENABLE comes before a mailbox is selected"));
            }
            // RFC 7162 §3.2.5
            Command::Select(select) => select.qresync.is_some(),
            // RFC 7162 §3.2.6
            Command::Fetch { fetch, uid: false } if fetch.modifiers.vanished => {
                return Err(Status::bad("VANISHED is for UID FETCH"));
            }
            Command::Fetch { fetch, .. } => fetch.modifiers.vanished,
            _ => false,
        };
        if needs_qresync && !self.enabled.qresync {
            return Err(Status::bad("ENABLE QRESYNC comes first"));
        }
        Ok(())
    }
}

fn needs_mailbox(command: &Command) -> bool {
    matches!(
        command,
        Command::Check
            | Command::Close
            | Command::Unselect
            | Command::Expunge(_)
            | Command::Search { .. }
            | Command::Sort { .. }
            | Command::Thread { .. }
            | Command::Fetch { .. }
            | Command::Store { .. }
            | Command::Copy { .. }
            | Command::Move { .. }
    )
}

fn kind(command: &Command) -> Kind {
    match command {
        Command::Select(_) => Kind::Select,
        Command::Close | Command::Unselect => Kind::Deselect,
        // SORT and THREAD speak of numbers as SEARCH does (RFC 5256 §3).
        Command::Search { uid: false, .. }
        | Command::Sort { uid: false, .. }
        | Command::Thread { uid: false, .. }
        | Command::Fetch { uid: false, .. }
        | Command::Store { uid: false, .. } => Kind::Numbers,
        _ => Kind::Other,
    }
}
