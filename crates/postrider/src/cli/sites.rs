//! `queue sites`.

use super::Output;
use crate::{Failure, admin::protocol::SiteView};

pub fn show(sites: &[SiteView], output: &mut Output) -> Result<(), Failure> {
    if output.is_json() {
        return output.value(&sites);
    }
    if sites.is_empty() {
        return output.line("nothing waits for other hosts, and nothing goes there");
    }
    sites.iter().try_for_each(|site| show_site(site, output))
}

fn show_site(site: &SiteView, output: &mut Output) -> Result<(), Failure> {
    let allowed = site.connections_allowed.map_or_else(String::new, |allowed| format!(" of {allowed}"));
    let most = site.connections_max.map_or_else(String::new, |most| format!(" (at most {most})"));
    output.line(format_args!(
        "{}  {:7}  {} in the queue, {} in delivery, connections: {}{allowed}{most}",
        site.lane, site.state, site.waiting, site.in_delivery, site.connections
    ))?;
    if let Some(since) = &site.closed_since {
        let next = site.next_probe_at.as_deref().unwrap_or("with the next message");
        output.line(format_args!("               out of reach since {since}; next probe: {next}"))?;
    }
    if let (Some(error), Some(at)) = (&site.last_error, &site.last_error_at) {
        output.line(format_args!("               {at}: {error}"))?;
    }
    Ok(())
}
