//! `config`.

use clap::Subcommand;

use super::{Common, Output};
use crate::{Failure, config::reference};

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Say whether the configuration can be used, and what is wrong with it
    Check,
    /// Print the configuration in effect, defaults included
    Show,
    /// Print the reference of all options in Markdown
    Docs,
}

impl ConfigCommand {
    pub fn run(&self, common: &Common, output: &mut Output) -> Result<(), Failure> {
        match self {
            Self::Check => {
                common.location.config()?;
                let what = match &common.location.config {
                    Some(path) => path.display().to_string(),
                    None => "the quick start (no --config given)".to_owned(),
                };
                output.done(&format!("{what}: ok"))
            }
            Self::Show => {
                let text = reference::effective(&common.location.config()?);
                if output.is_json() {
                    let value: toml::Table = text.parse().map_err(Failure::new)?;
                    output.value(&value)
                } else {
                    output.line(text.trim_end())
                }
            }
            Self::Docs => output.line(reference::markdown().trim_end()),
        }
    }
}
