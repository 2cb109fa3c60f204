//! The TRANSACTION state (RFC 1939 §5, §7) and the UPDATE state (§6).

use super::{
    Event, OUTPUT_BYTES_MAX, Server,
    command::Command,
    content::ContentWriter,
    maildrop::{Column, Maildrop, NoMessage},
    server::{Activity, Retrieval},
};

impl Retrieval {
    pub(super) fn event(&self) -> Event {
        if self.started { Event::MoreContent } else { Event::Retrieve { uid: self.uid } }
    }
}

impl Server {
    /// The next octets of the message. A chunk should have some ten KiB: it is turned into output as a whole.
    pub fn answer_content(&mut self, chunk: &[u8]) {
        self.start_content();
        let Activity::Retrieving(retrieval) = &mut self.activity else { return };
        retrieval.writer.write(chunk, &mut self.output);
        if retrieval.writer.has_enough() {
            self.answer_content_end();
        }
    }

    /// The message is complete.
    pub fn answer_content_end(&mut self) {
        self.start_content();
        if let Some(retrieval) = self.take_retrieval() {
            retrieval.writer.finish(&mut self.output);
        }
    }

    /// The message was removed since login, by IMAP for example.
    pub fn answer_content_gone(&mut self) {
        self.abort_content("the message was removed meanwhile");
    }

    /// The message cannot be read now.
    pub fn answer_content_failed(&mut self) {
        self.abort_content("[SYS/TEMP] the message cannot be read now");
    }

    /// What was marked as deleted is removed, for good.
    pub fn answer_committed(&mut self) {
        if matches!(self.activity, Activity::Committing) {
            self.reply_ok("bye");
            self.activity = Activity::Closing;
        }
    }

    /// Nothing was removed.
    pub fn answer_commit_failed(&mut self) {
        if matches!(self.activity, Activity::Committing) {
            // RFC 1939 §6
            self.reply_and_close("[SYS/TEMP] deleted messages were not removed");
        }
    }

    fn take_retrieval(&mut self) -> Option<Retrieval> {
        match std::mem::replace(&mut self.activity, Activity::AwaitingCommand) {
            Activity::Retrieving(retrieval) => Some(retrieval),
            other => {
                self.activity = other;
                None
            }
        }
    }

    fn start_content(&mut self) {
        if let Activity::Retrieving(retrieval) = &mut self.activity
            && !retrieval.started
        {
            retrieval.started = true;
            let octets = retrieval.octets;
            self.reply_ok(&format!("{octets} octets"));
        }
    }

    fn abort_content(&mut self, why: &str) {
        match self.take_retrieval() {
            Some(retrieval) if !retrieval.started => self.reply_error(why),
            // Within a message there is no way to say so; an end would make the client think it has it all.
            Some(_) => self.activity = Activity::Closing,
            None => {}
        }
    }

    pub(super) fn handle_quit(&mut self) {
        if self.maildrop.is_some() {
            self.activity = Activity::Committing;
        } else {
            self.reply_ok("bye");
            self.activity = Activity::Closing;
        }
    }

    pub(super) fn handle_transaction_command(&mut self, command: &Command<'_>) {
        let Some(maildrop) = &mut self.maildrop else {
            return self.reply_bad_command("log in first");
        };
        let outcome = match *command {
            Command::Stat => Ok(stat(maildrop)),
            Command::List(Some(number)) => maildrop.line(number, Column::Octets),
            Command::Uidl(Some(number)) => maildrop.line(number, Column::UniqueId),
            Command::Dele(number) => maildrop.delete(number).map(|()| format!("message {number} deleted")),
            Command::Rset => {
                maildrop.undelete_all();
                Ok("no message is deleted".to_owned())
            }
            Command::Retr(number) => return self.start_retrieval(number, None),
            Command::Top { number, lines } => return self.start_retrieval(number, Some(lines)),
            Command::List(None) => return self.start_listing(Column::Octets),
            Command::Uidl(None) => return self.start_listing(Column::UniqueId),
            _ => Ok("nothing done".to_owned()),
        };
        self.reply(outcome);
    }

    fn reply(&mut self, outcome: Result<String, NoMessage>) {
        match outcome {
            Ok(text) => self.reply_ok(&text),
            Err(error) => self.reply_error(&error.to_string()),
        }
    }

    fn start_retrieval(&mut self, number: u32, top_lines: Option<u32>) {
        let entry = self.maildrop.as_ref().map_or(Err(NoMessage::Number), |maildrop| maildrop.get(number));
        match entry {
            Ok(entry) => {
                self.activity = Activity::Retrieving(Retrieval {
                    uid: entry.uid,
                    octets: entry.octets,
                    started: false,
                    writer: ContentWriter::new(top_lines),
                });
            }
            Err(error) => self.reply_error(&error.to_string()),
        }
    }

    fn start_listing(&mut self, column: Column) {
        let (count, octets) = self.maildrop.as_ref().map(Maildrop::count_and_octets).unwrap_or_default();
        self.reply_ok(&format!("{count} messages ({octets} octets)"));
        self.activity = Activity::Listing { column, next: 1 };
    }

    /// Writes the lines from `next` on, as many as one piece of output holds.
    pub(super) fn write_listing(&mut self, column: Column, mut next: u32) {
        while self.output.len() < OUTPUT_BYTES_MAX {
            let Some(maildrop) = self.maildrop.as_ref().filter(|maildrop| !maildrop.ends_before(next)) else {
                self.write_line(".");
                self.activity = Activity::AwaitingCommand;
                return;
            };
            // Deleted messages are left out.
            if let Ok(line) = maildrop.line(next, column) {
                self.write_line(&line);
            }
            next = next.saturating_add(1);
        }
        self.activity = Activity::Listing { column, next };
    }
}

/// RFC 1939 §5: a drop listing.
fn stat(maildrop: &Maildrop) -> String {
    let (count, octets) = maildrop.count_and_octets();
    format!("{count} {octets}")
}
