//! The options of `[web]`, `[mta_sts]` and `[tls_reports]`: what others ask of us beside mail, and are told.

use world::http::HttpUrl;

use super::{
    section::section,
    types::{MailAddress, Span, choice},
};

section! {
    /// What is asked for over HTTP, by listeners with service http and https.
    Web "[web]" {
        /// Where people's browsers and mail programs reach it. With it members of mailing lists can leave with one click
        /// (RFC 8058).
        base_url: Option<HttpUrl> = None, example "\"https://lists.example.org\"";
    }
}

section! {
    /// Our own policy of MTA-STS (RFC 8461), served by listeners with service https as mta-sts. before each hosted domain,
    /// for which a certificate is needed. Others heed it once a TXT record at _mta-sts. of the domain tells of it.
    MtaSts "[mta_sts]" {
        /// What others are to do with hosts that do not prove to be ours: not deliver there, deliver and report, or nothing
        /// any more. Without it no policy is served.
        mode: Option<StsMode> = None, example "\"testing\"";
        /// The hosts that the MX records of hosted domains name, or patterns of them. Without it: our own name.
        mx: Vec<String> = Vec::new(), example "[\"mx1.example.org\", \"*.mx.example.org\"]";
        /// How long others keep to it without looking again.
        max_age: Span = Span::seconds(7 * 86_400);
    }
}

choice! {
    /// What others are to do.
    StsMode { Enforce "enforce", Testing "testing", None "none" }
}

section! {
    /// What others are told of how mail from here reaches them under TLS (RFC 8460). Sessions are counted in any case, and
    /// shown by `tls-reports`; with a contact each domain that wants to know gets a report a day.
    TlsReports "[tls_reports]" {
        /// The address that sends the reports and answers for them, of a domain of ours. Without it none are sent.
        contact: Option<MailAddress> = None, example "\"postmaster@example.org\"";
        /// Who reports. Without it: the contact's domain.
        organization: Option<String> = None, example "\"Example Organization\"";
        /// The address here that others send such reports to, as the TXT record at _smtp._tls. of a hosted domain says
        /// ("v=TLSRPTv1; rua=mailto:…"). They are delivered to it, and what they say is shown by `tls-reports received`.
        address: Option<MailAddress> = None, example "\"tls-reports@example.org\"";
        /// Whether reports by HTTPS may go to hosts with private and loopback addresses; nobody else's records should lead
        /// there.
        private_addresses: bool = false;
    }
}
