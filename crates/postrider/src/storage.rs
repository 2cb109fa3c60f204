//! Opening the stores of a data directory.

use std::{
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::Path,
};

use store::{CommitError, Stores};
use store_embedded::{EmbeddedEngine, OpenError, Options};

/// Where the engine keeps its files in the data directory.
const STORE_DIRECTORY: &str = "store";

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
