//! Reports of others, whom nobody has to trust: bounded in size, depth and number, and cleaned.

use std::io::Read;

use flate2::read::GzDecoder;
use mail_parser::{MessageParser, MimeHeaders};
use serde::{Deserialize, Deserializer};

use super::{FailureDetail, Policy, Report};
use crate::text;

/// Octets of a report, unpacked. RFC 8460 §5.2 has no limit; those of large senders stay far below.
pub const JSON_BYTES_MAX: usize = 4 * 1024 * 1024;
const POLICIES_MAX: usize = 200;
const DETAILS_MAX: usize = 2_000;
/// Texts in a list, and octets of a text.
const TEXTS_MAX: usize = 100;
const TEXT_BYTES_MAX: usize = 512;

/// Why it is no report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error("there is no report in the message")]
    NoReport,
    #[error("it is larger than {JSON_BYTES_MAX} octets, unpacked")]
    TooLarge,
    #[error("it cannot be unpacked")]
    NotPacked,
    #[error("it is no report as RFC 8460 has it: {0}")]
    Malformed(String),
    #[error("it has more policies or failures than are read")]
    TooMany,
}

/// The report in a message: the first part of a type that reports have (RFC 8460 §6.4, §6.5).
pub fn read_message(message: &[u8]) -> Result<Report, ReadError> {
    let parsed = MessageParser::default().parse(message).ok_or(ReadError::NoReport)?;
    for part in &parsed.parts {
        let Some(kind) = part.content_type().filter(|kind| kind.ctype().eq_ignore_ascii_case("application"))
        else {
            continue;
        };
        let subtype = kind.subtype().unwrap_or_default().to_ascii_lowercase();
        match subtype.as_str() {
            "tlsrpt+gzip" => return read_json(&unpack(part.contents())?),
            "tlsrpt+json" => return read_json(part.contents()),
            _ => {}
        }
    }
    Err(ReadError::NoReport)
}

/// No more is unpacked than a report may have.
fn unpack(packed: &[u8]) -> Result<Vec<u8>, ReadError> {
    let mut json = Vec::new();
    let limit = u64::try_from(JSON_BYTES_MAX).unwrap_or(u64::MAX);
    GzDecoder::new(packed)
        .take(limit.saturating_add(1))
        .read_to_end(&mut json)
        .map_err(|_| ReadError::NotPacked)?;
    if json.len() > JSON_BYTES_MAX { Err(ReadError::TooLarge) } else { Ok(json) }
}

pub fn read_json(json: &[u8]) -> Result<Report, ReadError> {
    if json.len() > JSON_BYTES_MAX {
        return Err(ReadError::TooLarge);
    }
    let report: Report = serde_json::from_slice(json)
        .map_err(|error| ReadError::Malformed(text::clean(error.to_string().as_bytes())))?;
    let details: usize = report.policies.iter().map(|policy| policy.failure_details.len()).sum();
    if report.policies.len() > POLICIES_MAX || details > DETAILS_MAX {
        return Err(ReadError::TooMany);
    }
    Ok(cleaned(report))
}

fn cleaned(mut report: Report) -> Report {
    for text in [
        &mut report.organization_name,
        &mut report.contact_info,
        &mut report.report_id,
        &mut report.date_range.start_datetime,
        &mut report.date_range.end_datetime,
    ] {
        clean(text);
    }
    for result in &mut report.policies {
        let Policy { policy_type, policy_string, policy_domain, mx_host } = &mut result.policy;
        policy_string.truncate(TEXTS_MAX);
        mx_host.truncate(TEXTS_MAX);
        let texts = policy_string.iter_mut().chain(mx_host).chain([policy_type, policy_domain]);
        texts.for_each(clean);
        result.failure_details.iter_mut().for_each(clean_detail);
    }
    report
}

fn clean_detail(detail: &mut FailureDetail) {
    clean(&mut detail.result_type);
    let FailureDetail {
        sending_mta_ip,
        receiving_mx_hostname,
        receiving_mx_helo,
        receiving_ip,
        additional_information,
        failure_reason_code,
        ..
    } = detail;
    let texts = [
        sending_mta_ip,
        receiving_mx_hostname,
        receiving_mx_helo,
        receiving_ip,
        additional_information,
        failure_reason_code,
    ];
    texts.into_iter().flatten().for_each(clean);
}

fn clean(text: &mut String) {
    *text = text::clean_within(text.as_bytes(), TEXT_BYTES_MAX);
}

/// Some write one host where a list is meant.
pub(super) fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(one) => vec![one],
        OneOrMany::Many(many) => many,
    })
}
