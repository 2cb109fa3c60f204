//! The part for people: what happened, and what they can do.

use std::borrow::Cow;

use super::{Action, Audience, Part, Report, ReportedRecipient, lines::write_wrapped};
use crate::{
    cause::{Cause, classify, classify_noted},
    text,
};

/// Of so long a text further replies are left out.
const QUOTING_BYTES_MAX: usize = 64 * 1024;
/// Lines quoted of a reply.
const QUOTED_LINES_MAX: usize = 20;

pub(super) fn part(report: &Report<'_>, returned: Option<&Part<'_>>) -> Part<'static> {
    let mut out = String::new();
    paragraph(&format!("This is the mail system at {}.", report.host()), &mut out);
    if report.audience == Audience::Postmaster {
        let why = "You get this as its postmaster: the message came from the null sender, as reports and automatic \
                   answers do, so that nobody else can be told.";
        paragraph(why, &mut out);
    }
    for recipient in report.recipients {
        paragraph(&sentences(recipient), &mut out);
        quote(recipient, &mut out);
    }
    let about = format!(
        "The message arrived here on {}. If you write to the people who run this mail system, \
         postmaster@{}, tell them its queue ID: {}.",
        report.arrived_at.rfc5322(),
        report.host(),
        report.original_id,
    );
    paragraph(&about, &mut out);
    match returned.map(|part| part.content_type) {
        Some("message/rfc822" | "message/global") => paragraph("The message is attached.", &mut out),
        Some(_) => paragraph("The header of the message is attached.", &mut out),
        None => {}
    }
    let content_type =
        if out.is_ascii() { "text/plain; charset=us-ascii" } else { "text/plain; charset=utf-8" };
    Part { content_type, description: "What happened", content: Cow::Owned(out.into_bytes()), quoted: false }
}

fn sentences(recipient: &ReportedRecipient) -> String {
    let to = whom(recipient);
    let explanation = text::clean(recipient.explanation.trim().trim_end_matches('.').as_bytes());
    let because = if explanation.is_empty() { String::new() } else { format!(" because {explanation}") };
    match recipient.action {
        Action::Failed => {
            format!("Mail to {to} could not be delivered{because}. {}", cause(recipient).advice())
        }
        Action::Delayed => {
            let until = recipient.will_retry_until.map(|at| format!(" until {}", at.rfc5322()));
            format!(
                "Mail to {to} has not been delivered yet{because}. It will be tried again{}. You need not do \
                 anything, and should not send it again: if it fails for good, you will be told.",
                until.unwrap_or_default()
            )
        }
        Action::Delivered => {
            let place = if explanation.is_empty() { "the mailbox" } else { &explanation };
            format!(
                "Mail to {to} was delivered to {place}. You asked to be told. Whether it has been read, this does \
                 not say."
            )
        }
        Action::Relayed if !explanation.is_empty() => format!("Mail to {to} was passed on to {explanation}."),
        Action::Relayed => format!(
            "Mail to {to} was passed on to a mail system that does not confirm delivery. You asked to be told. If all \
             goes well, this is the last you will hear of it."
        ),
        Action::Expanded => format!(
            "Mail to {to} was passed on to the several recipients it stands for. You asked to be told. Whether each of \
             them gets it, you will hear only if it fails."
        ),
    }
}

/// The address that the sender knows comes first.
fn whom(recipient: &ReportedRecipient) -> String {
    let address = recipient.final_recipient.to_string();
    let to = text::clean(address.as_bytes());
    match &recipient.original_recipient {
        Some(original)
            if (original.is_utf8() || original.address_type.eq_ignore_ascii_case("rfc822"))
                && !original.address.eq_ignore_ascii_case(&address) =>
        {
            format!("{} (which leads to {to})", text::clean(original.address.as_bytes()))
        }
        _ => to,
    }
}

/// What the remote host said, set apart from our own words.
fn quote(recipient: &ReportedRecipient, out: &mut String) {
    let diagnostic = recipient.diagnostic.as_ref().filter(|_| out.len() < QUOTING_BYTES_MAX);
    let Some(diagnostic) = diagnostic else { return };
    let host = recipient.remote_mta.as_deref().unwrap_or("the remote mail system");
    write_wrapped("    ", "    ", &format!("{} said:", text::clean(host.as_bytes())), out);
    for line in diagnostic.lines().filter(|line| !line.trim().is_empty()).take(QUOTED_LINES_MAX) {
        write_wrapped("    ", "    ", &text::clean(line.as_bytes()), out);
    }
    out.push_str("\r\n");
}

fn paragraph(text: &str, out: &mut String) {
    write_wrapped("", "", text, out);
    out.push_str("\r\n");
}

/// What the host said counts; else what we found ourselves.
fn cause(recipient: &ReportedRecipient) -> Cause {
    let said = recipient.diagnostic.as_deref().and_then(classify_noted);
    said.unwrap_or_else(|| classify(None, Some(recipient.status), "")).cause
}
