use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use mail::{
    Timestamp,
    tls_report::{AppliedPolicy, FailureKind, ResultType, read_message},
};
use store::{
    spool::EntryStatus,
    tls_reports::{Day, ReportState, TlsDay},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use world::{
    Clock, ListenAddress, SystemClock, World,
    tls::{Certificate, ClientTls, ClientTrust, Identity, Keyring, Keys, ListenerTls, ServerTls, Verify},
};

use super::{SendNow, send::send_due};
use crate::{
    Config,
    route::{RecipientPattern, Route, Via},
    testing::{Names, Site, config},
};

const BOB: &str = "bob@here.example";

/// The system's clock, ahead by so many milliseconds.
#[derive(Default)]
struct Ahead(AtomicI64);

impl Ahead {
    fn advance(&self, span: Duration) {
        self.0.fetch_add(i64::try_from(span.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

#[async_trait::async_trait]
impl Clock for Ahead {
    fn now(&self) -> Instant {
        SystemClock.now()
    }

    fn wall(&self) -> Timestamp {
        let ahead = self.0.load(Ordering::SeqCst);
        Timestamp::from_millis(SystemClock.wall().millis() + ahead)
    }

    async fn sleep_until(&self, deadline: Instant) {
        SystemClock.sleep_until(deadline).await;
    }
}

fn reporting(routes: Vec<Route>) -> Config {
    let mut config = config(routes);
    config.tls_reporting.contact = Some("postmaster@here.example".parse().unwrap());
    config
}

async fn site(config: Config, zone: &str) -> (Site, Arc<Ahead>) {
    let clock = Arc::new(Ahead::default());
    let world = World { clock: clock.clone(), dns: Arc::new(Names::new(zone)), ..World::system() };
    (Site::in_world(config, world).await, clock)
}

/// Five sessions with the domain, two of which went without TLS.
async fn counted(site: &Site, clock: &Ahead, domain: &str) -> Day {
    let (policy, day) = (AppliedPolicy::none(), Day::of(clock.wall()));
    for number in 0..5 {
        let failure = (number < 2).then(|| FailureKind {
            result: ResultType::StarttlsNotSupported,
            sending_mta_ip: None,
            receiving_mx_hostname: Some("mx.far.example".to_owned()),
            receiving_ip: Some("192.0.2.7".to_owned()),
            reason: None,
        });
        site.mta.tls_counts.count(day, domain, &policy, failure.as_ref());
    }
    site.mta.flush_tls_counts().await;
    day
}

async fn stored(site: &Site, day: Day, domain: &str) -> TlsDay {
    site.stores.tls_reports.get(day, domain).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_domain_that_wants_to_know_gets_one_report_when_its_day_is_over() {
    let zone = "_smtp._tls.far.example TXT v=TLSRPTv1;rua=mailto:bob@here.example
        far.example A 192.0.2.7";
    let (site, clock) = site(reporting(Vec::new()), zone).await;
    let day = counted(&site, &clock, "far.example").await;
    counted(&site, &clock, "quiet.example").await;
    send_due(&site.mta).await;
    assert_eq!(stored(&site, day, "far.example").await.report, ReportState::Waiting, "the day goes on");
    clock.advance(day.end().since(clock.wall()) + Duration::from_mins(4));
    send_due(&site.mta).await;
    assert_eq!(stored(&site, day, "far.example").await.report, ReportState::Waiting, "it settles");
    clock.advance(Duration::from_hours(4) + Duration::from_mins(2));
    for _ in 0..2 {
        send_due(&site.mta).await;
    }
    let message = site.mail(BOB, 1).await;
    for line in [
        "Return-Path: <>\r\n",
        "From: TLS reports <postmaster@here.example>\r\n",
        "TLS-Report-Domain: far.example\r\n",
        "TLS-Report-Submitter: here.example\r\n",
        "TLS-Required: No\r\n",
    ] {
        assert!(message.contains(line), "{line:?} in {message}");
    }
    let report = read_message(message.as_bytes()).unwrap();
    assert_eq!(report.date_range.start_datetime, format!("{day}T00:00:00Z"));
    assert_eq!(report.date_range.end_datetime, format!("{day}T23:59:59Z"));
    assert_eq!((report.organization_name.as_str(), report.policies.len()), ("here.example", 1));
    let result = &report.policies[0];
    assert_eq!(result.policy.policy_type, "no-policy-found");
    assert_eq!(result.summary.total_successful_session_count, 3);
    assert_eq!(result.summary.total_failure_session_count, 2);
    let detail = &result.failure_details[0];
    assert_eq!((detail.result_type.as_str(), detail.failed_session_count), ("starttls-not-supported", 2));
    assert_eq!(detail.receiving_mx_hostname.as_deref(), Some("mx.far.example"));
    assert!(matches!(stored(&site, day, "far.example").await.report, ReportState::Sent { .. }));
    assert_eq!(stored(&site, day, "quiet.example").await.report, ReportState::Unwanted);
    let bob = site.stores.directory.account(&BOB.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(site.stores.mailboxes.messages(bob.inbox, store::mailbox::Uid(1), 9).await.unwrap().len(), 1);
}

/// A report that fails is told to nobody, and arrives whatever TLS there is.
#[tokio::test]
async fn no_report_leads_to_another() {
    let zone = "_smtp._tls.far.example TXT v=TLSRPTv1;rua=mailto:tls@far.example";
    let hold = Route { recipient: RecipientPattern::ANY, via: Via::Hold };
    let (site, clock) = site(reporting(vec![hold]), zone).await;
    let day = counted(&site, &clock, "far.example").await;
    clock.advance(Duration::from_hours(48));
    let outcomes = site.mta.send_tls_reports(SendNow::default()).await.unwrap();
    assert_eq!(outcomes.len(), 1);
    assert_eq!(outcomes[0].said, "sent to mailto:tls@far.example");
    let entry = site.stores.spool.list(None, 9).await.unwrap().pop().unwrap();
    assert!(entry.reverse_path.is_null());
    assert_eq!(entry.mail.tls, mail::TlsDemand::Waived);
    assert_eq!(entry.recipients[0].rcpt.notify, Some(mail::Notify::NEVER));
    assert_eq!(entry.status, EntryStatus::Held);
    assert_eq!(stored(&site, day, "far.example").await.counts.sessions(), 5);
}

#[tokio::test]
async fn who_cannot_be_asked_is_asked_again_for_a_day() {
    let (site, clock) = site(reporting(Vec::new()), "_smtp._tls.far.example FAILS").await;
    let day = counted(&site, &clock, "far.example").await;
    clock.advance(Duration::from_hours(30));
    send_due(&site.mta).await;
    assert!(matches!(stored(&site, day, "far.example").await.report, ReportState::Retrying { .. }));
    let before = stored(&site, day, "far.example").await;
    send_due(&site.mta).await;
    assert_eq!(stored(&site, day, "far.example").await, before, "not before its time");
    for _ in 0..25 {
        clock.advance(Duration::from_hours(1));
        send_due(&site.mta).await;
    }
    assert!(matches!(stored(&site, day, "far.example").await.report, ReportState::Failed { .. }));
}

/// Answers each request with the next status.
async fn https(statuses: &'static [u16]) -> (u16, String, Arc<AtomicUsize>) {
    let identity = Identity::self_signed(vec!["localhost".to_owned()]).unwrap();
    let keys = Keys::new(&Certificate::new(&identity, &[]).unwrap(), &[], ClientTrust::default());
    let offer = ListenerTls { protocols: &[], asks_certificate: false };
    let tls = ServerTls::new(&Keyring::new(keys), offer).unwrap();
    let listener = World::system().net.listen(&"127.0.0.1:0".parse().unwrap()).await.unwrap();
    let ListenAddress::Tcp(address) = listener.local() else { panic!("an address") };
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    tokio::spawn(async move {
        for status in statuses {
            let (stream, _) = listener.accept().await.unwrap();
            let (mut stream, _) = tls.accept(stream).await.unwrap();
            let mut request = vec![0; 8192];
            let len = stream.read(&mut request).await.unwrap();
            let head = String::from_utf8_lossy(&request[..len]).to_lowercase();
            assert!(head.starts_with("post /tls http/1.1\r\n"), "{head}");
            assert!(head.contains("content-type: application/tlsrpt+gzip\r\n"), "{head}");
            counter.fetch_add(1, Ordering::SeqCst);
            let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    (address.port(), identity.certificate_pem, asked)
}

#[tokio::test]
async fn a_report_by_https_is_tried_again_and_the_mail_sent_once() {
    let (port, roots, asked) = https(&[503, 201]).await;
    let zone = format!(
        "_smtp._tls.far.example TXT v=TLSRPTv1;rua=mailto:bob@here.example,https://localhost:{port}/tls
         localhost A 127.0.0.1"
    );
    let mut config = reporting(Vec::new());
    config.client_tls.verified = ClientTls::new(Verify::RootsAndName, &roots).unwrap();
    config.tls_reporting.private_addresses = true;
    let (site, clock) = site(config, &zone).await;
    let day = counted(&site, &clock, "far.example").await;
    clock.advance(Duration::from_hours(30));
    send_due(&site.mta).await;
    let ReportState::Retrying { left, sent, .. } = stored(&site, day, "far.example").await.report else {
        panic!("{:?}", stored(&site, day, "far.example").await.report);
    };
    assert_eq!((left.len(), &sent[..]), (1, &["mailto:bob@here.example".to_owned()][..]));
    clock.advance(Duration::from_hours(1));
    send_due(&site.mta).await;
    let ReportState::Sent { to, .. } = stored(&site, day, "far.example").await.report else {
        panic!("{:?}", stored(&site, day, "far.example").await.report);
    };
    assert_eq!((to.len(), asked.load(Ordering::SeqCst)), (2, 2));
    site.mail(BOB, 1).await;
    assert_eq!(site.stores.spool.list(None, 9).await.unwrap().len(), 0);
}

/// Nobody's record leads a report into our own networks.
#[tokio::test]
async fn a_report_by_https_goes_to_public_hosts_only() {
    let zone = "_smtp._tls.far.example TXT v=TLSRPTv1;rua=https://inside.example:1/
        inside.example A 127.0.0.1";
    let (site, clock) = site(reporting(Vec::new()), zone).await;
    let day = counted(&site, &clock, "far.example").await;
    clock.advance(Duration::from_hours(30));
    send_due(&site.mta).await;
    let ReportState::Retrying { reason, .. } = stored(&site, day, "far.example").await.report else {
        panic!("{:?}", stored(&site, day, "far.example").await.report);
    };
    assert!(!reason.contains("refused"), "it was not connected to: {reason}");
}

#[tokio::test]
async fn an_operator_sees_what_would_be_sent_and_sends_a_part_of_a_day() {
    let zone = "_smtp._tls.far.example TXT v=TLSRPTv1;rua=mailto:bob@here.example";
    let (site, clock) = site(reporting(Vec::new()), zone).await;
    let day = counted(&site, &clock, "far.example").await;
    let mut what = SendNow { today: false, dry_run: true };
    assert!(site.mta.send_tls_reports(what).await.unwrap().is_empty());
    what.today = true;
    let told = site.mta.send_tls_reports(what).await.unwrap();
    assert_eq!(told[0].said, "would be sent to mailto:bob@here.example");
    assert_eq!(told[0].report.as_ref().unwrap().policies[0].summary.total_failure_session_count, 2);
    assert_eq!(stored(&site, day, "far.example").await.report, ReportState::Waiting);
    what.dry_run = false;
    assert_eq!(site.mta.send_tls_reports(what).await.unwrap()[0].said, "sent to mailto:bob@here.example");
    let rest = stored(&site, day, "far.example").await;
    assert_eq!((rest.counts.sessions(), &rest.report), (0, &ReportState::Waiting));
    assert!(rest.since.is_some());
    assert!(site.mta.send_tls_reports(what).await.unwrap().is_empty(), "nothing is told twice");
    site.mail(BOB, 1).await;
}
