//! SORT (RFC 5256, RFC 5267).

use std::cmp::Ordering;

use mail::{
    Timestamp,
    mime::{AddressHead, Envelope, EnvelopeHead, StructureHead},
};
use proto::imap::{
    command::{Direction, Sort, SortField, SortKey},
    response::{Data, ESearch, Found, Status},
};
use store::mailbox::{MessageRecord, StoredMessage, Summary, Uid};

use super::{
    super::{
        refusal::Refusal,
        session::{Next, Session},
    },
    Hits, PAGE_MESSAGES, mentions_modseq, part,
    subject::base_subject,
};

/// Messages whose dates are asked for in one go; most are known.
const DATES: usize = 1_000;

/// What a message is sorted by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Number(i64),
    Text(String),
}

impl Session {
    pub(in super::super) async fn sort(
        &mut self,
        tag: String,
        by_uid: bool,
        sort: Sort,
    ) -> Result<Next, Refusal> {
        let hits = self.find_hits(&sort.keys, by_uid).await?;
        let uids = match sort.by.as_slice() {
            [SortKey { field: SortField::Date, direction }] => self.by_date(&hits, *direction).await?,
            by => self.by_values(&hits, by).await?,
        };
        let view = &self.selected()?.view;
        let numbers: Vec<u32> =
            if by_uid { uids } else { uids.into_iter().filter_map(|uid| view.number(uid)).collect() };
        let modseq = mentions_modseq(&sort.keys).then_some(hits.modseq).filter(|_| !numbers.is_empty());
        let data = match sort.returned {
            None => Data::Sort { numbers, modseq },
            Some(returned) => {
                let partial = returned.partial;
                Data::ESearch(Box::new(ESearch {
                    tag,
                    uid: by_uid,
                    // RFC 5267 §3.1: the first and the last in this order.
                    min: numbers.first().copied().filter(|_| returned.min),
                    max: numbers.last().copied().filter(|_| returned.max),
                    count: returned.count.then_some(numbers.len() as u64),
                    partial: partial.map(|range| (range, Found::Sorted(part(range, &numbers).to_vec()))),
                    all: returned.all.then_some(Found::Sorted(numbers)),
                    modseq,
                }))
            }
        };
        self.machine.data(&data);
        Ok(Next::Done(Status::ok("sorted")))
    }

    /// What mail programs ask for most.
    async fn by_date(&mut self, hits: &Hits, direction: Direction) -> Result<Vec<u32>, Refusal> {
        let mailbox = self.selected()?.mailbox;
        let mut rows = Vec::with_capacity(hits.uids.len());
        for page in hits.uids.chunks(DATES) {
            self.show_progress(hits.seen + rows.len(), None).await?;
            let uids: Vec<Uid> = page.iter().copied().map(Uid).collect();
            rows.extend(self.mailboxes().sent_dates(mailbox, &uids).await?);
            tokio::task::yield_now().await;
        }
        rows.sort_unstable_by(|(one, date), (other, other_date)| {
            let by_date = match direction {
                Direction::Ascending => date.cmp(other_date),
                Direction::Descending => other_date.cmp(date),
            };
            // RFC 5256 §3: what is equal stays in order.
            by_date.then(one.cmp(other))
        });
        Ok(rows.into_iter().map(|(uid, _)| uid.0).collect())
    }

    async fn by_values(&mut self, hits: &Hits, by: &[SortKey]) -> Result<Vec<u32>, Refusal> {
        let mut rows = Vec::with_capacity(hits.uids.len());
        for page in hits.uids.chunks(PAGE_MESSAGES) {
            self.show_progress(hits.seen + rows.len(), None).await?;
            self.read_rows(by, page, &mut rows).await?;
            tokio::task::yield_now().await;
        }
        rows.sort_by(|one, other| compare(by, one, other));
        Ok(rows.into_iter().map(|(_, uid)| uid).collect())
    }

    /// Reads what messages are sorted by.
    async fn read_rows(
        &mut self,
        by: &[SortKey],
        uids: &[u32],
        rows: &mut Vec<(Vec<Value>, u32)>,
    ) -> Result<(), Refusal> {
        let asks = |fields: &[SortField]| by.iter().any(|key| fields.contains(&key.field));
        let needs_records = asks(&[SortField::Arrival, SortField::Size]);
        let records = if needs_records { self.load(uids).await? } else { Vec::new() };
        let (mailbox, mailboxes) = (self.selected()?.mailbox, self.mailboxes());
        let uids: Vec<Uid> = uids.iter().copied().map(Uid).collect();
        let dates =
            if asks(&[SortField::Date]) { mailboxes.sent_dates(mailbox, &uids).await? } else { Vec::new() };
        let row = |uid: Uid, envelope: Option<&EnvelopeHead<'_>>| {
            let record = records.binary_search_by_key(&uid, |message| message.uid).ok();
            let date = dates.binary_search_by_key(&uid, |(uid, _)| *uid).ok();
            let known = Known {
                record: record.and_then(|place| records.get(place)).map(|message| &message.record),
                date: date.and_then(|place| dates.get(place)).map(|(_, date)| *date),
                envelope,
            };
            let values: Option<Vec<Value>> = by.iter().map(|key| known.value(key.field)).collect();
            values.map(|values| (values, uid.0))
        };
        // What is gone meanwhile is left out.
        if asks(&[SortField::From, SortField::To, SortField::Cc, SortField::Subject]) {
            let read = |uid: Uid, head: &StructureHead<'_>| row(uid, head.envelope.as_ref());
            rows.extend(mailboxes.structure_heads(mailbox, &uids, read).await?.into_iter().flatten());
        } else {
            rows.extend(uids.iter().filter_map(|uid| row(*uid, None)));
        }
        Ok(())
    }

    /// Those that are there still, and can be read.
    pub(super) async fn load_with_summaries(
        &mut self,
        uids: &[u32],
    ) -> Result<Vec<(StoredMessage, Summary)>, Refusal> {
        let messages = self.load(uids).await?;
        let mailbox = self.selected()?.mailbox;
        let summaries = self.mailboxes().summaries(mailbox, &messages).await?;
        let both = messages.into_iter().zip(summaries);
        Ok(both.filter_map(|(message, summary)| Some((message, summary?))).collect())
    }
}

fn compare(by: &[SortKey], one: &(Vec<Value>, u32), other: &(Vec<Value>, u32)) -> Ordering {
    let pairs = by.iter().zip(one.0.iter().zip(&other.0));
    let by_values = pairs.map(|(key, (one, other))| match key.direction {
        Direction::Ascending => one.cmp(other),
        Direction::Descending => other.cmp(one),
    });
    // RFC 5256 §3: what is equal stays in order.
    by_values.fold(Ordering::Equal, Ordering::then).then(one.1.cmp(&other.1))
}

pub(super) fn envelope(summary: &Summary) -> Option<&Envelope> {
    summary.structure.parts().first()?.envelope.as_deref()
}

/// When it was written (RFC 5256 §2.2): where that cannot be told, when it came.
pub(super) fn sent(message: &StoredMessage, summary: &Summary) -> Timestamp {
    let date = envelope(summary).and_then(|envelope| envelope.date.as_deref());
    let sent = date.and_then(|date| Timestamp::parse_rfc5322(date.trim()).ok());
    sent.unwrap_or(message.record.internal_date)
}

/// What is known of a message that is sorted.
struct Known<'a> {
    record: Option<&'a MessageRecord>,
    /// When it was written.
    date: Option<i64>,
    envelope: Option<&'a EnvelopeHead<'a>>,
}

impl Known<'_> {
    fn value(&self, field: SortField) -> Option<Value> {
        let envelope = self.envelope;
        let address = |addresses: Option<&Vec<AddressHead<'_>>>| Value::Text(first_mailbox(addresses));
        Some(match field {
            SortField::Arrival => Value::Number(self.record?.internal_date.millis()),
            SortField::Date => Value::Number(self.date?),
            SortField::Size => Value::Number(i64::try_from(self.record?.octets()).unwrap_or(i64::MAX)),
            SortField::From => address(envelope.map(|envelope| &envelope.from)),
            SortField::To => address(envelope.map(|envelope| &envelope.to)),
            SortField::Cc => address(envelope.map(|envelope| &envelope.cc)),
            SortField::Subject => {
                let subject = envelope.and_then(|envelope| envelope.subject);
                Value::Text(base_subject(subject.unwrap_or_default()).0)
            }
        })
    }
}

/// RFC 5256 §3: the local part of the first address, or the name of the group.
fn first_mailbox(addresses: Option<&Vec<AddressHead<'_>>>) -> String {
    match addresses.and_then(|addresses| addresses.first()) {
        Some(AddressHead::Mailbox { local_part, .. }) => local_part.to_lowercase(),
        Some(AddressHead::GroupStart(name)) => name.to_lowercase(),
        Some(AddressHead::GroupEnd) | None => String::new(),
    }
}
