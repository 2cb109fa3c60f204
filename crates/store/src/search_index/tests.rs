use std::sync::Arc;

use mail::{QueueId, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::{
    Batch, Mailboxes,
    engine::CommitError,
    mailbox::{Flags, MailboxId, OutgoingMessage, Uid},
    memory::{CrashModel, MemoryEngine},
};

const ACCOUNT: AccountId = AccountId(7);

struct House {
    engine: Arc<MemoryEngine>,
    index: SearchIndex,
    mailboxes: Mailboxes,
    inbox: MailboxId,
}

impl House {
    async fn new() -> Self {
        let engine = Arc::new(MemoryEngine::new());
        let mailboxes = Mailboxes::new(engine.clone());
        let inbox = mailboxes.create(ACCOUNT, "INBOX", None, Timestamp::from_millis(0)).await.unwrap().id;
        Self { index: SearchIndex::new(engine.clone()), engine, mailboxes, inbox }
    }

    async fn add(&self, revision: Revision, block: Block) -> Revision {
        self.index.replace(ACCOUNT, revision, &[], Some(block), &[]).await.unwrap()
    }

    async fn blocks(&self) -> Vec<BlockInfo> {
        self.index.blocks(ACCOUNT).await.unwrap()
    }

    /// The messages of a block in which the text may be.
    async fn found(&self, block: &BlockInfo, text: &str) -> Vec<usize> {
        let zones = self.index.find(block, &[Query::new(text).unwrap()]).await.unwrap().pop().unwrap();
        (0..block.record.messages as usize).filter(|at| zones.in_header(*at) || zones.in_body(*at)).collect()
    }
}

fn content(number: u64) -> ContentId {
    ContentId { blob: number, around: 1 }
}

fn block(messages: &[(u64, &str, &str)]) -> Block {
    let mut builder = BlockBuilder::default();
    for (number, header, body) in messages {
        let mut words = builder.message(content(*number));
        for (text, is_body) in [(header, false), (body, true)] {
            words.push(text, is_body);
            words.end(is_body);
        }
        words.finish(true);
    }
    builder.finish()
}

#[tokio::test]
async fn a_block_knows_where_words_are() {
    let house = House::new().await;
    let long = "x".repeat(WORD_BYTES_MAX + 1);
    let made = block(&[
        (1, "subject green", "the meadow is green"),
        (2, "subject two", "ein wald 日本語"),
        (3, "", &long),
    ]);
    house.add(Revision::default(), made).await;
    let [block] = &house.blocks().await[..] else { panic!() };
    let messages = house.index.messages(block).await.unwrap();
    assert_eq!(messages.iter().map(|one| one.is_opaque).collect::<Vec<_>>(), [false, false, true]);
    assert_eq!(messages[1].content, content(2));
    for (text, found) in [
        ("green", &[0][..]),
        ("ree", &[0]),
        ("subject", &[0, 1]),
        ("ject gre", &[0]),
        ("ject re", &[]),
        ("日本", &[1]),
        ("語", &[1]),
        ("日語", &[]),
        ("d 日", &[1]),
        ("gree.", &[]),
    ] {
        assert_eq!(house.found(block, text).await, found, "{text}");
    }
    let zones =
        house.index.find(block, &["green", "meadow"].map(|text| Query::new(text).unwrap())).await.unwrap();
    assert!(zones[0].in_header(0) && zones[0].in_body(0) && !zones[1].in_header(0) && zones[1].in_body(0));
}

#[tokio::test]
async fn blocks_become_one_without_what_is_gone() {
    let house = House::new().await;
    let mut revision = Revision::default();
    for number in 1..=5_u64 {
        let texts = format!("common only{number}");
        revision =
            house.add(revision, block(&[(number * 2, &texts, ""), (number * 2 + 1, "", "gone")])).await;
    }
    let merging = SearchIndex::to_merge(&house.blocks().await).unwrap();
    assert_eq!(merging.len(), 5);
    let made = house.index.merged(&merging, |content| content.blob % 2 == 0).await.unwrap();
    let replaced: Vec<BlobId> = merging.iter().map(|block| block.blob).collect();
    house.index.replace(ACCOUNT, revision, &replaced, Some(made), &[]).await.unwrap();
    let [block] = &house.blocks().await[..] else { panic!() };
    assert_eq!(house.found(block, "only3").await, [2]);
    assert_eq!(house.found(block, "common").await, [0, 1, 2, 3, 4]);
    assert_eq!(house.found(block, "gone").await, [] as [usize; 0]);
    assert_eq!(SearchIndex::to_merge(&house.blocks().await), None);
    assert!(matches!(house.index.messages(&merging[0]).await, Err(StoreError::NotFound)));
}

#[tokio::test]
async fn who_builds_sees_that_somebody_else_did() {
    let house = House::new().await;
    let before = house.index.revision(ACCOUNT).await.unwrap();
    house.add(before, block(&[(1, "a", "")])).await;
    let again = house.index.replace(ACCOUNT, before, &[], Some(block(&[(2, "b", "")])), &[]).await;
    assert!(matches!(again, Err(CommitError::Conflict(_))));
    let gone = MailboxId(house.inbox.0 + 1);
    let revision = house.index.revision(ACCOUNT).await.unwrap();
    let seen = house.index.replace(ACCOUNT, revision, &[], None, &[(gone, Uid(1))]).await;
    assert!(matches!(seen, Err(CommitError::Conflict(_))));
}

#[tokio::test]
async fn what_is_pending_is_told_by_uids() {
    let house = House::new().await;
    house.deliver(3).await;
    let outgoing = OutgoingMessage {
        queue_id: QueueId::from_u64(1),
        blob: BlobId(1),
        blob_bytes: 15,
        accepted_at: Timestamp::from_millis(0),
        keywords: Vec::new(),
    };
    house.mailboxes.outbox(ACCOUNT, Timestamp::from_millis(0)).await.unwrap().unwrap();
    house.mailboxes.show_outbox(ACCOUNT, &[outgoing]).await.unwrap();
    let pending = house.index.pending(ACCOUNT).await.unwrap();
    assert_eq!(pending, [Pending { mailbox: house.inbox, seen: Uid(0), last: Uid(3) }]);
    let revision = house.index.revision(ACCOUNT).await.unwrap();
    let revision = house.index.replace(ACCOUNT, revision, &[], None, &[(house.inbox, Uid(2))]).await.unwrap();
    assert_eq!(house.index.pending(ACCOUNT).await.unwrap()[0].messages(), 1);
    house.index.drop_blocks(ACCOUNT, revision).await.unwrap();
    assert_eq!(house.index.pending(ACCOUNT).await.unwrap()[0].messages(), 3);
    assert_eq!(house.index.next_account(None).await.unwrap(), Some(ACCOUNT));
    assert_eq!(house.index.next_account(Some(ACCOUNT)).await.unwrap(), None);
}

#[tokio::test]
async fn the_index_goes_with_its_account() {
    let house = House::new().await;
    house.add(Revision::default(), block(&[(1, "a", "")])).await;
    let (mut removal, mut late) = (Batch::new(), Batch::new());
    house.mailboxes.stage_removal(&mut late, ACCOUNT).await.unwrap();
    let revision = house.index.revision(ACCOUNT).await.unwrap();
    house.add(revision, block(&[(2, "b", "")])).await;
    assert!(matches!(house.engine.commit(late).await, Err(CommitError::Conflict(_))));
    house.mailboxes.stage_removal(&mut removal, ACCOUNT).await.unwrap();
    house.engine.commit(removal).await.unwrap();
    assert_eq!(house.engine.scan(KeyRange::prefix(&[SEARCH_BLOCK]), Order::Ascending, 9).await.unwrap(), []);
    let orphan =
        house.index.replace(ACCOUNT, Revision::default(), &[], Some(block(&[(3, "c", "")])), &[]).await;
    assert!(matches!(orphan, Err(CommitError::Conflict(_))));
}

#[tokio::test]
async fn other_formats_and_damage_are_no_blocks() {
    let house = House::new().await;
    house.add(Revision::default(), block(&[(1, "a", "")])).await;
    let range = KeyRange::prefix(&[SEARCH_BLOCK]);
    let (key, value) = house.engine.scan(range, Order::Ascending, 1).await.unwrap().pop().unwrap();
    let mut other = value.to_vec();
    // The format, after the version of the record.
    other[1] += 1;
    for stored in [other, vec![99], Vec::new()] {
        let mut batch = Batch::new();
        batch.put(key.clone(), stored);
        house.engine.commit(batch).await.unwrap();
        assert_eq!(house.blocks().await, []);
        assert_eq!(house.index.unreadable(ACCOUNT).await.unwrap().len(), 1);
    }
    let mut batch = Batch::new();
    let mut longer = value.to_vec();
    // The octets of the lists, at the end.
    *longer.last_mut().unwrap() += 1;
    batch.put(key, longer);
    house.engine.commit(batch).await.unwrap();
    let [block] = &house.blocks().await[..] else { panic!() };
    assert!(matches!(house.index.find(block, &[]).await, Err(StoreError::Damaged(_))));
}

/// Adds a block, or makes one of several.
async fn step(index: &SearchIndex, number: u64) -> Result<(), CommitError> {
    let revision = index.revision(ACCOUNT).await?;
    let (replaced, made) = match SearchIndex::to_merge(&index.blocks(ACCOUNT).await?) {
        Some(alike) => {
            let made = index.merged(&alike, |_| true).await?;
            (alike.iter().map(|block| block.blob).collect(), made)
        }
        None => (Vec::new(), block(&[(number, "common", "text")])),
    };
    index.replace(ACCOUNT, revision, &replaced, Some(made), &[]).await.map(drop)
}

#[tokio::test]
async fn whatever_crashes_when_a_block_is_there_or_it_is_not() {
    let (mut crashes, mut merged) = (0, 0);
    for seed in 0..60 {
        let model = CrashModel::calm(seed).crash_one_in(40).sync_error_one_in(60);
        let mut engine = Arc::new(House::new().await.engine.crash_into(Some(model)));
        let (mut told, mut tried) = (BTreeSet::new(), BTreeSet::new());
        for number in 0..40 {
            let index = SearchIndex::new(engine.clone());
            let before = index.blocks(ACCOUNT).await.map_or(0, |blocks| blocks.len());
            let merges = before >= 4;
            tried.extend(Some(number).filter(|_| !merges));
            if step(&index, number).await.is_ok() {
                told.extend(Some(number).filter(|_| !merges));
                merged += usize::from(merges);
                continue;
            }
            crashes += 1;
            engine = Arc::new(engine.crash());
            let index = SearchIndex::new(engine.clone());
            let mut there = Vec::new();
            let blocks = index.blocks(ACCOUNT).await.unwrap();
            for one in &blocks {
                there.extend(index.messages(one).await.unwrap().iter().map(|message| message.content.blob));
                let zones = index.find(one, &[Query::new("common").unwrap()]).await.unwrap();
                assert!((0..one.record.messages as usize).all(|at| zones[0].in_header(at)));
            }
            let distinct: BTreeSet<u64> = there.iter().copied().collect();
            assert!(
                distinct.len() == there.len() && distinct.is_superset(&told) && distinct.is_subset(&tried)
            );
            assert_eq!(engine.bodies().0, blocks.len(), "octets that nobody refers to");
            told = distinct;
        }
    }
    assert!(crashes > 50 && merged > 50, "{crashes} crashes, {merged} times merged");
}

impl House {
    async fn deliver(&self, count: u32) {
        for _ in 0..count {
            let mut writer = self.engine.blob_writer().await.unwrap();
            writer.write(Bytes::from_static(b"Subject: x\r\n\r\n")).await.unwrap();
            let body = writer.finish().await.unwrap();
            let record = MessageRecord {
                blob: body.id,
                blob_bytes: body.bytes,
                prefix: Bytes::new(),
                internal_date: Timestamp::from_millis(0),
                flags: Flags::default(),
                keywords: Vec::new(),
                queue_id: None,
                saved_at: Timestamp::from_millis(0),
            };
            let mut batch = Batch::new();
            batch.blob(body);
            self.mailboxes.append(&mut batch, self.inbox, &record);
            self.engine.commit(batch).await.unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// With so many words that there are several samples, and merged or not.
    #[test]
    fn nothing_that_is_there_is_ruled_out(
        texts in prop::collection::vec("[a-c日本ß .]{0,120}", 1..40), split in 1_usize..10, from in 0_usize..100, length in 1_usize..6
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let wanted: String = texts[0].chars().skip(from).take(length).collect();
        let Some(query) = Query::new(&wanted) else { return Ok(()) };
        let numbered: Vec<(u64, &str, &str)> =
            (0..).zip(&texts).map(|(number, text)| (number, "", text.as_str())).collect();
        runtime.block_on(async {
            let house = House::new().await;
            let mut revision = Revision::default();
            for part in numbered.chunks(split) {
                revision = house.add(revision, block(part)).await;
            }
            let all = house.blocks().await;
            let merged = house.index.merged(&all, |_| true).await.unwrap();
            house.add(revision, merged).await;
            for one in house.blocks().await {
                let zones = house.index.find(&one, std::slice::from_ref(&query)).await.unwrap().pop().unwrap();
                for (at, message) in house.index.messages(&one).await.unwrap().iter().enumerate() {
                    let text = &texts[usize::try_from(message.content.blob).unwrap()];
                    assert!(zones.in_body(at) || !text.contains(&wanted), "{wanted:?} in {text:?}");
                    assert!(!zones.in_header(at));
                }
            }
        });
    }
}
