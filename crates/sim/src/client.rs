//! Clients that submit mail, and keep what they were told.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use tokio::time::Instant;
use world::World;

use crate::{
    journal::Journal,
    letter,
    plan::{Message, SILENT},
    wire::Wire,
};

/// Tries of one message; the first that may have succeeded is the last.
const TRIES_MAX: u32 = 6;
const TRY_INTERVAL: Duration = Duration::from_mins(7);

/// One try of one message, as its client saw it.
#[derive(Clone, Debug)]
pub struct Submission {
    pub tag: letter::Tag,
    /// Index of the server.
    pub server: usize,
    /// Empty: the null reverse-path.
    pub sender: String,
    /// Recipients that got 250.
    pub recipients: Vec<String>,
    /// It did not want to be told of failures.
    pub silent: bool,
    pub outcome: Outcome,
    /// The reply that ended it, or what happened instead.
    pub said: String,
    pub ended: Instant,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// 250 after the content.
    Accepted,
    /// It was told no, or never said everything.
    Refused,
    /// Everything was said, and no answer came.
    Unknown,
}

/// Where and how a message is submitted.
#[derive(Clone, Debug)]
pub struct Door {
    pub server: usize,
    pub address: SocketAddr,
    /// Name and password.
    pub login: Option<(String, String)>,
}

/// Submits one message, again while the server certainly does not have it.
pub async fn submit(world: World, door: Door, message: Message, journal: Journal) -> Vec<Submission> {
    let who: Arc<str> = format!("client {}", message.number).into();
    let mut submissions = Vec::new();
    for number in 0..TRIES_MAX {
        let mut submission = Submission {
            tag: format!("m{}.{number}", message.number),
            server: door.server,
            sender: message.sender.clone(),
            recipients: Vec::new(),
            silent: message.rcpt_parameters == SILENT,
            outcome: Outcome::Refused,
            said: String::new(),
            ended: Instant::now(),
        };
        let said = attempt(&world, &door, &message, &mut submission).await;
        submission.ended = Instant::now();
        let (tag, recipients) = (&submission.tag, submission.recipients.join(" "));
        let said = said.map_or_else(|error| error.to_string(), |(_, text)| text);
        journal.note(
            &who,
            format!("{tag} {:?} to s{}: {said} [{recipients}]", submission.outcome, door.server + 1),
        );
        submission.said.clone_from(&said);
        let over = submission.outcome != Outcome::Refused || is_permanent(&said);
        submissions.push(submission);
        if over {
            break;
        }
        tokio::time::sleep(TRY_INTERVAL).await;
    }
    submissions
}

fn is_permanent(said: &str) -> bool {
    said.starts_with('5')
}

/// The reply that ended the try.
async fn attempt(
    world: &World,
    door: &Door,
    message: &Message,
    submission: &mut Submission,
) -> std::io::Result<(u16, String)> {
    let mut wire = Wire::new(world.net.connect(door.address, None).await?);
    let greeting = wire.reply().await?;
    if greeting.0 != 220 {
        return Ok(greeting);
    }
    let mut commands = vec!["EHLO client.sim.example".to_owned()];
    if let Some((name, password)) = &door.login {
        commands.push(format!("AUTH PLAIN {}", BASE64_STANDARD.encode(format!("\0{name}\0{password}"))));
    }
    commands.push(format!("MAIL FROM:<{}>{}", message.sender, message.mail_parameters));
    for command in commands {
        let reply = wire.ask(&command).await?;
        if reply.0 >= 400 {
            return Ok(reply);
        }
    }
    let mut refusal = None;
    for recipient in &message.recipients {
        let reply = wire.ask(&format!("RCPT TO:<{recipient}>{}", message.rcpt_parameters)).await?;
        if reply.0 < 300 { submission.recipients.push(recipient.clone()) } else { refusal = Some(reply) }
    }
    if let (Some(refusal), true) = (refusal, submission.recipients.is_empty()) {
        return Ok(refusal);
    }
    let go_on = wire.ask("DATA").await?;
    if go_on.0 != 354 {
        return Ok(go_on);
    }
    let to = message.recipients.first().map_or("", String::as_str);
    let from = if message.sender.is_empty() { "daemon@sim.example" } else { &message.sender };
    let content = letter::write(&submission.tag, from, to, message.lines);
    wire.say(&stuffed(&content)).await?;
    wire.say(".\r\n").await?;
    submission.outcome = Outcome::Unknown;
    let reply = wire.reply().await?;
    submission.outcome = if reply.0 < 300 { Outcome::Accepted } else { Outcome::Refused };
    let _ = wire.ask("QUIT").await;
    Ok(reply)
}

/// RFC 5321 §4.5.2
fn stuffed(content: &str) -> String {
    let text = content.replace("\r\n.", "\r\n..");
    if text.starts_with('.') { format!(".{text}") } else { text }
}
