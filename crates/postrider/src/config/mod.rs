//! `postrider.toml`: read, checked, explained. Every option is defined once, in [`options`].

mod check;
pub mod delivery;
pub mod limits;
pub mod mailboxes;
pub mod options;
pub mod problem;
pub mod reference;
pub mod section;
pub mod types;
pub mod web;

use std::path::{Path, PathBuf};

use toml::{Spanned, de::DeTable};

pub use check::span_in;
pub use options::Config;
pub use problem::ConfigError;
use problem::{Problem, Problems};
use section::TableReader;

/// What the server runs on when no file is given: this machine only, unprivileged ports, and no mail
/// that leaves it.
const QUICK_START: &str = r#"
hostname = "localhost"
data_dir = "postrider-data"

[[listener]]
service = "smtp"
address = "127.0.0.1:2525"
[[listener]]
service = "submission"
address = "127.0.0.1:2587"
[[listener]]
service = "submissions"
address = "127.0.0.1:2465"
[[listener]]
service = "pop3"
address = "127.0.0.1:2110"
[[listener]]
service = "pop3s"
address = "127.0.0.1:2995"
[[listener]]
service = "imap"
address = "127.0.0.1:2143"
[[listener]]
service = "imaps"
address = "127.0.0.1:2993"
[[route]]
recipient = "*"
via = "reject"
"#;

impl Config {
    /// Reads and checks a file. Relative paths in it are taken from its own directory.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|reason| ConfigError::Unreadable { path: path.to_owned(), reason })?;
        let mut config = parse(&text).map_err(|problems| ConfigError::Invalid {
            path: path.to_owned(),
            text,
            problems,
        })?;
        config.resolve_paths(path.parent().unwrap_or(Path::new("")));
        Ok(config)
    }

    /// The configuration of the quick start; its data directory is relative to where the command runs.
    pub fn quick_start() -> Result<Self, ConfigError> {
        parse(QUICK_START).map_err(|problems| ConfigError::Invalid {
            path: "quick start".into(),
            text: QUICK_START.to_owned(),
            problems,
        })
    }

    fn resolve_paths(&mut self, base: &Path) {
        let resolve = |path: &mut PathBuf| *path = base.join(&*path);
        resolve(&mut self.data_dir);
        self.tls.certificate.iter_mut().for_each(resolve);
        self.tls.key.iter_mut().for_each(resolve);
        self.tls.client_ca.iter_mut().for_each(resolve);
        for certificate in &mut self.certificate {
            resolve(&mut certificate.certificate);
            resolve(&mut certificate.key);
        }
        self.dns.trust_anchor.iter_mut().for_each(resolve);
        self.oauth.jwks_file.iter_mut().for_each(resolve);
        self.oauth.client_secret_file.iter_mut().for_each(resolve);
        for route in &mut self.route {
            route.password_file.iter_mut().for_each(resolve);
            route.directory.iter_mut().for_each(resolve);
            route.secret_file.iter_mut().for_each(resolve);
        }
    }
}

fn parse(text: &str) -> Result<Config, Vec<Problem>> {
    read_toml(text, Config::read_table, check::check)
}

/// All problems with the text, or what it says.
pub fn read_toml<T>(
    text: &str,
    read: impl FnOnce(&mut TableReader<'_, '_>) -> Option<T>,
    check: impl FnOnce(&T, &Spanned<DeTable<'_>>, &mut Problems),
) -> Result<T, Vec<Problem>> {
    let (root, errors) = DeTable::parse_recoverable(text);
    let mut problems = Problems::default();
    for error in &errors {
        problems.add(error.span().unwrap_or_default(), error.message());
    }
    if !errors.is_empty() {
        return problems.into_result(None);
    }
    let value = read(&mut TableReader::new(root.get_ref(), 0..0, "", &mut problems));
    if let Some(value) = &value {
        check(value, &root, &mut problems);
    }
    problems.into_result(value)
}

#[cfg(test)]
mod tests;
