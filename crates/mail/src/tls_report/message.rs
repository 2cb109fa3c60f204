//! The message that carries a report (RFC 8460 §5.3).

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{GZIP_TYPE, Report, gzip};
use crate::{Address, Timestamp};

/// Octets of a line of base64 (RFC 2045 §6.8).
const BASE64_LINE: usize = 76;

/// A report on its way by mail.
#[derive(Clone, Debug)]
pub struct ReportMessage<'a> {
    pub report: &'a Report,
    /// Whom it is about.
    pub domain: &'a str,
    /// Our own domain, which stands for who reports.
    pub submitter: &'a str,
    pub from: &'a Address,
    pub to: &'a Address,
    /// Without angle brackets.
    pub message_id: String,
    pub at: Timestamp,
    /// The time it is about; ends with the last second that counts.
    pub range: (Timestamp, Timestamp),
    /// Letters and digits that set it apart.
    pub unique_id: &'a str,
}

impl ReportMessage<'_> {
    /// RFC 8460 §5.1
    pub fn file_name(&self) -> String {
        let seconds = |at: Timestamp| at.millis().div_euclid(1000);
        format!(
            "{}!{}!{}!{}!{}.json.gz",
            self.submitter,
            self.domain,
            seconds(self.range.0),
            seconds(self.range.1),
            self.unique_id
        )
    }

    /// The whole message, in ASCII but for addresses.
    pub fn write(&self) -> Vec<u8> {
        let Self { domain, submitter, report, .. } = self;
        // No line of base64 or of our text has these.
        let boundary = format!("=_{}.tlsrpt=", self.unique_id);
        let file = self.file_name();
        let mut out = format!(
            "From: TLS reports <{from}>\r\nTo: <{to}>\r\nDate: {date}\r\nMessage-ID: <{message_id}>\r\n\
             Subject: Report Domain: {domain}\r\n Submitter: {submitter}\r\n Report-ID: <{id}>\r\n\
             TLS-Report-Domain: {domain}\r\nTLS-Report-Submitter: {submitter}\r\n\
             TLS-Required: No\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n\tboundary=\"{boundary}\"\r\n\r\n\
             This is a report in MIME format.\r\n\r\n--{boundary}\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n\
             {text}\r\n--{boundary}\r\nContent-Type: {GZIP_TYPE}\r\nContent-Transfer-Encoding: base64\r\n\
             Content-Disposition: attachment;\r\n\tfilename=\"{file}\"\r\n\r\n",
            from = self.from,
            to = self.to,
            date = self.at.rfc5322(),
            message_id = self.message_id,
            id = report.report_id,
            text = self.text(),
        )
        .into_bytes();
        let packed = STANDARD.encode(gzip(&report.json()));
        for line in packed.as_bytes().chunks(BASE64_LINE) {
            out.extend_from_slice(line);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        out
    }

    fn text(&self) -> String {
        let summaries = self.report.policies.iter().map(|policy| policy.summary);
        let (good, bad) = summaries.fold((0_u64, 0_u64), |(good, bad), summary| {
            (
                good.saturating_add(summary.total_successful_session_count),
                bad.saturating_add(summary.total_failure_session_count),
            )
        });
        format!(
            "How mail from {} reached the hosts of {} under TLS,\r\nfrom {} to {}:\r\n\r\n\
             sessions as the policy asks for: {good}\r\nsessions that failed it: {bad}\r\n\r\n\
             The attachment has the details (RFC 8460).\r\n",
            self.submitter,
            self.domain,
            self.report.date_range.start_datetime,
            self.report.date_range.end_datetime
        )
    }
}
