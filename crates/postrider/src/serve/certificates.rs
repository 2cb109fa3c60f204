//! The certificates in force, and the files that they come from.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use world::{
    Clock, Shutdown,
    tls::{Keyring, Keys},
};

use crate::{Failure, config::Config, tls};

/// A certificate that expires sooner is spoken of when it is read.
const EXPIRY_NOTICE: Duration = Duration::from_hours(14 * 24);

/// Reads certificates again when their files have changed, so that a renewal needs no restart and no signal.
pub struct Certificates {
    keyring: Keyring,
    source: Mutex<Source>,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates").field("source", &self.source).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Source {
    config: Config,
    stamps: Vec<Option<Stamp>>,
}

/// What changes when a file does: inode, size, and when its content and its inode changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp(u64, u64, (i64, i64), (i64, i64));

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        let (content, inode) = ((found.mtime(), found.mtime_nsec()), (found.ctime(), found.ctime_nsec()));
        Some(Self(found.ino(), found.size(), content, inode))
    }
}

/// Certificates that were read and can be used.
#[derive(Debug)]
pub struct Renewal {
    keys: Keys,
    source: Source,
}

impl Renewal {
    fn read(config: &Config) -> Result<Self, Failure> {
        // Before the files are read: one that changes meanwhile is read again.
        let stamps = stamps(config);
        let keys = tls::keys(config)?;
        // A self-signed certificate may just have been made.
        let stamps = stamps.into_iter().zip(self::stamps(config)).map(|(old, new)| old.or(new)).collect();
        Ok(Self { keys, source: Source { config: config.clone(), stamps } })
    }
}

impl Certificates {
    pub fn load(config: &Config, clock: Arc<dyn Clock>) -> Result<Self, Failure> {
        let Renewal { keys, source } = Renewal::read(config)?;
        let keyring = Keyring::new(keys);
        let certificates = Self { keyring, source: Mutex::new(source), clock };
        certificates.tell_of_expiry();
        Ok(certificates)
    }

    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// What `config` names, read and checked. Nothing is in force yet.
    pub fn prepare(&self, config: &Config) -> Result<Renewal, Failure> {
        let renewal = Renewal::read(config)?;
        let now = self.clock.wall();
        let (new, old) = (renewal.keys.expires_at(), self.keyring.expires_at());
        if new <= now && old > now {
            return Err(Failure::new(format!("a new certificate expired on {}", new.rfc3339())));
        }
        Ok(renewal)
    }

    pub fn put_in_force(&self, renewal: Renewal) {
        self.keyring.replace(renewal.keys);
        *self.source() = renewal.source;
        self.tell_of_expiry();
    }

    /// Until shutdown; `watch_interval` is asked for each time, so that a reload shows.
    pub async fn watch(self: Arc<Self>, mut shutdown: Shutdown) {
        loop {
            let interval = self.source().config.tls.watch_interval.0;
            tokio::select! {
                () = self.clock.sleep_until(self.clock.now() + interval) => self.look(),
                () = shutdown.given() => return,
            }
        }
    }

    fn look(&self) {
        let config = {
            let mut source = self.source();
            let now = stamps(&source.config);
            if now == source.stamps {
                return;
            }
            // What cannot be used is told of once, not at each look.
            source.stamps = now;
            source.config.clone()
        };
        match self.prepare(&config) {
            Ok(renewal) => {
                self.put_in_force(renewal);
                tracing::info!("certificates have changed and are in force");
            }
            Err(error) => {
                tracing::error!(%error, "certificates have changed and cannot be used; the old ones stay");
            }
        }
    }

    fn tell_of_expiry(&self) {
        let (now, expires_at) = (self.clock.wall(), self.keyring.expires_at());
        let expires_on = expires_at.rfc3339();
        if expires_at <= now {
            tracing::error!(%expires_on, "a certificate has expired; clients that check it will not come in");
        } else if expires_at <= now.plus(EXPIRY_NOTICE) {
            tracing::warn!(%expires_on, "a certificate expires soon");
        }
    }

    fn source(&self) -> MutexGuard<'_, Source> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stamps(config: &Config) -> Vec<Option<Stamp>> {
    tls::files(config).iter().map(|path| Stamp::of(path)).collect()
}
