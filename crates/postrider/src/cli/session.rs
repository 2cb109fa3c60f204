//! `session`.

use std::net::IpAddr;

use clap::Args;

use super::Output;
use crate::{
    Failure,
    admin::protocol::{AdminRequest, PhaseView, RuleView, VisitorView},
};

#[derive(Debug, Args)]
pub struct SessionCommand {
    /// Where the client would come from
    #[arg(long, value_name = "IP")]
    from_ip: IpAddr,
    /// The account it would be logged in as, on submission
    #[arg(long, value_name = "ADDRESS")]
    login: Option<String>,
    /// What it would call itself
    #[arg(long, value_name = "NAME")]
    helo: Option<String>,
    /// The sender it would name; empty for reports
    #[arg(long, value_name = "ADDRESS")]
    mail_from: Option<String>,
    /// A recipient it would name; may be repeated
    #[arg(long, value_name = "ADDRESS", requires = "mail_from")]
    rcpt: Vec<String>,
}

impl SessionCommand {
    pub fn request(self) -> AdminRequest {
        AdminRequest::Session {
            visitor: VisitorView {
                from_ip: self.from_ip,
                login: self.login,
                helo: self.helo,
                mail_from: self.mail_from,
                recipients: self.rcpt,
            },
        }
    }
}

pub fn show(phases: &[PhaseView], output: &mut Output) -> Result<(), Failure> {
    if output.is_json() {
        return output.value(&phases);
    }
    phases.iter().try_for_each(|phase| {
        let said = phase.said.as_ref().map_or_else(String::new, |said| format!(" {said}"));
        let word = phase.refused.as_deref().unwrap_or("passes");
        output.line(format_args!("{}{said}: {word}", phase.phase))?;
        phase.rules.iter().try_for_each(|rule| show_rule(rule, output))
    })
}

fn show_rule(rule: &RuleView, output: &mut Output) -> Result<(), Failure> {
    let inputs: Vec<String> = rule.inputs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    output.line(format_args!("  {:12} {} ({})", rule.rule, rule.outcome, inputs.join(", ")))
}
