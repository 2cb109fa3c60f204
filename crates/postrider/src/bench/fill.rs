//! Fills a store with deferred messages, without sending any: for measurements of a long queue.

use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use mail::{Address, MailParameters, QueueId, RcptParameters, ReversePath, Timestamp};
use store::{
    Batch, BlobId, Stores,
    ledger::Event,
    spool::{EntryStatus, LaneId, QueueEntry, QueuedRecipient, Renewal},
};
use world::World;

use crate::{
    Failure,
    cli::{Common, Output},
    storage,
};

/// Messages committed together, which share one body.
const BATCH_MESSAGES: u64 = 500;
/// Messages of one sender.
const SENDER_MESSAGES: u64 = 10;
const ACCEPTED_WITHIN: Duration = Duration::from_hours(24);
const ACCEPTED_WITHIN_MS: i64 = 24 * 60 * 60 * 1000;
/// Senders of older ones were told that their mail waits.
const DELAY_TOLD_AFTER: Duration = Duration::from_hours(4);
const DUE_FROM: Duration = Duration::from_hours(1);
const DUE_WITHIN: Duration = Duration::from_hours(4);

#[derive(Clone, Debug, Args)]
pub struct Fill {
    /// Messages in all
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    entries: u64,
    /// Domains that every second message goes to, each in a lane of its own
    #[arg(long, value_name = "COUNT", default_value_t = 50_000, value_parser = clap::value_parser!(u64).range(1..))]
    domains: u64,
    /// Lane of all others
    #[arg(long, value_name = "LANE", default_value = "smtp:127.0.0.1:2526")]
    lane: String,
    /// Of these others so many come from burst@burst.test
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    burst: u64,
    /// Every second message comes due within the first so many seconds
    #[arg(long, value_name = "SECONDS")]
    due_within: Option<u64>,
}

impl Fill {
    pub async fn run(self, common: &Common, output: &mut Output) -> Result<(), Failure> {
        let stores = storage::open(&common.location.data_dir()?, true).await?;
        let now = World::system().clock.wall();
        // A store that begins with this release is not one of an earlier one, whose entries are indexed by a server.
        let mut renewal = Renewal::default();
        while !renewal.is_over() {
            renewal = stores.spool.renew(renewal).await.map_err(Failure::new)?;
        }
        let mut done = 0;
        while done < self.entries {
            let end = self.entries.min(done + BATCH_MESSAGES);
            self.commit(&stores, now, done..end).await?;
            done = end;
        }
        stores.engine.close().await?;
        output.done(&format!("{done} messages are in the queue"))
    }

    async fn commit(
        &self,
        stores: &Stores,
        now: Timestamp,
        numbers: std::ops::Range<u64>,
    ) -> Result<(), Failure> {
        let mut writer = stores.engine.blob_writer().await?;
        writer.write(Bytes::from(vec![b'x'; 4096])).await?;
        let body = writer.finish().await?;
        let (blob, blob_bytes) = (body.id, body.bytes);
        let mut batch = Batch::new();
        batch.blob(body);
        for number in numbers {
            let entry = self.entry(number, now, blob, blob_bytes)?;
            stores.spool.add(&mut batch, &entry);
            record(stores, &mut batch, &entry);
        }
        stores.engine.commit(batch).await.map_err(Failure::new)?;
        Ok(())
    }

    fn entry(
        &self,
        number: u64,
        now: Timestamp,
        blob: BlobId,
        blob_bytes: u64,
    ) -> Result<QueueEntry, Failure> {
        let began = Timestamp::from_millis(now.millis() - ACCEPTED_WITHIN_MS);
        let share = |span: Duration| span.mul_f64(fraction(number, self.entries));
        let accepted_at = began.plus(share(ACCEPTED_WITHIN));
        let is_spread = number % 2 == 1;
        let domain = number / 2 % self.domains;
        let lane = if is_spread { format!("mx:mx{domain}.bench.test") } else { self.lane.clone() };
        let sender = if !is_spread && number / 2 < self.burst {
            "burst@burst.test".to_owned()
        } else {
            format!("s{}@d{}.test", number / SENDER_MESSAGES, number / SENDER_MESSAGES % 1000)
        };
        let due = match self.due_within {
            Some(seconds) if is_spread => now.plus(share(Duration::from_secs(seconds))),
            _ => now.plus(DUE_FROM).plus(share(DUE_WITHIN)),
        };
        Ok(QueueEntry {
            queue_id: QueueId::new(accepted_at, u32::try_from(number % (1 << 22)).unwrap_or_default()),
            part: 0,
            lane: LaneId(lane.into()),
            reverse_path: ReversePath::Address(address(&sender)?),
            mail: MailParameters::default(),
            recipients: vec![QueuedRecipient {
                address: address(&format!("r{number}@m{domain}.bench.test"))?,
                original: None,
                rcpt: RcptParameters::default(),
            }],
            blob,
            blob_bytes,
            accepted_at,
            due,
            attempts: 1,
            status: EntryStatus::Waiting,
            last_error: Some("the host refused the connection".to_owned()),
            delay_told: now.since(accepted_at) >= DELAY_TOLD_AFTER,
            release_at: accepted_at,
            deadline: None,
            rerouted: false,
            submitter: None,
        })
    }
}

/// What an accept and a deferral leave in the history.
fn record(stores: &Stores, batch: &mut Batch, entry: &QueueEntry) {
    let (id, at) = (entry.queue_id, entry.accepted_at);
    let recipients: Vec<String> = entry.recipients.iter().map(|to| to.address.to_string()).collect();
    let accepted = Event::Accepted {
        service: "smtp".to_owned(),
        client_ip: Some("192.0.2.1".to_owned()),
        helo: Some("client.example".to_owned()),
        tls: None,
        identity: None,
        reverse_path: entry.reverse_path.to_string(),
        recipients: recipients.clone(),
        bytes: entry.blob_bytes,
        message_id: None,
    };
    stores.ledger.append(batch, id, at, &accepted);
    for term in &recipients {
        stores.ledger.index(batch, id, term);
    }
    stores.ledger.index(batch, id, &entry.reverse_path.to_string());
    let reason = entry.last_error.clone().unwrap_or_default();
    stores.ledger.append(batch, id, at, &Event::Deferred { recipients, reason, until: entry.due });
}

fn address(text: &str) -> Result<Address, Failure> {
    text.parse().map_err(Failure::new)
}

#[expect(clippy::cast_precision_loss, reason = "times that need not be exact")]
fn fraction(number: u64, all: u64) -> f64 {
    number as f64 / all.max(1) as f64
}
