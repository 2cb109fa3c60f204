//! A store made of a backup.

use store::{Batch, BlobId, Engine};

use crate::{
    Progress, Watch,
    error::Error,
    read::Backup,
    table::{self, PIECE_BYTES, Row},
};

/// What one batch carries.
const BATCH_BYTES: usize = 2 * 1024 * 1024;
const BATCH_BODIES: usize = 500;
/// Numbers of bodies that the store may have given out after the backup; clients know messages by them (RFC 8474), so
/// none is given out again.
const BODY_NUMBERS_PASSED: u64 = 1 << 24;

/// What to do with bodies that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    Refuse,
    /// Their messages are listed, but cannot be read.
    Skip,
}

#[derive(Debug, Default)]
pub struct Copied {
    pub pairs: u64,
    pub bodies: u64,
    pub body_bytes: u64,
    /// What was left out, in words.
    pub left_out: Vec<String>,
}

/// Writes everything into an empty store. What fails leaves a part there.
pub async fn copy(
    backup: &Backup,
    engine: &dyn Engine,
    damage: Damage,
    watch: Watch<'_>,
) -> Result<Copied, Error> {
    watch(Progress::Total(backup.end().body_bytes));
    let mut copied = Copied::default();
    bodies(backup, engine, damage, watch, &mut copied).await?;
    pairs(backup, engine, &mut copied).await?;
    Ok(copied)
}

async fn bodies(
    backup: &Backup,
    engine: &dyn Engine,
    damage: Damage,
    watch: Watch<'_>,
    copied: &mut Copied,
) -> Result<(), Error> {
    let mut after: Option<BlobId> = None;
    let (mut batch, mut octets) = (Batch::new(), 0);
    loop {
        let rows = backup.rows(after, BATCH_BODIES)?;
        let Some(last) = rows.last() else { break };
        after = Some(last.body.id);
        for row in &rows {
            watch(Progress::Done(row.body.bytes));
            match body(backup, engine, row, &mut batch).await {
                Ok(()) => {
                    copied.bodies += 1;
                    copied.body_bytes += row.body.bytes;
                }
                Err(error @ (Error::Damaged { .. } | Error::Store(_))) if damage == Damage::Skip => {
                    copied.left_out.push(error.to_string());
                }
                Err(error) => return Err(error),
            }
            octets += row.body.bytes;
            if octets >= BATCH_BYTES as u64 {
                engine.commit(std::mem::take(&mut batch)).await?;
                octets = 0;
            }
        }
        engine.commit(std::mem::take(&mut batch)).await?;
    }
    let passed = after.unwrap_or(BlobId(0)).0.saturating_add(BODY_NUMBERS_PASSED);
    drop(engine.blob_writer_as(BlobId(passed)).await?);
    Ok(())
}

async fn body(backup: &Backup, engine: &dyn Engine, row: &Row, batch: &mut Batch) -> Result<(), Error> {
    let mut writer = engine.blob_writer_as(row.body.id).await?;
    for index in 0..row.body.bytes.div_ceil(PIECE_BYTES).max(1) {
        writer.write(backup.piece(row, index)?).await?;
    }
    batch.references(row.body.id, i64::try_from(row.body.references).unwrap_or(i64::MAX));
    batch.blob(writer.finish().await?);
    Ok(())
}

async fn pairs(backup: &Backup, engine: &dyn Engine, copied: &mut Copied) -> Result<(), Error> {
    let (mut batch, mut octets, end) = (Batch::new(), 0, table::start());
    for index in 0..backup.pages.len() {
        let page = backup.page(index)?;
        for (key, value) in page.iter().filter(|(key, _)| *key < end) {
            octets += key.0.len() + value.len();
            copied.pairs += 1;
            batch.put(key.clone(), value.to_vec());
        }
        if octets >= BATCH_BYTES {
            engine.commit(std::mem::take(&mut batch)).await?;
            octets = 0;
        }
    }
    engine.commit(batch).await?;
    Ok(())
}
