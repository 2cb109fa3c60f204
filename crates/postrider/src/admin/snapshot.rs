//! One state of the store for whoever takes a backup: the serving side, and the other.

use std::io;

use backup::{Error, Part, Source, decode_bodies, decode_pairs, encode_body, encode_pair};
use bytes::Bytes;
use store::{BlobId, Body, Key, Snapshot, keys::ENGINE_FIRST};
use tokio::io::{AsyncWriteExt, BufReader};
use world::BoxStream;

use super::{
    Admin, Session,
    protocol::{
        AdminRequest, AdminResponse, BodyPart, Cursor, PartView, SNAPSHOT_BYTES_MAX, SNAPSHOT_PARTS_MAX,
        SnapshotAction,
    },
    socket::respond,
};
use crate::Failure;

/// What a connection holds.
pub(super) type Held = Option<Box<dyn Snapshot>>;

/// Answers one request.
pub(super) async fn give(
    stream: &mut BufReader<BoxStream>,
    admin: &Admin,
    held: &mut Held,
    action: SnapshotAction,
) -> io::Result<()> {
    if action == SnapshotAction::Take {
        return match admin.stores.engine.snapshot().await {
            Ok(snapshot) => {
                *held = Some(snapshot);
                let taken_at = admin.world.clock.wall().rfc3339();
                respond(stream, &AdminResponse::SnapshotTaken { taken_at }).await
            }
            Err(error) => respond(stream, &AdminResponse::error(error)).await,
        };
    }
    let Some(snapshot) = held else {
        return respond(stream, &AdminResponse::error("no snapshot was taken on this connection")).await;
    };
    match answer(snapshot, &action).await {
        Ok((response, octets)) => {
            respond(stream, &response).await?;
            for part in octets {
                stream.write_all(&part).await?;
            }
            stream.flush().await
        }
        Err(error) => respond(stream, &AdminResponse::error(error)).await,
    }
}

async fn answer(
    snapshot: &mut Box<dyn Snapshot>,
    action: &SnapshotAction,
) -> Result<(AdminResponse, Vec<Bytes>), Error> {
    let octets = match action {
        SnapshotAction::Take => Vec::new(),
        SnapshotAction::Pairs { from } => {
            let no_key = || Error::Refused("this is no key".to_owned());
            let from = from.as_ref().map_or(Ok(Vec::new()), |from| from.key().ok_or_else(no_key))?;
            let mut octets = Vec::new();
            for (key, value) in snapshot.pairs(&from.into()).await? {
                encode_pair(&mut octets, key.as_slice(), &value);
            }
            octets
        }
        SnapshotAction::Bodies { after } => {
            let mut octets = Vec::new();
            for body in Source::bodies(snapshot, after.map(BlobId)).await? {
                encode_body(&mut octets, &body);
            }
            octets
        }
        SnapshotAction::Parts { parts } => return parts_of(snapshot, parts).await,
    };
    let response = AdminResponse::Octets { octets: octets.len() as u64 };
    Ok((response, vec![octets.into()]))
}

async fn parts_of(
    snapshot: &mut Box<dyn Snapshot>,
    parts: &[BodyPart],
) -> Result<(AdminResponse, Vec<Bytes>), Error> {
    let octets = parts.iter().map(|part| part.to.saturating_sub(part.from));
    if parts.len() > SNAPSHOT_PARTS_MAX || octets.fold(0, u64::saturating_add) > SNAPSHOT_BYTES_MAX {
        return Err(Error::Refused("these are too many octets at once".to_owned()));
    }
    let wanted = parts.iter().map(|part| Part { id: BlobId(part.body), range: part.from..part.to });
    let wanted: Vec<Part> = wanted.collect();
    let (mut views, mut read) = (Vec::with_capacity(parts.len()), Vec::with_capacity(parts.len()));
    for outcome in snapshot.parts(&wanted).await? {
        let octets = outcome.as_ref().map_or(0, |octets| octets.len() as u64);
        views.push(PartView { octets, problem: outcome.as_ref().err().cloned() });
        read.extend(outcome);
    }
    Ok((AdminResponse::Parts { parts: views }, read))
}

/// The state of a store that a session reaches, at the moment of the first question.
#[derive(Debug)]
pub struct SessionSnapshot<'a>(&'a mut Session);

impl<'a> SessionSnapshot<'a> {
    /// And when it was taken.
    pub async fn take(session: &'a mut Session) -> Result<(Self, String), Failure> {
        let request = AdminRequest::Snapshot { action: SnapshotAction::Take };
        match session.exchange(&request).await? {
            AdminResponse::SnapshotTaken { taken_at } => Ok((Self(session), taken_at)),
            _ => Err(unexpected()),
        }
    }

    async fn ask(&mut self, action: SnapshotAction) -> Result<AdminResponse, Error> {
        let asked = self.0.exchange(&AdminRequest::Snapshot { action }).await;
        asked.map_err(|failure| Error::Source(failure.to_string()))
    }

    async fn octets(&mut self, action: SnapshotAction) -> Result<Bytes, Error> {
        match self.ask(action).await? {
            AdminResponse::Octets { octets } => self.content(octets).await,
            _ => Err(Error::Source(unexpected().to_string())),
        }
    }

    async fn content(&mut self, octets: u64) -> Result<Bytes, Error> {
        let content = self.0.content(octets).await;
        content.map(Bytes::from).map_err(|failure| Error::Source(failure.to_string()))
    }
}

#[async_trait::async_trait]
impl Source for SessionSnapshot<'_> {
    async fn pairs(&mut self, from: &Key) -> Result<Vec<(Key, Bytes)>, Error> {
        let cursor = (!from.0.is_empty()).then(|| Cursor::new(from.as_slice()));
        let octets = self.octets(SnapshotAction::Pairs { from: cursor }).await?;
        let pairs = decode_pairs(&octets).ok_or_else(|| Error::Source(unexpected().to_string()))?;
        // Only what is the store's, and always further on: whatever answers, the end comes.
        let sound = pairs.iter().all(|(key, _)| key >= from && key.as_slice() < &[ENGINE_FIRST][..]);
        if sound { Ok(pairs) } else { Err(Error::Source(unexpected().to_string())) }
    }

    async fn bodies(&mut self, after: Option<BlobId>) -> Result<Vec<Body>, Error> {
        let octets = self.octets(SnapshotAction::Bodies { after: after.map(|BlobId(id)| id) }).await?;
        decode_bodies(&octets).ok_or_else(|| Error::Source(unexpected().to_string()))
    }

    async fn parts(&mut self, parts: &[Part]) -> Result<Vec<Result<Bytes, String>>, Error> {
        if parts.is_empty() {
            return Ok(Vec::new());
        }
        let wanted = |part: &Part| BodyPart { body: part.id.0, from: part.range.start, to: part.range.end };
        let parts = parts.iter().map(wanted).collect();
        let AdminResponse::Parts { parts } = self.ask(SnapshotAction::Parts { parts }).await? else {
            return Err(Error::Source(unexpected().to_string()));
        };
        let mut read = Vec::with_capacity(parts.len());
        for part in parts {
            let octets = self.content(part.octets).await?;
            read.push(part.problem.map_or(Ok(octets), Err));
        }
        Ok(read)
    }
}

fn unexpected() -> Failure {
    Failure::new("the server gave another answer than expected; is it of this release?")
}
