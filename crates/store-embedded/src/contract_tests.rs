use std::sync::{Arc, atomic::Ordering};

use store::{Engine, contract::Subject};
use tempfile::TempDir;

use crate::{EmbeddedEngine, Options};

struct OnDisk {
    dir: TempDir,
    options: Options,
    engine: Option<Arc<EmbeddedEngine>>,
}

impl OnDisk {
    fn new(options: Options) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let engine = Some(EmbeddedEngine::open(dir.path(), options).unwrap());
        Self { dir, options, engine }
    }

    fn opened(&self) -> &Arc<EmbeddedEngine> {
        self.engine.as_ref().unwrap()
    }
}

#[async_trait::async_trait]
impl Subject for OnDisk {
    fn engine(&self) -> Arc<dyn Engine> {
        Arc::clone(self.opened()) as _
    }

    async fn reopen(&mut self, clean: bool) -> bool {
        if clean {
            self.opened().close().await.unwrap();
        }
        self.engine = None;
        self.engine = Some(EmbeddedEngine::open(self.dir.path(), self.options).unwrap());
        assert_eq!(self.opened().damage(), []);
        true
    }

    fn fail_next_sync(&self) -> bool {
        self.opened().shared.segments.disk.fail_next_sync.store(true, Ordering::Relaxed);
        true
    }

    fn set_full(&self, full: bool) -> bool {
        self.opened().shared.segments.disk.full.store(full, Ordering::Relaxed);
        true
    }
}

mod as_shipped {
    store::contract_tests!(|| async { super::OnDisk::new(super::Options::default()) });
}

/// Everything happens all the time: rotation, checkpoints, compaction.
mod with_tiny_parts {
    store::contract_tests!(|| async {
        super::OnDisk::new(super::Options {
            segment_bytes: 2000,
            memtable_bytes: 1000,
            checkpoint_interval_ms: 1,
            ..super::Options::default()
        })
    });
}
