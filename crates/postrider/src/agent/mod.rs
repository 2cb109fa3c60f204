//! The user agent on the command line: builds a message and hands it to a server.

pub mod connection;
pub mod imap;
pub mod mailbox;
pub mod message;
pub mod server;

use indicatif::ProgressBar;
use mail::{Address, MailParameters, RcptParameters};
use serde::Serialize;
use world::World;

use crate::{Failure, admin::protocol::Secret};
use connection::Connection;
use message::{Draft, Message};
use server::{ServerAddress, Tls};

/// Where a message goes, and for whom.
#[derive(Clone, Debug)]
pub struct Submission {
    pub server: ServerAddress,
    pub tls: Tls,
    /// Whether the server's certificate has to be valid where TLS is demanded.
    pub verify: bool,
    pub login: Option<Login>,
    /// What MAIL is to say besides what the addresses need.
    pub parameters: MailParameters,
    /// What each RCPT is to say.
    pub rcpt: RcptParameters,
    /// What we call ourselves in EHLO.
    pub name: String,
    pub from: Address,
    pub recipients: Vec<Address>,
}

/// For AUTH.
#[derive(Clone, Debug)]
pub struct Login {
    pub user: String,
    pub password: Secret,
}

/// What the server said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// The message was taken for at least one recipient.
    pub accepted: bool,
    /// The reply that decided.
    pub reply: String,
    pub refused: Vec<Refused>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    pub recipient: String,
    pub reply: String,
}

/// Sends one message over a connection of its own.
pub async fn submit(
    world: &World,
    submission: Submission,
    mut message: Message,
    progress: &ProgressBar,
) -> Result<Receipt, Failure> {
    let mut connection = Connection::open(world, &submission).await?;
    let bytes = message.bytes();
    let receipt = connection
        .transact(&submission, bytes, || {
            let chunk = message.next_chunk()?;
            progress.inc(chunk.as_ref().map_or(0, |chunk| chunk.len() as u64));
            Ok(chunk)
        })
        .await?;
    connection.quit().await;
    Ok(receipt)
}

/// A first message for these accounts, so that there is something to read.
pub async fn send_welcome(world: &World, server: &str, accounts: &[&str]) -> Result<(), Failure> {
    let server: ServerAddress = server.parse().map_err(Failure::new)?;
    for account in accounts {
        let draft = welcome(account).map_err(Failure::new)?;
        let message = Message::build(&draft, world)?;
        let submission = Submission {
            server: server.clone(),
            tls: Tls::None,
            verify: false,
            login: None,
            parameters: MailParameters::default(),
            rcpt: RcptParameters::default(),
            name: server::own_name(),
            from: draft.from.address,
            recipients: draft.to.into_iter().map(|mailbox| mailbox.address).collect(),
        };
        let receipt = submit(world, submission, message, &ProgressBar::hidden()).await?;
        if !receipt.accepted {
            return Err(Failure::new(receipt.reply));
        }
    }
    Ok(())
}

fn welcome(account: &str) -> Result<Draft, String> {
    let text = "Welcome to Postrider.\n\n\
                This message came over SMTP, was synced to disk before it was acknowledged, and went through the \
                queue\nto your mailbox. `postrider trace` with your address shows each of these steps.\n";
    Ok(Draft {
        from: "Postrider <postmaster@localhost>".parse()?,
        to: vec![account.parse()?],
        cc: Vec::new(),
        subject: "Welcome to Postrider".to_owned(),
        text: text.to_owned(),
        html: None,
        attachments: Vec::new(),
    })
}
