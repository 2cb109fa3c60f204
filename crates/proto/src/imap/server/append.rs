//! APPEND and REPLACE as they come in.

use super::{
    super::{
        command::{AppendMessage, AppendStart},
        reader::{AppendItem, Item},
        response::{Code, Status},
    },
    AppendEvent, Event, Extension,
    session::{Activity, Kind, Phase, Progress, Running, Server},
};

/// One of them, from its name to its end.
#[derive(Debug)]
pub(super) struct Append {
    tag: String,
    messages: u32,
    state: State,
}

#[derive(Debug)]
enum State {
    /// To be told as it is.
    Telling(AppendEvent),
    Reading,
    /// The driver is asked whether it wants the octets.
    Asking {
        octets: u64,
    },
    /// The driver has it all.
    Complete,
    /// What follows is read and dropped; then the client hears why.
    Refused(Status),
}

impl Append {
    pub(super) fn is_complete(&self) -> bool {
        matches!(self.state, State::Complete)
    }

    pub(super) fn running(&self) -> Running {
        Running { tag: self.tag.clone(), kind: Kind::Other }
    }
}

impl Server {
    /// The first piece of one.
    pub(super) fn begin_append(&mut self, item: AppendItem) {
        let AppendItem::Start(start) = item else { return };
        let tag = start.tag.clone();
        let state = match self.check_append(&start) {
            Ok(()) => State::Telling(AppendEvent::Start(start)),
            Err(status) => State::Refused(status),
        };
        self.activity = Activity::Appending(Box::new(Append { tag, messages: 0, state }));
    }

    fn check_append(&self, start: &AppendStart) -> Result<(), Status> {
        let replaces = start.replaced.is_some();
        if replaces && !self.config.extensions.has(Extension::Replace) {
            return Err(Status::bad("there is no such command"));
        }
        match self.phase {
            Phase::NotAuthenticated => Err(Status::bad("log in first")),
            Phase::Authenticated if replaces => Err(Status::bad("select a mailbox first")),
            Phase::Authenticated | Phase::Selected => Ok(()),
        }
    }

    fn check_message(&self, message: &AppendMessage, before: u32) -> Result<(), Status> {
        let extensions = self.config.extensions;
        if before > 0 && !extensions.has(Extension::MultiAppend) {
            return Err(Status::bad("one message at a time"));
        }
        if message.catenate && !extensions.has(Extension::Catenate) {
            return Err(Status::bad("CATENATE is not known here"));
        }
        // RFC 9755 §4
        if message.utf8 && !self.enabled.utf8() {
            return Err(Status::bad("ENABLE UTF8=ACCEPT comes first"));
        }
        Ok(())
    }

    /// The octets may come.
    pub fn go_ahead(&mut self) {
        let Activity::Appending(append) = &mut self.activity else { return };
        if matches!(append.state, State::Asking { .. }) {
            append.state = State::Reading;
            if self.reader.accept() {
                self.encoder.continuation("go ahead");
            }
        }
    }

    /// The client hears why as soon as what it is sending is over. Nothing of it comes any more.
    pub fn refuse_append(&mut self, status: Status) {
        let Activity::Appending(append) = &mut self.activity else { return };
        match append.state {
            // It is all there already: there is nothing to wait for.
            State::Complete => self.complete(&status),
            State::Refused(_) => {}
            State::Telling(_) | State::Reading | State::Asking { .. } => {
                append.state = State::Refused(status);
                self.reader.refuse();
            }
        }
    }

    pub(super) fn advance_append(&mut self) -> Progress {
        let Activity::Appending(append) = &mut self.activity else { return Progress::More };
        match &append.state {
            State::Asking { octets } => {
                return Progress::Event(Event::Append(AppendEvent::Literal { octets: *octets }));
            }
            State::Complete => return Progress::Event(Event::More),
            State::Telling(_) => {
                if let State::Telling(event) = std::mem::replace(&mut append.state, State::Reading) {
                    return Progress::Event(Event::Append(event));
                }
            }
            State::Reading | State::Refused(_) => {}
        }
        let Some(item) = self.reader.next(&self.limits()) else {
            return self.await_input();
        };
        // It moves, if slowly.
        self.deadline = None;
        match item {
            Item::Append(item) => self.take_append(item),
            Item::Continue => {
                self.encoder.continuation("go ahead");
                Progress::More
            }
            Item::Refused => self.end_refused(),
            Item::Bad { tag, error } => {
                let told = !self.is_refused();
                self.activity = Activity::AwaitingCommand;
                self.handle_bad(tag.as_deref(), error);
                aborted(told)
            }
            Item::Flood => {
                let told = !self.is_refused();
                self.say_bye(Code::TooBig, "that is too long");
                aborted(told)
            }
            // The reader gives none before the end of this one.
            Item::Command(_) => Progress::More,
        }
    }

    fn is_refused(&self) -> bool {
        matches!(&self.activity, Activity::Appending(append) if matches!(append.state, State::Refused(_)))
    }

    fn take_append(&mut self, item: AppendItem) -> Progress {
        if self.is_refused() {
            match item {
                AppendItem::Literal { .. } => self.reader.refuse(),
                AppendItem::End => return self.end_refused(),
                _ => {}
            }
            return Progress::More;
        }
        match item {
            AppendItem::Start(_) => Progress::More,
            AppendItem::Message(message) => self.take_message(message),
            AppendItem::Url(url) => Progress::Event(Event::Append(AppendEvent::Url(url))),
            AppendItem::Literal { octets } if octets > self.config.append_bytes_max => {
                self.refuse_append(Status::no(Code::TooBig, "the message is too long"));
                aborted(true)
            }
            AppendItem::Literal { octets } => {
                self.set_state(State::Asking { octets });
                Progress::More
            }
            AppendItem::Octets(octets) => Progress::Event(Event::Append(AppendEvent::Octets(octets))),
            AppendItem::MessageEnd => Progress::Event(Event::Append(AppendEvent::MessageEnd)),
            AppendItem::End => {
                self.set_state(State::Complete);
                Progress::Event(Event::Append(AppendEvent::End))
            }
        }
    }

    fn take_message(&mut self, message: AppendMessage) -> Progress {
        let Activity::Appending(append) = &mut self.activity else { return Progress::More };
        let before = append.messages;
        append.messages = before.saturating_add(1);
        match self.check_message(&message, before) {
            Ok(()) => Progress::Event(Event::Append(AppendEvent::Message(message))),
            Err(status) => {
                self.refuse_append(status);
                aborted(true)
            }
        }
    }

    fn set_state(&mut self, state: State) {
        if let Activity::Appending(append) = &mut self.activity {
            append.state = state;
        }
    }

    fn end_refused(&mut self) -> Progress {
        if let Activity::Appending(append) = std::mem::replace(&mut self.activity, Activity::AwaitingCommand)
            && let State::Refused(status) = append.state
        {
            self.answer(&append.tag, &status);
        }
        Progress::More
    }
}

/// `told`: the driver knows of it.
fn aborted(told: bool) -> Progress {
    if told { Progress::Event(Event::Append(AppendEvent::Aborted)) } else { Progress::More }
}
