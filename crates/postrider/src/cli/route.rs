//! `route`.

use std::fmt::Write;

use clap::Args;

use super::Output;
use crate::{
    Failure,
    admin::protocol::{AdminRequest, HostView, LimitsView, RouteView, StsView, WayView},
};

#[derive(Debug, Args)]
pub struct RouteCommand {
    /// Where would mail to this address go?
    address: String,
}

impl RouteCommand {
    pub fn request(self) -> AdminRequest {
        AdminRequest::Route { address: self.address }
    }
}

pub fn show(route: &RouteView, output: &mut Output) -> Result<(), Failure> {
    if output.is_json() {
        return output.value(route);
    }
    output.line(format_args!("{}: {}", route.address, route.verdict))?;
    if let Some(rule) = &route.rule {
        output.line(format_args!("  rule   {rule}"))?;
    }
    route.ways.iter().try_for_each(|way| show_way(route, way, output))
}

fn show_way(route: &RouteView, way: &WayView, output: &mut Output) -> Result<(), Failure> {
    if way.address != route.address {
        output.line(format_args!("  to     {}", way.address))?;
    }
    for (name, value) in [("rule", &way.rule), ("lane", &Some(way.lane.clone())), ("TLS", &way.tls)] {
        if let Some(value) = value {
            output.line(format_args!("  {name:5}  {value}"))?;
        }
    }
    if let Some(trouble) = &way.trouble {
        output.line(format_args!("  but    {trouble}"))?;
    }
    if let Some(limits) = &way.limits {
        output.line(format_args!("  limits {}", limits_words(limits)))?;
    }
    if way.proven {
        output.line("  DNSSEC proves that these are the hosts:")?;
    }
    if let Some(sts) = &way.mta_sts {
        let StsView { domain, id, mode, hosts, fetched_at, expires_at } = sts;
        let hosts = if hosts.is_empty() { "none".to_owned() } else { hosts.join(", ") };
        output.line(format_args!(
            "  STS    {mode}, by {domain}, ID {id}, fetched {fetched_at}, kept until {expires_at}; hosts: {hosts}"
        ))?;
    }
    way.hosts.iter().try_for_each(|host| show_host(host, output))
}

/// `[delivery]: 20 connections, 1000 messages over each, 1000 recipients at once`
fn limits_words(limits: &LimitsView) -> String {
    let LimitsView { rule, connections_max, messages_per_connection_max, recipients_per_message_max, .. } =
        limits;
    let mut words = format!(
        "{rule}: {connections_max} connections, {messages_per_connection_max} messages over each, \
         {recipients_per_message_max} recipients at once"
    );
    if let Some(rate) = &limits.rate {
        let _ = write!(words, ", {rate} messages");
    }
    if !limits.source_addresses.is_empty() {
        let _ = write!(words, ", from {}", limits.source_addresses.join(" and "));
    }
    words
}

fn show_host(host: &HostView, output: &mut Output) -> Result<(), Failure> {
    let preference = host.preference.map_or_else(String::new, |preference| preference.to_string());
    let addresses = match &host.trouble {
        Some(trouble) => trouble.clone(),
        None => host.addresses.join(", "),
    };
    output.line(format_args!("  host   {preference:>5} {} port {}: {addresses}", host.host, host.port))?;
    match &host.policy {
        Some(policy) => output.line(format_args!("               policy: {policy}")),
        None => Ok(()),
    }
}
