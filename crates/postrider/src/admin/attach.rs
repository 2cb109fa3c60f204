//! A terminal attached over the control socket: messages go out one at a time, each followed by the client's word that
//! it is on the terminal, until the client hangs up.

use std::io;

use mta::terminals::{Attachment, Showing};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use world::BoxStream;

use super::{
    Admin, QueueHand,
    protocol::{AdminRequest, AdminResponse, REQUEST_BYTES_MAX},
    socket::respond,
};

/// Attaches the connection to an account, or tells why not.
pub async fn serve(stream: &mut BufReader<BoxStream>, admin: &Admin, address: &str) -> io::Result<()> {
    let mut attachment = match attach(admin, address).await {
        Ok(attachment) => attachment,
        Err(refusal) => return respond(stream, &refusal).await,
    };
    let greeting = format!("messages to {address} are shown here; Ctrl-C ends that");
    respond(stream, &AdminResponse::done(greeting)).await?;
    let mut line = Vec::new();
    loop {
        let showing = tokio::select! {
            showing = attachment.next() => showing,
            // Nothing has been shown that the client could tell of.
            read = read_line(stream, &mut line) => return read.map(drop),
        };
        let Some(showing) = showing.filter(Showing::is_wanted) else { continue };
        respond(stream, &AdminResponse::Message { notice: (*showing.notice).clone() }).await?;
        if !read_line(stream, &mut line).await? {
            return Ok(());
        }
        let Ok(AdminRequest::Shown) = serde_json::from_slice(&line) else {
            let refusal = AdminResponse::error("an attached terminal says that it has shown a message");
            return respond(stream, &refusal).await;
        };
        attachment.handle_shown(showing);
        line.clear();
    }
}

async fn attach(admin: &Admin, address: &str) -> Result<Attachment, AdminResponse> {
    let address = super::directory::parse_address(address).map_err(AdminResponse::error)?;
    match &admin.queue {
        QueueHand::Running(mta) => mta.attach(&address).await.map_err(AdminResponse::error),
        QueueHand::Offline => Err(AdminResponse::error("no server runs here; start it first")),
    }
}

/// Adds to `line` up to the end of a line; what came stays there if this is given up. False: the client hung up.
async fn read_line(stream: &mut BufReader<BoxStream>, line: &mut Vec<u8>) -> io::Result<bool> {
    let octets_left = REQUEST_BYTES_MAX.saturating_sub(line.len()) as u64;
    stream.take(octets_left).read_until(b'\n', line).await?;
    Ok(line.ends_with(b"\n"))
}
