//! Accepts messages and throws them away.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use clap::Args;
use mail::Reply;
use proto::{
    machine::{Machine, Step},
    smtp::server::{Config, Decision, Event, Flavour, Limits, Server, TokenAnswer},
};
use tokio::{io::AsyncWriteExt, sync::Notify};
use world::{BoxStream, ListenAddress, Listener, World};

use super::Outcome;
use crate::{Failure, cli::Output};

/// After a failed accept, so that a lack of file descriptors does not spin.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);
/// Connections that ask nothing are closed after this.
const COMMAND_TIMEOUT: Duration = Duration::from_mins(5);

#[derive(Clone, Debug, Args)]
pub struct Sink {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:2526")]
    listen: ListenAddress,
    /// Stop after so many messages
    #[arg(long, value_name = "COUNT")]
    max_messages: Option<u64>,
    /// Stop after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 3600, value_parser = clap::value_parser!(u64).range(1..=864_000))]
    max_seconds: u64,
}

#[derive(Debug)]
struct Tally {
    messages: AtomicU64,
    octets: AtomicU64,
    messages_max: u64,
    full: Notify,
}

impl Sink {
    pub async fn run(self, output: &mut Output) -> Result<(), Failure> {
        let world = World::system();
        let listener =
            world.net.listen(&self.listen).await.map_err(|error| {
                Failure::new(format!("the sink cannot listen on {}: {error}", self.listen))
            })?;
        if !output.is_json() {
            output.line(format_args!("sink on {}", listener.local()))?;
        }
        let tally = Arc::new(Tally {
            messages: AtomicU64::new(0),
            octets: AtomicU64::new(0),
            messages_max: self.max_messages.unwrap_or(u64::MAX),
            full: Notify::new(),
        });
        let began = world.clock.now();
        tokio::select! {
            () = accept(&*listener, &world, &tally) => {}
            () = tally.full.notified() => {}
            () = world.clock.sleep_until(began + Duration::from_secs(self.max_seconds)) => {}
            interrupted = tokio::signal::ctrl_c() => interrupted?,
        }
        let elapsed = world.clock.now().duration_since(began);
        let (messages, octets) = (&tally.messages, &tally.octets);
        Outcome::new(messages.load(Ordering::Relaxed), octets.load(Ordering::Relaxed), 0, elapsed)
            .show(output)
    }
}

async fn accept(listener: &dyn Listener, world: &World, tally: &Arc<Tally>) {
    let config = Config {
        limits: Limits {
            message_bytes_max: 0,
            recipients_max: usize::MAX,
            commands_max: u32::MAX,
            command_timeout: COMMAND_TIMEOUT,
            ..Limits::default()
        },
        ..Config::new("sink.localhost", Flavour::Smtp)
    };
    let config = Arc::new(config);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let session = swallow(stream, world.clone(), config.clone(), tally.clone());
                tokio::spawn(async move { drop(session.await) });
            }
            Err(_) => world.clock.sleep_until(world.clock.now() + ACCEPT_RETRY_DELAY).await,
        }
    }
}

/// One session: says yes to everything.
async fn swallow(
    mut stream: BoxStream,
    world: World,
    config: Arc<Config>,
    tally: Arc<Tally>,
) -> io::Result<()> {
    let mut server = Server::new(config, false);
    loop {
        match server.poll(world.clock.now()) {
            Step::Write(octets) => {
                stream.write_all(&octets).await?;
                stream.flush().await?;
                tally.stop_if_full();
            }
            Step::Event(event) => answer(&mut server, event, &tally),
            Step::NeedInput => {
                let deadline = server.deadline();
                let timeout = async {
                    match deadline {
                        Some(deadline) => world.clock.sleep_until(deadline).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    biased;
                    read = world::read_some(&mut stream, |octets| server.push(octets)) => if read? == 0 {
                        server.push_end();
                    },
                    () = timeout => {}
                }
            }
            Step::StartTls | Step::Close => return Ok(()),
        }
    }
}

fn answer(server: &mut Server, event: Event, tally: &Tally) {
    match event {
        Event::Hello { .. } => server.answer_hello(Decision::ACCEPT),
        Event::Mail(_) => server.answer_mail(Decision::ACCEPT),
        Event::Rcpt(_) => server.answer_rcpt(Decision::ACCEPT),
        Event::Data => server.answer_data(Decision::ACCEPT),
        Event::Content(content) => {
            tally.octets.fetch_add(content.len() as u64, Ordering::Relaxed);
        }
        Event::ContentEnd => {
            tally.messages.fetch_add(1, Ordering::Relaxed);
            server.answer_content(Decision::ACCEPT);
        }
        Event::Authenticate(_) => server.answer_auth(Decision::ACCEPT),
        // A verifier that fits every password does not exist.
        Event::ScramVerifier(_) => server.answer_scram_verifier(Err(no_scram())),
        Event::Scram(_) => server.answer_auth(Decision::Reject(no_scram())),
        Event::Token(token) => server.answer_token(TokenAnswer::Accepted(token.authorization_id)),
        Event::External(name) => server.answer_external(Ok(name.into())),
        Event::Verify(_) => server.answer_verify(&Reply::new(252, (2, 5, 2), "everybody is welcome here")),
        Event::Expand(_) => server.answer_expand(&Reply::new(252, (2, 5, 2), "everybody is welcome here")),
        Event::Impersonate(_) => server.answer_impersonate(Decision::ACCEPT),
        // They are not switched on.
        Event::Etrn(_) => server.answer_etrn(&Reply::new(251, (2, 0, 0), "nothing waits in a sink")),
        Event::Turn(_) => {
            server.answer_turn(Decision::Reject(Reply::new(453, (4, 2, 0), "you have no mail")));
        }
        Event::Url(_) => server.answer_url(Err(Reply::new(554, (5, 6, 6), "a sink has no messages"))),
        Event::MoreOfUrl | Event::ContentAborted(_) | Event::Turned => {}
    }
}

fn no_scram() -> Reply {
    Reply::new(504, (5, 5, 4), "this sink takes any password, but SCRAM shows none")
}

impl Tally {
    /// Only once the reply is on its way, so that the sender of the last message hears of it.
    fn stop_if_full(&self) {
        if self.messages.load(Ordering::Relaxed) >= self.messages_max {
            self.full.notify_one();
        }
    }
}
