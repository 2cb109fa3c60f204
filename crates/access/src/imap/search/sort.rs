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
    PAGE_MESSAGES, mentions_modseq, part,
    subject::base_subject,
};

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
        let needs_records =
            sort.by.iter().any(|key| matches!(key.field, SortField::Arrival | SortField::Size));
        let mut rows = Vec::with_capacity(hits.uids.len());
        for page in hits.uids.chunks(PAGE_MESSAGES) {
            self.show_progress(hits.seen + rows.len(), None).await?;
            let undated = self.read_rows(&sort.by, page, needs_records, &mut rows).await?;
            self.read_rows(&sort.by, &undated, true, &mut rows).await?;
            tokio::task::yield_now().await;
        }
        rows.sort_by(|one, other| compare(&sort.by, one, other));
        let view = &self.selected()?.view;
        let uids = rows.into_iter().map(|(_, uid)| uid);
        let numbers: Vec<u32> =
            if by_uid { uids.collect() } else { uids.filter_map(|uid| view.number(uid)).collect() };
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

    /// Reads what messages are sorted by. Returns those of which only their records tell it.
    async fn read_rows(
        &mut self,
        by: &[SortKey],
        uids: &[u32],
        with_records: bool,
        rows: &mut Vec<(Vec<Value>, u32)>,
    ) -> Result<Vec<u32>, Refusal> {
        let records = if with_records { self.load(uids).await? } else { Vec::new() };
        let record = |uid: Uid| {
            let place = records.binary_search_by_key(&uid, |message| message.uid).ok()?;
            records.get(place).map(|message| &message.record)
        };
        let mailbox = self.selected()?.mailbox;
        let uids: Vec<Uid> = uids.iter().copied().map(Uid).collect();
        let read = |uid: Uid, head: &StructureHead<'_>| {
            let values = by.iter().map(|key| value(key.field, record(uid), head.envelope.as_ref()));
            (values.collect::<Option<Vec<Value>>>(), uid.0)
        };
        let mut undecided = Vec::new();
        for (values, uid) in self.mailboxes().structure_heads(mailbox, &uids, read).await? {
            match values {
                Some(values) => rows.push((values, uid)),
                None => undecided.push(uid),
            }
        }
        Ok(undecided)
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
    written(date).unwrap_or(message.record.internal_date)
}

fn written(date: Option<&str>) -> Option<Timestamp> {
    Timestamp::parse_rfc5322(date?.trim()).ok()
}

/// `None` if only the record tells.
fn value(
    field: SortField,
    record: Option<&MessageRecord>,
    envelope: Option<&EnvelopeHead<'_>>,
) -> Option<Value> {
    let address = |addresses: Option<&Vec<AddressHead<'_>>>| Value::Text(first_mailbox(addresses));
    let came = || record.map(|record| record.internal_date);
    Some(match field {
        SortField::Arrival => Value::Number(came()?.millis()),
        SortField::Date => {
            let date = envelope.and_then(|envelope| envelope.date);
            Value::Number(written(date).or_else(came)?.millis())
        }
        SortField::Size => Value::Number(i64::try_from(record?.octets()).unwrap_or(i64::MAX)),
        SortField::From => address(envelope.map(|envelope| &envelope.from)),
        SortField::To => address(envelope.map(|envelope| &envelope.to)),
        SortField::Cc => address(envelope.map(|envelope| &envelope.cc)),
        SortField::Subject => {
            let subject = envelope.and_then(|envelope| envelope.subject);
            Value::Text(base_subject(subject.unwrap_or_default()).0)
        }
    })
}

/// RFC 5256 §3: the local part of the first address, or the name of the group.
fn first_mailbox(addresses: Option<&Vec<AddressHead<'_>>>) -> String {
    match addresses.and_then(|addresses| addresses.first()) {
        Some(AddressHead::Mailbox { local_part, .. }) => local_part.to_lowercase(),
        Some(AddressHead::GroupStart(name)) => name.to_lowercase(),
        Some(AddressHead::GroupEnd) | None => String::new(),
    }
}
