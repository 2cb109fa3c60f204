//! What people may share, as the configuration says.

use store::{Stores, sharing::SharingOptions};

use crate::config::Config;

pub fn configure(config: &Config, stores: &Stores) {
    let options = &config.mailboxes;
    stores.sharing.configure(SharingOptions {
        shared_account: options.shared_account.as_ref().map(|address| address.0.clone()),
        with_anyone: options.share_with_anyone,
    });
}
