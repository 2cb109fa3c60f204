//! Clients that speak for others: XCLIENT and XFORWARD, as Postfix defines them.

use std::borrow::Cow;

use super::{
    Abort, Decision, Server, Session,
    state::{Question, State},
    texts,
};
use crate::smtp::attributes::{ForwardedClient, Impersonation};

impl Server {
    pub(super) fn handle_xclient(&mut self, argument: &str) {
        if !self.extensions.xclient {
            return self.reply_error(&texts::not_authorized());
        }
        if self.transaction.is_some() {
            return self.reply_error(&texts::bad_sequence("XCLIENT has no place in a transaction"));
        }
        match Impersonation::parse(argument) {
            Ok(told) => self.state = State::Deciding(Question::Impersonate(Box::new(told))),
            Err(_) => self.reply_error(&texts::bad_attribute()),
        }
    }

    /// Answers `Event::Impersonate`. Accepted, the session is as if just connected, and greets again.
    pub fn answer_impersonate(&mut self, decision: Decision) {
        if !matches!(self.state, State::Deciding(Question::Impersonate(_))) {
            return;
        }
        let state = std::mem::replace(&mut self.state, State::Command);
        let State::Deciding(Question::Impersonate(told)) = state else { return };
        match decision {
            Decision::Accept(_) => {
                self.drop_transaction(Abort::Reset);
                self.session = Session {
                    helo: told.helo.over(None).map(String::into_boxed_str),
                    esmtp: told.esmtp.over(None).unwrap_or_default(),
                    tls: self.session.tls,
                    identity: told.login.over(None).map(String::into_boxed_str),
                    forwarded: None,
                };
                self.counters = super::Counters::default();
                self.state = State::Greeting;
            }
            Decision::Reject(reply) => self.reply(&reply),
        }
    }

    /// What it tells counts until the end of the next message, and decides nothing.
    pub(super) fn handle_xforward(&mut self, argument: &str) {
        if !self.extensions.xforward {
            return self.reply_error(&texts::not_authorized());
        }
        if self.transaction.is_some() {
            return self.reply_error(&texts::bad_sequence("XFORWARD has no place in a transaction"));
        }
        let mut forwarded = self.session.forwarded.take().unwrap_or_default();
        let merged = ForwardedClient::merge(&mut forwarded, argument);
        self.session.forwarded =
            Some(forwarded).filter(|forwarded| **forwarded != ForwardedClient::default());
        match merged {
            Ok(()) => self.reply(&texts::ok()),
            Err(_) => self.reply_error(&texts::bad_attribute()),
        }
    }

    pub(super) fn announcement_to_proxies(&self) -> impl Iterator<Item = Cow<'static, str>> {
        let xclient = "XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT";
        let xforward = "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE";
        let switched = [(xclient, self.extensions.xclient), (xforward, self.extensions.xforward)];
        switched.into_iter().filter(|(_, on)| *on).map(|(line, _)| Cow::Borrowed(line))
    }
}
