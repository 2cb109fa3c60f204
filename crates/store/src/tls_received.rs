//! Reports that others sent us on how their mail reached us under TLS.

use mail::{QueueId, Timestamp, tls_report::Report};
use serde::{Deserialize, Serialize};

use crate::{
    batch::Batch,
    engine::{CommitError, KeyRange, Order, StoreError},
    keys::{KeyBuilder, TLS_RECEIVED},
    tls_reports::TlsReports,
    value::Value,
};

/// The latest that are kept; a message with one more puts the oldest out.
pub const RECEIVED_MAX: usize = 1000;

/// Cleaned when it was read; nobody vouches for who sent it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedReport {
    pub at: Timestamp,
    /// The report as JSON: what others may leave out has no place in a value of fixed fields.
    pub json: String,
}

impl Value for ReceivedReport {
    const NAME: &'static str = "received TLS report";
    const VERSION: u8 = 1;
}

impl ReceivedReport {
    pub fn new(at: Timestamp, report: &Report) -> Self {
        Self { at, json: String::from_utf8(report.json()).unwrap_or_default() }
    }

    /// None if it is damaged.
    pub fn report(&self) -> Option<Report> {
        mail::tls_report::read_json(self.json.as_bytes()).ok()
    }
}

impl TlsReports {
    /// Keeps a report that came with this message; the same once more if it is delivered once more.
    pub async fn keep_received(&self, id: QueueId, report: &ReceivedReport) -> Result<(), CommitError> {
        let mut batch = Batch::new();
        let all = self.engine.scan(KeyRange::prefix(&[TLS_RECEIVED]), Order::Ascending, RECEIVED_MAX).await?;
        if all.len() >= RECEIVED_MAX
            && let Some((oldest, _)) = all.first()
        {
            batch.delete(oldest.clone());
        }
        batch.put(KeyBuilder::new(TLS_RECEIVED).id(id).octets(), report.encode());
        self.engine.commit(batch).await.map(drop)
    }

    /// The latest first.
    pub async fn received(&self) -> Result<Vec<ReceivedReport>, StoreError> {
        let range = KeyRange::prefix(&[TLS_RECEIVED]);
        let found = self.engine.scan(range, Order::Descending, RECEIVED_MAX).await?;
        found.iter().map(|(_, value)| ReceivedReport::decode(value)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::memory::MemoryEngine;

    #[tokio::test]
    async fn the_latest_are_kept() {
        let reports = TlsReports::new(Arc::new(MemoryEngine::new()));
        for n in 0..u64::try_from(RECEIVED_MAX).unwrap() + 5 {
            let at = Timestamp::from_millis(n.cast_signed());
            let report = ReceivedReport { at, json: "{}".to_owned() };
            reports.keep_received(QueueId::from_u64(n), &report).await.unwrap();
        }
        let kept = reports.received().await.unwrap();
        assert_eq!((kept.len(), kept[0].at), (RECEIVED_MAX, Timestamp::from_millis(1004)));
        assert_eq!(kept[0].report(), None);
    }
}
