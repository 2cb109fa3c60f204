//! Every option of `postrider.toml`, defined once.

use std::path::PathBuf;

use world::{ListenAddress, http::HttpUrl};

pub use super::web::{MtaSts, StsMode, TlsReports, Web};
use super::{
    delivery::{Delivery, Destination, TlsPolicy},
    limits::Limits,
    mailboxes::Mailboxes,
    section::section,
    types::{
        Fingerprint, HostName, NameServer, Network, Pattern, Refusal, Size, SolicitationClass, Span, Text,
        choice,
    },
};

section! {
    /// The configuration of one Postrider.
    Config "" {
        /// The name this server greets with and writes into Received lines. It should resolve to this machine.
        hostname: HostName, example "\"mx1.example.org\"";
        /// Where mail, queue, accounts and the control socket live; relative to the configuration file.
        data_dir: PathBuf = "/var/lib/postrider".into();
        /// Where connections arrive. One section for each address.
        listener: Vec<Listener> = Vec::new();
        /// The default certificate, and how certificates are looked after.
        tls: Tls;
        /// Further certificates, for clients that ask for their names (SNI); others get that of [tls]. One section for
        /// each.
        certificate: Vec<FurtherCertificate> = Vec::new();
        /// Certificates of clients that stand for an account, whoever signed them. One section for each.
        client_certificate: Vec<ClientCertificate> = Vec::new();
        /// Where everything but message bodies is kept.
        store: Store;
        /// Where message bodies are kept.
        blobs: Blobs;
        /// What SMTP clients may do.
        smtp: Smtp;
        /// What guessing passwords costs.
        login: Login;
        /// How much of this server one network or one account may use up.
        limits: Limits;
        /// Tokens of an issuer in place of passwords: OAUTHBEARER and XOAUTH2.
        oauth: OAuth;
        /// Where mail for other hosts goes; the first section that matches decides. What none matches goes by MX.
        route: Vec<Route> = Vec::new();
        /// What recipients' domains say of TLS, and whether it is kept to.
        tls_policy: TlsPolicy;
        /// Mail that an alias leads to another system.
        forward: Forward;
        /// How much of us other hosts get, if no [[destination]] says otherwise.
        delivery: Delivery;
        /// Limits for certain sites; the first section that matches decides.
        destination: Vec<Destination> = Vec::new();
        /// How long delivery is tried.
        queue: Queue;
        /// Reports on mail that could not be delivered.
        reports: Reports;
        /// Mail that people have here.
        mailboxes: Mailboxes;
        /// Addresses that get no more mail.
        suppression: Suppression;
        /// Name resolution.
        dns: Dns;
        /// What is asked for over HTTP, by listeners with service http and https.
        web: Web;
        /// Our own policy of MTA-STS.
        mta_sts: MtaSts;
        /// What others are told of how mail from here reaches them under TLS.
        tls_reports: TlsReports;
        /// The log on standard error.
        log: Log;
    }
}

section! {
    /// Where connections arrive. One section for each address.
    Listener "[[listener]]" {
        /// What is spoken there.
        service: Service, example "\"smtp\"";
        /// IP address and port, or a Unix socket.
        address: ListenAddress, example "\"0.0.0.0:25\"";
        /// When TLS begins. Without it: implicit for submissions, pop3s, imaps and https, none for http, else
        /// starttls.
        tls: Option<ListenerTls> = None, example "\"starttls\"";
        /// Whether a proxy in front of it tells the client's address (PROXY protocol, version 1 or 2). Then only the proxies
        /// of proxy_networks in [smtp] may connect, and each connection has to begin so.
        proxy_protocol: bool = false;
        /// Whether clients are asked for a certificate. Whoever has one that client_ca in [tls] vouches for, or that a
        /// [[client_certificate]] names, may log in by it (SASL EXTERNAL); the others log in as usual.
        client_certificates: AskedFor = AskedFor::Off;
        /// For a host that takes no mail there: the greeting, 521 if it never takes any (RFC 7504), 554 if not now.
        refuse: Option<Refusal> = None, example "\"521 mail is taken at mx1.example.org only\"";
    }
}

choice! {
    /// Whether a client is asked for its certificate.
    AskedFor { Off "off", Optional "optional" }
}

choice! {
    /// What a listener speaks.
    Service { Smtp "smtp", Submission "submission", Submissions "submissions", Lmtp "lmtp", Odmr "odmr",
        Pop3 "pop3", Pop3s "pop3s", Imap "imap", Imaps "imaps", Http "http", Https "https";
        later "managesieve" }
}

impl Service {
    /// It speaks SMTP or LMTP.
    pub fn takes_mail(self) -> bool {
        !matches!(self, Self::Pop3 | Self::Pop3s | Self::Imap | Self::Imaps | Self::Http | Self::Https)
    }
}

choice! {
    /// When TLS begins on a connection.
    ListenerTls { None "none", Starttls "starttls", Implicit "implicit" }
}

section! {
    /// The default certificate, and how certificates are looked after.
    Tls "[tls]" {
        /// Where the certificate comes from. A self-signed one is made once and kept in the data directory.
        mode: TlsSource = TlsSource::SelfSigned;
        /// PEM file with the certificate and its chain, for mode "files"; relative to the configuration file.
        certificate: Option<PathBuf> = None, example "\"/etc/postrider/fullchain.pem\"";
        /// PEM file with the private key, for mode "files"; relative to the configuration file.
        key: Option<PathBuf> = None, example "\"/etc/postrider/privkey.pem\"";
        /// PEM file with the certificates of those who may vouch for clients, which are then known by the mail address
        /// (rfc822Name) in their certificate; relative to the configuration file.
        client_ca: Option<PathBuf> = None, example "\"/etc/postrider/client-ca.pem\"";
        /// How often it is looked whether the files have changed. New ones count for connections from then on; files
        /// that cannot be used change nothing. SIGHUP looks at once.
        watch_interval: Span = Span::seconds(60);
        later acme_email, acme_directory;
    }
}

section! {
    /// Further certificates, for clients that ask for their names (SNI); others get that of [tls]. One section for each.
    FurtherCertificate "[[certificate]]" {
        /// PEM file with the certificate and its chain; relative to the configuration file.
        certificate: PathBuf, example "\"/etc/postrider/example.net.pem\"";
        /// PEM file with the private key; relative to the configuration file.
        key: PathBuf, example "\"/etc/postrider/example.net.key\"";
        /// The names it is shown for. Without it: the DNS names that stand in the certificate.
        names: Vec<String> = Vec::new(), example "[\"mail.example.net\", \"*.example.net\"]";
    }
}

section! {
    /// Certificates of clients that stand for an account, whoever signed them. One section for each.
    ClientCertificate "[[client_certificate]]" {
        /// SHA-256 of the certificate, as `openssl x509 -noout -fingerprint -sha256` prints it.
        fingerprint: Fingerprint, example "\"3F:4A:…:9C\"";
        /// The account's address.
        account: String, example "\"ann@example.org\"";
    }
}

choice! {
    /// Where the certificate comes from.
    TlsSource { SelfSigned "self-signed", Files "files"; later "acme" }
}

section! {
    /// Where everything but message bodies is kept.
    Store "[store]" {
        /// The engine: embedded keeps all in the data directory.
        engine: StoreEngine = StoreEngine::Embedded;
        later postgres_url;
    }
}

choice! {
    /// The engine behind the store.
    StoreEngine { Embedded "embedded"; later "postgres" }
}

section! {
    /// Where message bodies are kept.
    Blobs "[blobs]" {
        /// The place: store keeps them beside the rest.
        engine: BlobsEngine = BlobsEngine::Store;
        later s3_endpoint, s3_bucket, s3_region, s3_access_key_file, s3_secret_key_file;
    }
}

choice! {
    /// The place of message bodies.
    BlobsEngine { Store "store"; later "s3" }
}

section! {
    /// What SMTP clients may do.
    Smtp "[smtp]" {
        /// The largest message accepted, announced with SIZE.
        message_bytes_max: Size = Size::mib(50);
        /// Recipients of one message; further ones get 452, and the client sends again for them.
        recipients_max: u32 = 1000;
        /// Messages begun on one connection; a client that goes on is told 421. Without it there is no limit. Clients
        /// are told both limits beforehand (LIMITS, RFC 9422).
        transactions_max: Option<u32> = None, example "100";
        /// A client that sends no command for so long is told 421 (RFC 5321 §4.5.3.2.7 wants 5 minutes at least).
        command_timeout: Span = Span::seconds(300);
        /// The same while a message arrives, and does not get on.
        data_timeout: Span = Span::seconds(300);
        /// Networks that may relay without authentication. The default is nobody.
        trusted_networks: Vec<Network> = Vec::new(), example "[\"10.0.0.0/8\", \"2001:db8::/32\"]";
        /// The proxies that may connect to listeners with proxy_protocol = true, for all services. What they say of
        /// their clients' addresses is believed. The default is this host.
        proxy_networks: Vec<Network> = loopback();
        /// Proxies that may say with XCLIENT who their client is. Limits and relaying then go by that client, and by the
        /// account it names. The default is nobody.
        xclient_networks: Vec<Network> = Vec::new(), example "[\"10.0.0.7\"]";
        /// Proxies and filters that may say with XFORWARD whose message they pass on, for Received, log and history only.
        xforward_networks: Vec<Network> = Vec::new(), example "[\"127.0.0.1\"]";
        /// Who may ask with VRFY whether an address exists.
        vrfy: Audience = Audience::Authenticated;
        /// Who may ask with EXPN who stands behind an alias.
        expn: Audience = Audience::Authenticated;
        /// What of a submitted message must name addresses that lead to the account: sender and From, the sender in the
        /// envelope alone, or nothing.
        sender_check: SenderCheck = SenderCheck::Header;
        /// Senders who want a message back if it is not delivered in time (DELIVERBY) have to give at least so long.
        deliver_by_min: Span = Span::seconds(0);
        /// How long a submitted message may be held before it leaves (FUTURERELEASE); 0s: it cannot be asked for.
        future_release_max: Span = Span::seconds(30 * 86_400);
        /// The client has to wait so long for the greeting; one that talks before it gets 554. Programs that send spam
        /// are hasty.
        greeting_delay: Span = Span::seconds(0);
        /// Whether Received lines of submitted messages leave out the submitter's host name and address.
        hide_submitter: bool = false;
        /// What a client is told of an address that leads to one elsewhere: nothing, the address with 251, or the
        /// address with 551 instead of forwarding (RFC 5321 §3.4).
        tell_forwarding: TellForwarding = TellForwarding::Never;
        /// Classes of solicitation to refuse, announced with NO-SOLICITING (RFC 3865).
        no_soliciting: Vec<SolicitationClass> = Vec::new(), example "[\"net.example:ADV\"]";
        /// Whether senders may say that they will ask where their message went (MTRK, RFC 3885). It is passed on; there is
        /// no service here that would answer.
        mtrk: bool = false;
        /// Who may send to terminals with SEND, SOML and SAML. Who may also learns who is at one.
        send: Audience = Audience::Never;
        /// Whether such messages go to terminals of this machine's logins too, as those of write(1): the user part of an
        /// address is the login's name then. For machines whose accounts are their users.
        send_to_ttys: bool = false;
        /// Who may ask with ETRN that waiting mail for a node be sent now, along its route.
        etrn: Audience = Audience::Authenticated;
        /// Who may turn the connection round with TURN, as ATRN does on service odmr: nobody, or clients that have logged in
        /// under TLS, for the domains they fetch.
        turn: TurnAudience = TurnAudience::Never;
    }
}

choice! {
    /// What is told of forwarding.
    TellForwarding { Never "never", Accept "251", Redirect "551" }
}

pub(super) fn loopback() -> Vec<Network> {
    ["127.0.0.0/8", "::1/128"].into_iter().filter_map(|text| Network::parse(text).ok()).collect()
}

choice! {
    /// Who may use a command.
    Audience { Anyone "anyone", Authenticated "authenticated", Never "never" }
}

choice! {
    /// What of a submitted message must be the account's own.
    SenderCheck { Header "header", Envelope "envelope", Off "off" }
}

choice! {
    /// Who may use TURN.
    TurnAudience { Authenticated "authenticated", Never "never" }
}

section! {
    /// What guessing passwords costs. Failed logins are answered later and later; where too many failed within the window
    /// further ones are put off without a look (454, [SYS/TEMP]), and let through again by and by.
    Login "[login]" {
        /// Failed logins to one account from one network (/24, /64) within the window.
        attempts: u32 = 10;
        /// To all accounts from one network; this machine is spared.
        attempts_network: u32 = 100;
        /// To one account from all networks but those that it has logged in from lately.
        attempts_account: u32 = 100;
        /// The window.
        window: Span = Span::seconds(900);
    }
}

section! {
    /// Tokens of an issuer in place of passwords: OAUTHBEARER and XOAUTH2. Taken where one of jwks_file, jwks_url and
    /// introspection_url is given.
    OAuth "[oauth]" {
        /// What iss in a token has to be.
        issuer: Option<String> = None, example "\"https://login.example.org\"";
        /// What aud in a token has to hold.
        audience: Option<String> = None, example "\"mail\"";
        /// What scope in a token has to hold.
        scope: Option<String> = None, example "\"mail\"";
        /// The claim that holds the account's address.
        claim: TokenClaim = TokenClaim::Email;
        /// The issuer's public keys (JWK set) as a file; relative to the configuration file.
        jwks_file: Option<PathBuf> = None, example "\"/etc/postrider/issuer.jwks\"";
        /// The issuer's public keys, fetched again when they change.
        jwks_url: Option<HttpUrl> = None, example "\"https://login.example.org/keys\"";
        /// Where the issuer is asked about each token (RFC 7662).
        introspection_url: Option<HttpUrl> = None, example "\"https://login.example.org/introspect\"";
        /// Our name there.
        client_id: Option<String> = None, example "\"postrider\"";
        /// File that holds our password there, read at each use; relative to the configuration file.
        client_secret_file: Option<PathBuf> = None, example "\"/etc/postrider/issuer.secret\"";
    }
}

choice! {
    /// The claim that holds the account's address.
    TokenClaim { Email "email", Sub "sub", PreferredUsername "preferred_username", Username "username" }
}

section! {
    /// Where mail for other hosts goes; the first section that matches decides.
    Route "[[route]]" {
        /// The addresses meant: an address, a domain, "*@*.example.org", or "*" for all.
        recipient: Pattern, example "\"*@internal.example\"";
        /// What happens: handed to the hosts that the recipient's domain names (mx), to one host (smtp, lmtp), to a program
        /// (pipe), written into a folder (maildir), posted to a web server (http), kept in one mailbox for looking at (capture), kept until an operator
        /// releases it, thrown away, or refused. What goes by lmtp, pipe, maildir, http or capture is taken from anybody, as mail
        /// for domains of our own is.
        via: Via, example "\"smtp\"";
        /// The next host, for via "smtp" and "lmtp"; for lmtp also a Unix socket, "unix:/path".
        host: Option<String> = None, example "\"10.0.0.9\"";
        /// The port of the hosts, for via "mx", "smtp" and "lmtp". Without it: 25, and 24 for lmtp.
        port: Option<u16> = None, example "587";
        /// Whether hosts found by MX may have private and loopback addresses; nobody else's records should lead there.
        private_addresses: bool = false;
        /// For via "mx": whether mail for these recipients is taken from anybody, because this host is a backup MX of their
        /// domain. It goes to the hosts that their MX records prefer to this one (its hostname), and waits while none of
        /// them answers.
        backup_mx: bool = false;
        /// TLS towards it: opportunistic takes it if offered, and keeps to what the host's side says ([tls_policy]); required
        /// insists on a valid certificate, dane on a key that DNSSEC proves.
        tls: RouteTls = RouteTls::Opportunistic;
        /// Name to log in with, if it asks for one.
        username: Option<String> = None, example "\"relay@example.org\"";
        /// File that holds the password, read at each use; relative to the configuration file.
        password_file: Option<PathBuf> = None, example "\"/etc/postrider/relay.password\"";
        /// The program for via "pipe", by its full path, and its arguments; no shell reads them. In them stand for what they
        /// say: ${recipient}, ${original_recipient}, ${user}, ${domain}, ${sender}, ${queue_id}; the environment has the
        /// same in capitals. Exit status 0: delivered; 71, 74, 75: tried again; others from 64 to 78: failed.
        command: Vec<Text> = Vec::new(), example "[\"/usr/local/bin/ticket\", \"--to\", \"${recipient}\"]";
        /// Where the program runs. Without it: /.
        directory: Option<PathBuf> = None, example "\"/var/lib/ticket\"";
        /// Whose rights the program has, or whom the Maildir belongs to. It has to be given where Postrider runs as root.
        user: Option<String> = None, example "\"ticket\"";
        /// After so long the program is killed, or the web server left, and the message tried again.
        timeout: Span = Span::seconds(300);
        /// The Maildir for via "maildir", with the same names in it as a command. What they stand for is part of one name:
        /// what means something to a file system is encoded.
        path: Option<Text> = None, example "\"/var/mail/${domain}/${user}\"";
        /// Whether a Maildir that is missing is made. If not, its user is unknown.
        create: bool = true;
        /// Where each message is posted, for via "http"; without TLS to this machine only. 2xx: delivered; 408, 425, 429 and
        /// 5xx: tried again, not before Retry-After; others of 4xx: failed. Redirects are not followed.
        url: Option<HttpUrl> = None, example "\"https://hooks.example.org/mail\"";
        /// File with the secret that signs what is posted, as Standard Webhooks has it: "whsec_" and base64. Read at each
        /// use; relative to the configuration file.
        secret_file: Option<PathBuf> = None, example "\"/etc/postrider/hook.secret\"";
        /// What is posted: the message as it is (raw), its envelope in x-postrider- header fields, or an event (json) with
        /// both.
        format: Posted = Posted::Raw;
        /// The account that gets all mail, for via "capture".
        mailbox: Option<String> = None, example "\"alice@example.org\"";
    }
}

choice! {
    /// The way of a route.
    Via { Mx "mx", Smtp "smtp", Lmtp "lmtp", Pipe "pipe", Maildir "maildir", Http "http", Capture "capture",
        Hold "hold", Discard "discard", Reject "reject" }
}

choice! {
    /// What a web server is posted.
    Posted { Raw "raw", Json "json" }
}

choice! {
    /// TLS towards a next host.
    RouteTls { None "none", Opportunistic "opportunistic", Required "required", Dane "dane" }
}

section! {
    /// Mail that an alias leads to another system.
    Forward "[forward]" {
        /// Whether it goes on under a sender of our own domain (SRS), so that SPF finds what it expects there, and bounces
        /// come back. Senders of our domains stay as they are.
        srs: bool = true;
        /// The domain of such senders, whose mail has to arrive here. Without it, the alias's own.
        srs_domain: Option<HostName> = None, example "\"srs.example.org\"";
    }
}

section! {
    /// How long delivery is tried.
    Queue "[queue]" {
        /// Waits between the tries; the last repeats.
        retry_delays: Vec<Span> = [1, 5, 15, 30, 60, 120, 240].map(|minutes| Span::seconds(minutes * 60)).to_vec();
        /// After this long the sender gets the message back.
        expire_after: Span = Span::seconds(5 * 86_400);
        /// After this long the sender is told, once, that delivery is late, unless it asked not to be.
        delay_notice_after: Span = Span::seconds(4 * 3_600);
    }
}

section! {
    /// Reports on mail that could not be delivered.
    Reports "[reports]" {
        /// Mail from the null sender, as reports themselves are, is tried for so long, or for expire_after of [queue] if
        /// that is less.
        expire_after: Span = Span::seconds(2 * 86_400);
        /// Whether the postmaster is told of mail from the null sender that could not be delivered, since nobody else may
        /// be; 20 times an hour at most.
        dead_letters: bool = true;
        /// Whether mail of our domains goes abroad under a return address that names the message (ann+bounce-…), so that a
        /// report that comes back is known to be about it. Lists elsewhere that know their members by the envelope's
        /// sender do not know such a one.
        verp: bool = false;
    }
}

section! {
    /// Addresses that get no more mail, because mail to them failed for good (there is no such user or domain), by the next
    /// host's reply or by a report that came back. `postrider suppression` shows and changes the list.
    Suppression "[suppression]" {
        /// The senders whose mail fills the list and heeds it, such as those of newsletters and notices: addresses or
        /// domains, "*" for all. Recipients on the list are refused to them. The default is nobody: where people write to
        /// people, a refusal by the recipient's own host says more.
        senders: Vec<Pattern> = Vec::new(), example "[\"*@news.example.org\"]";
        /// So many messages have to fail first.
        failures: u32 = 2;
        /// After so long without a failure an address is forgotten.
        keep_for: Span = Span::seconds(90 * 86_400);
    }
}

section! {
    /// Name resolution.
    Dns "[dns]" {
        /// DNS servers to ask. The default are those of /etc/resolv.conf.
        servers: Vec<NameServer> = Vec::new(), example "[\"127.0.0.1:5353\"]";
        /// Whether answers are validated: auto does so if the servers pass on signatures; with validate nothing that
        /// should be signed counts without.
        dnssec: Dnssec = Dnssec::Auto;
        /// How long a server is waited for. It is asked twice, and one question takes at most five times as long, whatever
        /// aliases and proofs it needs.
        timeout: Span = Span::seconds(4);
        /// File with the DNSKEY records that prove the others, instead of the root's; relative to the configuration file.
        trust_anchor: Option<PathBuf> = None, example "\"/etc/postrider/anchor.key\"";
    }
}

choice! {
    /// Whether answers are validated.
    Dnssec { Auto "auto", Validate "validate", Off "off" }
}

section! {
    /// The log on standard error.
    Log "[log]" {
        /// For people or for programs.
        format: LogFormat = LogFormat::Text;
        /// The least serious entries shown.
        level: LogLevel = LogLevel::Info;
    }
}

choice! {
    /// The shape of log entries.
    LogFormat { Text "text", Json "json" }
}

choice! {
    /// How much is logged.
    LogLevel { Error "error", Warn "warn", Info "info", Debug "debug", Trace "trace" }
}
