//! One session of a host: the protocol is that of the server's machine, the answers are those of its manners.

use std::{io, sync::Arc};

use mail::{ForwardPath, Reply, ReversePath};
use proto::{
    machine::{Machine, Step},
    smtp::server::{Decision, Event, Server, TokenAnswer},
};
use tokio::{io::AsyncWriteExt, time::Instant};
use world::BoxStream;

use super::{host::Host, manners::Mind};

pub(super) struct Session {
    host: Arc<Host>,
    server: Server,
    sender: String,
    messages: u32,
}

impl Session {
    pub(super) fn new(host: Arc<Host>) -> Self {
        let server = Server::new(host.config.clone(), false);
        Self { host, server, sender: String::new(), messages: 0 }
    }

    /// Until one side has enough of the other.
    pub(super) async fn run(mut self, mut stream: BoxStream) -> io::Result<()> {
        if let Some(refusal) = self.mind().greet(self.host.now()) {
            let mut greeting = Vec::new();
            refusal.write(&mut greeting);
            stream.write_all(&greeting).await?;
            return stream.shutdown().await;
        }
        let host = self.host.clone();
        let outcome = self.talk(stream).await;
        host.mind.leave();
        outcome
    }

    async fn talk(&mut self, mut stream: BoxStream) -> io::Result<()> {
        loop {
            match self.server.poll(Instant::now().into_std()) {
                Step::Write(octets) => {
                    tokio::time::sleep(self.mind().manners.slow).await;
                    stream.write_all(&octets).await?;
                    stream.flush().await?;
                }
                Step::Event(event) => self.answer(event),
                Step::NeedInput => self.listen(&mut stream).await?,
                Step::StartTls => {
                    let Some(tls) = &self.host.tls else { return Ok(()) };
                    (stream, _) = tls.accept(stream).await?;
                    self.server.handle_tls_established();
                }
                Step::Close => return stream.shutdown().await,
            }
        }
    }

    async fn listen(&mut self, stream: &mut BoxStream) -> io::Result<()> {
        if self.mind().manners.messages_per_connection.is_some_and(|most| self.messages >= most) {
            self.messages = 0;
            self.server.dismiss(&Reply::new(421, (4, 7, 0), "enough messages on this connection"));
            return Ok(());
        }
        let deadline = self.server.deadline();
        let timeout = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        };
        let server = &mut self.server;
        tokio::select! {
            biased;
            read = world::read_some(stream, |octets| server.push(octets)) => if read? == 0 {
                server.push_end();
            },
            () = timeout => {}
        }
        Ok(())
    }

    fn answer(&mut self, event: Event) {
        let now = self.host.now();
        let not_here = || Reply::new(502, (5, 5, 1), "not here");
        match event {
            Event::Hello { .. } => self.server.answer_hello(Decision::ACCEPT),
            Event::Mail(request) => {
                self.sender = match request.reverse_path {
                    ReversePath::Null => String::new(),
                    ReversePath::Address(address) => address.to_string(),
                };
                let decision = self.mind().mail(now).into();
                self.server.answer_mail(decision);
            }
            Event::Rcpt(recipient) => {
                let recipient = match recipient.forward_path {
                    ForwardPath::Postmaster => "postmaster".to_owned(),
                    ForwardPath::Address(address) => address.to_string(),
                };
                let decision = self.mind().recipient(&self.sender, &recipient, now).into();
                self.server.answer_rcpt(decision);
            }
            Event::Data => self.server.answer_data(Decision::ACCEPT),
            Event::ContentEnd => {
                let decision = self.mind().content(now);
                self.messages += u32::from(decision.is_ok());
                self.server.answer_content(decision.into());
            }
            Event::Verify(_) => self.server.answer_verify(&not_here()),
            Event::Expand(_) => self.server.answer_expand(&not_here()),
            Event::Etrn(_) => self.server.answer_etrn(&not_here()),
            // None of these is offered.
            Event::Authenticate(_) | Event::Scram(_) => self.server.answer_auth(Decision::Reject(not_here())),
            Event::ScramVerifier(_) => self.server.answer_scram_verifier(Err(not_here())),
            Event::Token(_) => self.server.answer_token(TokenAnswer::Deferred(not_here())),
            Event::External(_) => self.server.answer_external(Err(not_here())),
            Event::Impersonate(_) => self.server.answer_impersonate(Decision::Reject(not_here())),
            Event::Turn(_) => self.server.answer_turn(Decision::Reject(not_here())),
            Event::Url(_) => self.server.answer_url(Err(not_here())),
            Event::MoreOfUrl => self.server.push_url(Err(not_here())),
            Event::Content(_) | Event::ContentAborted(_) | Event::Turned => {}
        }
    }

    fn mind(&self) -> &Mind {
        &self.host.mind
    }
}
