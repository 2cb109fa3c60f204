//! What a web server is posted for a message: the message itself, or JSON that holds it.

use std::{io, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::Serialize;
use store::spool::{QueueEntry, QueuedRecipient};

use super::letter::{Letter, LineEnd};
use crate::{Mta, deliver::content::Unsent, route::gateway::WebhookFormat};

pub(super) struct Posted {
    head: Option<Bytes>,
    letter: Letter,
    tail: Option<Bytes>,
    /// Octets that wait for their group of three; none where the message goes as it is.
    group: Option<Vec<u8>>,
}

/// In the JSON, beside `raw`.
#[derive(Serialize)]
struct Data {
    queue_id: String,
    sender: String,
    recipient: String,
    original_recipient: String,
}

/// Up to the message itself, which stands last.
fn head(entry: &QueueEntry, recipient: &QueuedRecipient) -> String {
    let original = recipient.original.as_ref().unwrap_or(&recipient.address);
    let data = Data {
        queue_id: entry.queue_id.to_string(),
        sender: entry.reverse_path.to_string(),
        recipient: recipient.address.to_string(),
        original_recipient: original.to_string(),
    };
    let data = serde_json::to_string(&data).unwrap_or_default();
    let data = data.strip_suffix('}').unwrap_or(&data);
    let accepted_at = entry.accepted_at.rfc3339();
    format!("{{\"type\":\"message.received\",\"timestamp\":\"{accepted_at}\",\"data\":{data},\"raw\":\"")
}

impl Posted {
    pub(super) async fn open(
        mta: &Arc<Mta>,
        entry: &QueueEntry,
        recipient: &QueuedRecipient,
        format: WebhookFormat,
    ) -> Result<Self, Unsent> {
        let letter = Letter::open(mta, entry, recipient, LineEnd::CrLf).await?;
        Ok(match format {
            WebhookFormat::Raw => Self { head: None, letter, tail: None, group: None },
            WebhookFormat::Json => Self {
                head: Some(head(entry, recipient).into()),
                letter,
                tail: Some(Bytes::from_static(b"\"}}")),
                group: Some(Vec::new()),
            },
        })
    }

    /// The next piece; none at the end.
    pub(super) async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if let Some(head) = self.head.take() {
            return Ok(Some(head));
        }
        loop {
            let piece = self.letter.next().await?;
            let Some(group) = &mut self.group else { return Ok(piece) };
            let Some(piece) = piece else {
                let rest = std::mem::take(group);
                let end = self.tail.take();
                return Ok(end.map(|tail| [STANDARD.encode(rest).as_bytes(), &tail].concat().into()));
            };
            group.extend_from_slice(&piece);
            let rest = group.split_off(group.len() - group.len() % 3);
            let whole = std::mem::replace(group, rest);
            if !whole.is_empty() {
                return Ok(Some(STANDARD.encode(whole).into()));
            }
        }
    }

    pub(super) fn into_stream(self) -> world::Input {
        Box::pin(futures_util::stream::unfold(Some(self), |posted| async {
            let mut posted = posted?;
            match posted.next().await {
                Ok(piece) => piece.map(|piece| (Ok(piece), Some(posted))),
                Err(error) => Some((Err(error), None)),
            }
        }))
    }
}
