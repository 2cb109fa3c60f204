//! The part for people: what happened, and what they can do.

use std::borrow::Cow;

use super::{Action, Part, Report, ReportedRecipient, lines::write_wrapped};
use crate::{EnhancedStatus, text};

pub(super) fn part(report: &Report<'_>, returned: Option<&Part<'_>>) -> Part<'static> {
    let mut out = String::new();
    paragraph(&format!("This is the mail system at {}.", report.host()), &mut out);
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
    Part { content_type, description: "What happened", content: Cow::Owned(out.into_bytes()) }
}

fn sentences(recipient: &ReportedRecipient) -> String {
    let to = whom(recipient);
    let explanation = text::clean(recipient.explanation.trim().trim_end_matches('.').as_bytes());
    let because = if explanation.is_empty() { String::new() } else { format!(" because {explanation}") };
    match recipient.action {
        Action::Failed => {
            format!("Mail to {to} could not be delivered{because}. {}", advice(recipient.status))
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
        Action::Expanded => format!("Mail to {to} was passed on to the several recipients it stands for."),
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
    let Some(diagnostic) = &recipient.diagnostic else { return };
    let host = recipient.remote_mta.as_deref().unwrap_or("the remote mail system");
    write_wrapped("    ", "    ", &format!("{} said:", text::clean(host.as_bytes())), out);
    write_wrapped("    ", "    ", &text::clean(diagnostic.as_bytes()), out);
    out.push_str("\r\n");
}

fn paragraph(text: &str, out: &mut String) {
    write_wrapped("", "", text, out);
    out.push_str("\r\n");
}

/// What a sender can do about it, by the subject and detail of RFC 3463 §3 and of the registry it began.
fn advice(status: EnhancedStatus) -> &'static str {
    match (status.subject, status.detail) {
        (1, 0 | 1 | 6) => {
            "You can check the address for typing errors, or ask the recipient in another way which address is right."
        }
        (1, 2 | 8 | 10) | (4, 4) => {
            "You can check the part of the address after the @ for typing errors, or ask the recipient in another way \
             which address is right."
        }
        (1, 3 | 4) => "You can correct the address and send the message again.",
        (2, 2) | (3, 1) => {
            "You can ask the recipient in another way to make room, and send the message again later."
        }
        (2, 3) | (3, 4) => {
            "You can send it in smaller parts or without large attachments, or share those in another way."
        }
        (2, _) => {
            "You can reach the recipient in another way, and ask when the mailbox will take mail again."
        }
        (4, 6) => {
            "You can tell the recipient in another way that their mail goes in a circle; the people who run their mail \
             system can mend that."
        }
        (3 | 4, _) => {
            "You can send the message again later, or reach the recipient in another way. If it goes on, the \
             people who run the recipient's mail system may not know of it."
        }
        (6, 7) => {
            "You can ask the recipient for an address in plain letters (a to z), and send from such an address: a mail \
             system on the way takes no others."
        }
        (6, _) => {
            "You can send the message in another form, for example as plain text or with other attachments."
        }
        (7, _) => {
            "You can reach the recipient in another way, and ask them to have mail from you let through: their mail \
             system refused it by its rules."
        }
        _ => {
            "You can reach the recipient in another way, or ask the people who run this mail system for help."
        }
    }
}
