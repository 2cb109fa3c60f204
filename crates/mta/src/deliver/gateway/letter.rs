//! A message as gateways hand it over: final header fields in front, no binary content, and lines that end as its reader has
//! them.

use std::{io, sync::Arc};

use bytes::Bytes;
use proto::smtp::client::Capabilities;
use store::spool::{QueueEntry, QueuedRecipient};

use crate::{
    Mta,
    deliver::{
        content::{Content, Unsent},
        local::final_headers,
    },
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineEnd {
    /// As files and programs of this kind of system have it.
    Lf,
    /// As it is on the wire.
    CrLf,
}

pub(super) struct Letter {
    head: Option<Bytes>,
    content: Content,
    line_end: LineEnd,
    /// A CR at the end of a piece, whose LF may come with the next.
    open_cr: bool,
    ended: bool,
}

impl Letter {
    pub(super) async fn open(
        mta: &Arc<Mta>,
        entry: &QueueEntry,
        recipient: &QueuedRecipient,
        line_end: LineEnd,
    ) -> Result<Self, Unsent> {
        // Whoever reads it takes what there is, but content without lines cannot be cut into them.
        let reader = Capabilities {
            eight_bit_mime: true,
            smtputf8: true,
            chunking: true,
            mt_priority: true,
            ..Capabilities::default()
        };
        let mut content = Content::prepare(mta, entry, &reader, true).await?;
        content.restart();
        let head = Some(final_headers(entry, recipient));
        Ok(Self { head, content, line_end, open_cr: false, ended: false })
    }

    /// The next piece; none at the end.
    pub(super) async fn next(&mut self) -> io::Result<Option<Bytes>> {
        while !self.ended {
            let piece = match self.head.take() {
                Some(head) => Some(head),
                None => self.content.next().await.map_err(io::Error::other)?,
            };
            self.ended = piece.is_none();
            if self.line_end == LineEnd::CrLf {
                return Ok(piece);
            }
            let lines = self.unix_lines(piece.as_deref().unwrap_or_default());
            if !lines.is_empty() {
                return Ok(Some(lines.into()));
            }
        }
        Ok(None)
    }

    /// CRLF becomes LF; a CR alone stays.
    fn unix_lines(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut lines = Vec::with_capacity(piece.len() + 1);
        for &octet in piece {
            if std::mem::replace(&mut self.open_cr, octet == b'\r') && octet != b'\n' {
                lines.push(b'\r');
            }
            if octet != b'\r' {
                lines.push(octet);
            }
        }
        if self.ended && std::mem::take(&mut self.open_cr) {
            lines.push(b'\r');
        }
        lines
    }

    /// For whoever reads at its own pace.
    pub(super) fn into_stream(self) -> world::Input {
        Box::pin(futures_util::stream::unfold(Some(self), |letter| async {
            let mut letter = letter?;
            match letter.next().await {
                Ok(piece) => piece.map(|piece| (Ok(piece), Some(letter))),
                Err(error) => Some((Err(error), None)),
            }
        }))
    }
}
