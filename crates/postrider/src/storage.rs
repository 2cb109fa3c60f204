//! Opening the stores of a data directory.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use store::{CommitError, Stores};
use store_embedded::{EmbeddedEngine, OpenError, Options};

use crate::Failure;

/// Where the engine keeps its files in the data directory.
const STORE_DIRECTORY: &str = "store";
const RESTORING_DIRECTORY: &str = "store.restoring";

/// Why the stores are not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenFailure {
    #[error(
        "there is no data in {0}; start `postrider` there, or name the place with --config FILE or --data DIR"
    )]
    Missing(String),
    /// Another process has them, most likely a server.
    #[error("the data directory {0} is in use by another Postrider")]
    InUse(String),
    /// A restore would be lost in it, or it in the restore.
    #[error(
        "there is a mail system in the data directory {0} already; name an empty one with --data DIR, or move {0}/store \
         away while no server runs. To bring back mail of one account, name it with --account"
    )]
    Filled(String),
    #[error("the data directory {0} cannot be used: {1}")]
    Unusable(String, String),
}

/// Opens what the data directory holds; makes it, for its owner only, if `create` says so.
pub async fn open(data_dir: &Path, create: bool) -> Result<Stores, OpenFailure> {
    let (place, shown) = (data_dir.join(STORE_DIRECTORY), data_dir.display().to_string());
    if !create && !place.exists() {
        return Err(OpenFailure::Missing(shown));
    }
    let unusable = |reason: String| OpenFailure::Unusable(shown.clone(), reason);
    make_private(data_dir)
        .and_then(|()| make_private(&place))
        .map_err(|error| unusable(error.to_string()))?;
    // Opening replays what a crash left, which takes time.
    let opened = tokio::task::spawn_blocking(move || EmbeddedEngine::open(&place, Options::default())).await;
    match opened.map_err(|error| unusable(error.to_string()))? {
        Ok(engine) => {
            let stores = Stores::new(engine);
            renew(&stores).await.map_err(|error| unusable(error.to_string()))?;
            Ok(stores)
        }
        Err(OpenError::Locked(_)) => Err(OpenFailure::InUse(shown)),
        Err(error) => Err(unusable(error.to_string())),
    }
}

/// A store that is made of a backup; it gets its place when it is whole.
#[derive(Debug)]
pub struct Restoring {
    pub stores: Stores,
    place: PathBuf,
    target: PathBuf,
    data_dir: PathBuf,
}

/// Begins a store in a data directory that has none. What an earlier attempt left of it is removed.
pub async fn restore(data_dir: &Path) -> Result<Restoring, OpenFailure> {
    let (place, target) = (data_dir.join(RESTORING_DIRECTORY), data_dir.join(STORE_DIRECTORY));
    let shown = data_dir.display().to_string();
    if target.exists() {
        return Err(OpenFailure::Filled(shown));
    }
    let unusable = |reason: String| OpenFailure::Unusable(shown.clone(), reason);
    let begun = make_private(data_dir)
        .and_then(|()| if place.exists() { remove_unlocked(&place) } else { Ok(()) })
        .and_then(|()| make_private(&place));
    match begun {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(OpenFailure::InUse(shown)),
        Err(error) => return Err(unusable(error.to_string())),
    }
    let path = place.clone();
    let opened = tokio::task::spawn_blocking(move || EmbeddedEngine::open(&path, Options::default())).await;
    let engine = opened.map_err(|error| unusable(error.to_string()))?;
    let engine = engine.map_err(|error| unusable(error.to_string()))?;
    Ok(Restoring { stores: Stores::new(engine), place, target, data_dir: data_dir.to_owned() })
}

/// Unless somebody has it open.
fn remove_unlocked(place: &Path) -> io::Result<()> {
    let lock = fs::OpenOptions::new().write(true).create(true).truncate(false).open(place.join("lock"))?;
    lock.try_lock()?;
    fs::remove_dir_all(place)
}

impl Restoring {
    /// The data directory has this store from now on.
    pub async fn publish(self) -> Result<(), Failure> {
        let Self { stores, place, target, data_dir } = self;
        stores.engine.close().await?;
        drop(stores);
        fs::rename(&place, &target)?;
        Ok(fs::File::open(&data_dir)?.sync_all()?)
    }

    /// Nothing of it is left.
    pub fn discard(self) {
        let Self { stores, place, .. } = self;
        drop(stores);
        // What stays is removed by the next attempt.
        let _ = fs::remove_dir_all(place);
    }
}

/// What an earlier release or a crash left is brought into order.
async fn renew(stores: &Stores) -> Result<(), CommitError> {
    stores.mailboxes.renew().await?;
    stores.mailboxes.finish_deletions().await
}

/// A directory that others cannot look into.
pub fn make_private(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
}
