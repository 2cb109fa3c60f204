//! `mail`: the user agent in the terminal.

use std::io::Write;

use clap::Args;

use super::{Common, Output, block_on, send::own_address};
use crate::{Failure, admin::attached::AttachedTerminal};

/// Characters in a line.
const COLUMNS: usize = 79;

#[derive(Debug, Args)]
pub struct Mail {
    /// Show messages sent with SEND, SOML or SAML on this terminal as they come, until interrupted. Takes the server's
    /// control socket, so it is for who may administer it
    #[arg(long, required = true)]
    attach: bool,
    /// Whose messages; without it those of the user of this machine at the configured host
    #[arg(long, value_name = "ADDRESS")]
    user: Option<String>,
    /// Ring the bell at each message
    #[arg(long)]
    bell: bool,
}

impl Mail {
    pub fn run(self, common: &Common, output: &mut Output) -> Result<(), Failure> {
        let address = match &self.user {
            Some(address) => address.clone(),
            None => own_address(common)?.address.to_string(),
        };
        let data_dir = common.location.data_dir()?;
        block_on(async {
            let (mut terminal, greeting) = AttachedTerminal::open(&data_dir, address).await?;
            output.done(&greeting)?;
            loop {
                let notice = terminal.next().await?;
                if output.is_json() {
                    output.value(&notice)?;
                } else {
                    let bell = if self.bell { "\u{7}" } else { "" };
                    output.line(format_args!("{bell}\n{}", notice.render(COLUMNS).trim_end()))?;
                }
                std::io::stdout().flush()?;
                terminal.handle_shown().await?;
            }
        })
    }
}
