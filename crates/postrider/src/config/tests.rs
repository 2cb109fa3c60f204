use super::*;

const SMALL: &str =
    "hostname = \"mx.example.org\"\n[[listener]]\nservice = \"smtp\"\naddress = \"0.0.0.0:25\"\n";

/// The contract's example, as far as it is built.
const CONTRACT: &str = r#"
hostname = "mx1.example.org"
data_dir = "/var/lib/postrider"
[[listener]]
service = "smtp"
address = "0.0.0.0:25"
tls = "starttls"
[[listener]]
service = "submissions"
address = "unix:/run/postrider.sock"
[tls]
mode = "files"
certificate = "chain.pem"
key = "/etc/key.pem"
client_ca = "clients.pem"
[[certificate]]
certificate = "net.pem"
key = "net.key"
names = ["mail.example.net", "*.example.net"]
[[client_certificate]]
fingerprint = "3F:4A:3F:4A:3F:4A:3F:4A:3F:4A:3F:4A:3F:4A:3F:4A:3F:4A:3F:4A:3F:4A:3F:4A:3F:4A:3F:4A:3F:4A:3F:4A"
account = "ann@example.org"
[store]
engine = "embedded"
[blobs]
engine = "store"
[smtp]
message_bytes_max = "50 MiB"
recipients_max = 1000
trusted_networks = ["10.0.0.0/8"]
vrfy = "authenticated"
[[route]]
recipient = "*@internal.example"
via = "smtp"
host = "10.0.0.9"
port = 25
tls = "opportunistic"
username = "relay"
password_file = "secret"
[[route]]
recipient = "example.net"
via = "hold"
[[route]]
recipient = "*@tickets.example"
via = "pipe"
command = ["/usr/local/bin/ticket", "--to", "${recipient}"]
user = "ticket"
timeout = "1m"
[[route]]
recipient = "*@store.example"
via = "lmtp"
host = "unix:/run/lmtp"
[[route]]
recipient = "*@files.example"
via = "maildir"
path = "/var/mail/${domain}/${user}"
create = false
[[route]]
recipient = "*@hooks.example"
via = "http"
url = "https://hooks.example/mail"
secret_file = "/etc/hook"
format = "json"
[[route]]
recipient = "*"
via = "capture"
mailbox = "alice@example.org"
[queue]
retry_delays = ["1m", "5m", "15m", "30m", "1h", "2h", "4h"]
expire_after = "5d"
delay_notice_after = "4h"
[log]
format = "json"
"#;

/// Each problem as `line:column: message`.
fn problems(text: &str) -> Vec<String> {
    let problems = parse(text).unwrap_err();
    let error = ConfigError::Invalid { path: "f".into(), text: text.to_owned(), problems };
    let shown = error.to_string();
    shown.lines().filter_map(|line| line.strip_prefix("f:")).map(str::to_owned).collect()
}

fn with(more: &str) -> String {
    format!("{SMALL}{more}")
}

#[test]
fn the_contract_is_understood() {
    let config = parse(CONTRACT).unwrap();
    assert_eq!(config.listener.len(), 2);
    assert_eq!(config.smtp.message_bytes_max, types::Size::mib(50));
    assert_eq!(config.queue.retry_delays.len(), 7);
    assert_eq!(config.route[0].host.as_deref(), Some("10.0.0.9"));
    assert_eq!(config.log.format, options::LogFormat::Json);
}

#[test]
fn what_is_shown_reads_back_the_same() {
    for text in [CONTRACT, SMALL, QUICK_START] {
        let config = parse(text).unwrap();
        assert_eq!(parse(&reference::effective(&config)).unwrap(), config);
    }
}

#[test]
fn defaults_fill_what_is_not_written() {
    let config = parse(SMALL).unwrap();
    assert_eq!(config.data_dir, Path::new("/var/lib/postrider"));
    assert_eq!(config.smtp.recipients_max, 1000);
    assert_eq!(config.queue.expire_after, types::Span::seconds(432_000));
    assert_eq!(config.route, []);
}

#[test]
fn an_unknown_key_names_the_nearest_one() {
    let text = "hostname = \"a.example\"\n[[listener]]\nservice = \"smtp\"\nadress = \"0.0.0.0:25\"\n";
    assert_eq!(
        problems(text),
        [
            "2:1: \"address\" is missing in [[listener]]; give it a listen address such as \"0.0.0.0:25\", \
             \"[::]:25\" or \"unix:/path\"",
            "4:1: unknown key \"adress\" in [[listener]]; did you mean \"address\"?",
        ]
    );
    assert_eq!(
        problems(&format!("hostnam = \"x\"\n{SMALL}")),
        ["1:1: unknown key \"hostnam\"; did you mean \"hostname\"?"]
    );
    assert_eq!(
        problems(&with("[queue]\nzzz = 1\n")),
        ["6:1: unknown key \"zzz\" in [queue]; known here: retry_delays, expire_after, delay_notice_after"]
    );
}

#[test]
fn every_problem_is_told_at_once() {
    let text = with("[smtp]\nrecipients_max = -5\nmessage_bytes_max = \"50 apples\"\nvrfy = \"anyon\"\n");
    assert_eq!(
        problems(&text),
        [
            "6:18: \"recipients_max\" in [smtp]: \"-5\" is not a number from 1 to 4294967295",
            "7:21: \"message_bytes_max\" in [smtp]: \"apples\" is no unit of size; write B, KiB, MiB, GiB, KB, MB or GB",
            "8:8: \"vrfy\" in [smtp]: \"anyon\" is not known; did you mean \"anyone\"?",
        ]
    );
}

#[test]
fn what_is_planned_says_so() {
    for (text, expected) in [
        (
            "[store]\nengine = \"postgres\"\n",
            "6:10: \"engine\" in [store]: \"postgres\" is not built yet; for now it can be embedded",
        ),
        (
            "[tls]\nmode = \"acme\"\n",
            "6:8: \"mode\" in [tls]: \"acme\" is not built yet; for now it can be self-signed, files",
        ),
        ("[tls]\nacme_email = \"x\"\n", "6:1: \"acme_email\" in [tls]: not built yet; remove it for now"),
    ] {
        assert_eq!(problems(&with(text)), [expected]);
    }
    let listener = with("[[listener]]\nservice = \"managesieve\"\naddress = \"0.0.0.0:4190\"\n");
    assert!(problems(&listener)[0].contains("\"managesieve\" is not built yet"), "{:?}", problems(&listener));
}

#[test]
fn options_are_checked_together() {
    for (text, expected) in [
        ("[[route]]\nrecipient = \"*\"\nvia = \"smtp\"\n", "7:7: via = \"smtp\" needs host"),
        (
            "[[route]]\nrecipient = \"*\"\nvia = \"mx\"\nbackup_mx = true\n",
            "6:13: backup_mx takes mail from anybody",
        ),
        (
            "[[route]]\nrecipient = \"*@a.example\"\nvia = \"hold\"\nbackup_mx = true\n",
            "8:13: backup_mx is for via = \"mx\"",
        ),
        (
            "[[route]]\nrecipient = \"*\"\nvia = \"reject\"\nprivate_addresses = true\n",
            "8:21: private_addresses is for via = \"mx\"",
        ),
        (
            "[dns]\nservers = [\"dns.example\"]\n",
            "6:12: \"servers\" in [dns]: \"dns.example\" is not a DNS server",
        ),
        (
            "[[route]]\nrecipient = \"*\"\nvia = \"hold\"\nhost = \"a\"\n",
            "8:8: host is for via = \"smtp\" or \"lmtp\", and has no use for \"hold\"",
        ),
        (
            "[[route]]\nrecipient = \"*\"\nvia = \"smtp\"\nhost = \"a\"\nusername = \"a\"\n",
            "9:12: username and password_file belong",
        ),
        ("[[route]]\nrecipient = \"*\"\nvia = \"pipe\"\n", "7:7: via = \"pipe\" needs command"),
        (
            "[[route]]\nrecipient = \"*\"\nvia = \"pipe\"\ncommand = [\"prog\"]\n",
            "8:11: the first text of command is the program",
        ),
        (
            "[[route]]\nrecipient = \"*\"\nvia = \"pipe\"\ncommand = [\"/bin/x\", \"${recpient}\"]\n",
            "8:22: \"command\" in [[route]]: ${recpient} is not known; there are ${recipient}",
        ),
        ("[[route]]\nrecipient = \"*\"\nvia = \"maildir\"\n", "7:7: via = \"maildir\" needs path"),
        (
            "[[route]]\nrecipient = \"*\"\nvia = \"maildir\"\npath = \"${user}\"\n",
            "8:8: path must be a full path",
        ),
        (
            "[[route]]\nrecipient = \"*\"\nvia = \"maildir\"\npath = \"/a/../${user}\"\n",
            "8:8: path must not contain \"..\"",
        ),
        (
            "[[route]]\nrecipient = \"*\"\nvia = \"http\"\nurl = \"https://x.example/\"\n",
            "7:7: via = \"http\" needs secret_file",
        ),
        ("[[route]]\nrecipient = \"*\"\nvia = \"capture\"\n", "7:7: via = \"capture\" needs mailbox"),
        (
            "[[route]]\nrecipient = \"*\"\nvia = \"capture\"\nmailbox = \"alice\"\n",
            "8:11: \"alice\" is not an address",
        ),
        (
            "[[route]]\nrecipient = \"*\"\nvia = \"lmtp\"\nhost = \"unix:lmtp\"\n",
            "8:8: the socket's full path",
        ),
        ("[[route]]\nrecipient = \"*\"\nvia = \"smtp\"\nhost = \"unix:/lmtp\"\n", "8:8: SMTP goes to a host"),
        (
            "[[route]]\nrecipient = \"*\"\nvia = \"lmtp\"\nhost = \"a\"\nport = 25\n",
            "9:8: port 25 is for SMTP",
        ),
        (
            "[[route]]\nrecipient = \"*\"\nvia = \"maildir\"\npath = \"/m\"\ncommand = [\"/x\"]\n",
            "9:11: command is for via = \"pipe\"",
        ),
        ("[[listener]]\nservice = \"lmtp\"\naddress = \"[::]:25\"\n", "7:11: port 25 is for SMTP"),
        ("[tls]\nmode = \"files\"\nkey = \"k\"\n", "6:8: mode = \"files\" needs certificate"),
        ("[tls]\nkey = \"k\"\n", "6:7: key needs mode = \"files\""),
        ("[tls]\nwatch_interval = \"0s\"\n", "6:18: watch_interval must be more than 0"),
        (
            "[[certificate]]\ncertificate = \"c\"\nkey = \"k\"\nnames = [\"a.*\"]\n",
            "8:9: \"a.*\" is no host name, and no",
        ),
        (
            "[[listener]]\nservice = \"pop3s\"\naddress = \"[::]:995\"\nclient_certificates = \"optional\"\n",
            "8:23: client_certificates = \"optional\" needs client_ca in [tls]",
        ),
        (
            "client_certificates = \"optional\"\n[tls]\nclient_ca = \"c\"\n",
            "5:23: client certificates are for logging in",
        ),
        (
            "proxy_protocol = true\n[smtp]\nproxy_networks = []\n",
            "5:18: proxy_protocol = true needs the proxies' addresses",
        ),
        ("[queue]\nretry_delays = []\n", "6:16: retry_delays needs at least one"),
        ("[[listener]]\nservice = \"pop3\"\naddress = \"0.0.0.0:25\"\n", "7:11: another [[listener]] has"),
    ] {
        let found = problems(&with(text));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(expected), "{found:?}");
    }
    assert!(problems("hostname = \"a.example\"\n")[0].starts_with("1:1: there is no [[listener]]"));
}

#[test]
fn wrong_types_and_broken_toml_are_explained() {
    assert_eq!(
        problems(&with("[smtp]\nrecipients_max = \"many\"\n")),
        ["6:18: \"recipients_max\" in [smtp]: expected a number from 1 to 4294967295, found a string"]
    );
    assert!(problems("route = 5\n")[1].contains("begun by [[route]]"), "{:?}", problems("route = 5\n"));
    assert!(problems("hostname = \n")[0].starts_with("1:12:"), "{:?}", problems("hostname = \n"));
    assert!(problems("hostname = \"a b\"\n")[0].contains("is not a host name"));
}

#[test]
fn the_reference_names_every_option() {
    let text = reference::markdown();
    for name in ["hostname", "proxy_protocol", "retry_delays", "password_file", "level", "`[[route]]`"] {
        assert!(text.contains(name), "{name}");
    }
    assert!(text.contains("- Default: `\"50 MiB\"`"), "{text}");
}
