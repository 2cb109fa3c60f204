//! Who plays: Postriders with a name and an address each, Postfix, the hostile crowd, and the zone that names them all.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    thread::{self, JoinHandle},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    ROADS,
    books::Books,
    foes::Foes,
    names::NameServer,
    postfix::Postfix,
    support::{
        certificates,
        ports::Ports,
        samples::with_crlf,
        server::{ALICE, PASSWORD, Server},
        tools,
    },
};

const TEST: &str = "the whole road";
const HTTP_SINK: &str = include_str!("../support/python/http_sink.py");
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const HOSTS: &str = "example.test. 60 IN MX 10 mx.example.test.\nmx.example.test. 60 IN A 127.0.0.21\n\
    far.test. 60 IN MX 10 mx.far.test.\nmx.far.test. 60 IN A 127.0.0.22\n\
    kept.test. 60 IN MX 10 mx.kept.test.\nkept.test. 60 IN MX 20 mx.backup.test.\n\
    mx.backup.test. 60 IN A 127.0.0.23\nmx.kept.test. 60 IN A 127.0.0.24\n\
    mx.smart.test. 60 IN A 127.0.0.1\ngw.gate.test. 60 IN A 127.0.0.25\n";
const AT_SITE: [&str; 6] = [
    "user0@far.test",
    "user1@far.test",
    "δοκιμή0@far.test",
    "δοκιμή1@far.test",
    "user0@lmtp.gate.test",
    "user1@lmtp.gate.test",
];
const AT_PRIMARY: [&str; 1] = ["user0@kept.test"];
const AT_SMARTHOST: [&str; 2] = ["user0@smart.test", "user1@smart.test"];
/// Of everything that is captured.
const AT_GATEWAY: [&str; 1] = ["user@box.test"];
const GATES: [&str; 6] = ["lmtp", "pipe", "maildir", "http", "capture", "discard"];

pub struct Cast {
    pub origin: Server,
    pub site: Server,
    pub backup: Server,
    /// Of kept.test; down until it is launched.
    pub primary: Server,
    pub smarthost: Server,
    pub gateway: Server,
    pub postfix: Option<Postfix>,
    pub foes: Foes,
    http: Option<JoinHandle<Vec<Value>>>,
    folder: TempDir,
    _names: NameServer,
    _ports: Ports,
}

/// What all Postriders have in common.
struct Stage {
    port: u16,
    common: String,
    roots: PathBuf,
}

impl Stage {
    /// A Postrider that listens where its name leads.
    fn server(&self, name: &str, ip: &str, more: &str, accounts: &[&str]) -> Server {
        let mut server = Server::prepare("", Path::new("data"));
        let config = fs::read_to_string(server.config()).unwrap();
        let config = config.replace("hostname = \"mx.example.test\"", &format!("hostname = \"{name}\""));
        let listener = format!("[[listener]]\nservice = \"smtp\"\naddress = \"{ip}:{}\"\n", self.port);
        fs::write(server.config(), [&config, &listener, more, &self.common].concat()).unwrap();
        server.trust(&self.roots);
        let domains: BTreeSet<&str> =
            accounts.iter().map(|account| account.split_once('@').unwrap().1).collect();
        for domain in domains {
            server.cli_ok(&["domain", "add", domain]);
        }
        for account in accounts {
            server.add_account(account);
        }
        server
    }

    fn launched(&self, name: &str, ip: &str, more: &str, accounts: &[&str]) -> Server {
        let mut server = self.server(name, ip, more, accounts);
        server.launch();
        server
    }
}

impl Cast {
    /// None after saying that the test is skipped.
    pub fn assemble() -> Option<Self> {
        tools::find("openssl", TEST)?;
        let python = tools::find("python3", TEST)?;
        let (ports, folder) = (Ports::take(), tempfile::tempdir().unwrap());
        let gates = GATES.iter().chain(&["reject"]);
        let gates = gates.map(|gate| format!("{gate}.gate.test. 60 IN MX 10 gw.gate.test.\n"));
        let names = NameServer::signed(&format!("{HOSTS}{}{}", gates.collect::<String>(), Foes::zone()));
        fs::write(folder.path().join("anchor"), names.anchor()).unwrap();
        let anchor = folder.path().join("anchor").display().to_string();
        let dns = names.section(&format!("dnssec = \"validate\"\ntrust_anchor = \"{anchor}\""));
        let authority = certificates::authority(folder.path(), "authority");
        let port = ports.nth(0);
        let common = format!(
            "[queue]\nretry_delays = [\"1s\"]\n{dns}\
             [[route]]\nrecipient = \"*\"\nvia = \"mx\"\nport = {port}\nprivate_addresses = true\n"
        );
        let stage = Stage { port, common, roots: authority.certificate.clone() };
        let files = certificates::server(folder.path(), &authority, "smart", "DNS:mx.smart.test");
        let tls = format!("[smtp]\nsender_check = \"off\"\n[tls]\nmode = \"files\"\n{}", files.lines());
        let smarthost = stage.launched("mx.smart.test", "127.0.0.26", &tls, &AT_SMARTHOST);
        let lmtp = folder.path().join("lmtp");
        let site = stage.launched("mx.far.test", "127.0.0.22", &socket(&lmtp), &AT_SITE);
        let kept = format!(
            "[[route]]\nrecipient = \"*@kept.test\"\nvia = \"mx\"\nbackup_mx = true\nport = {port}\n\
             private_addresses = true\n"
        );
        let settings = format!(
            "relayhost = [127.0.0.21]:{port}\nvirtual_mailbox_domains = postfix.test\n\
             virtual_mailbox_maps = inline:{{user0@postfix.test=user/}}\n"
        );
        let postfix = Postfix::start(TEST, &settings);
        let hook = ports.nth(1);
        let gateway =
            stage.launched("gw.gate.test", "127.0.0.25", &gates_of(folder.path(), hook), &AT_GATEWAY);
        let origin = origin(&stage, &smarthost, postfix.as_ref());
        Some(Self {
            backup: stage.launched("mx.backup.test", "127.0.0.23", &kept, &[]),
            primary: stage.server("mx.kept.test", "127.0.0.24", "", &AT_PRIMARY),
            http: Some(http_sink(&python, hook)),
            foes: Foes::gather(port),
            origin,
            site,
            smarthost,
            gateway,
            postfix,
            folder,
            _names: names,
            _ports: ports,
        })
    }

    /// Those that mail may wait in, in the order that it leaves them; the origin gets reports back.
    pub fn with_queues(&self) -> [&Server; 7] {
        let Self { origin, backup, primary, smarthost, gateway, site, .. } = self;
        [origin, backup, primary, smarthost, gateway, site, origin]
    }

    /// Everything that arrived anywhere, and every report.
    pub fn collect(&mut self, books: &mut Books) {
        let mailboxes: [(&Server, &[&str]); 4] = [
            (&self.site, &AT_SITE),
            (&self.primary, &AT_PRIMARY),
            (&self.smarthost, &AT_SMARTHOST),
            (&self.gateway, &AT_GATEWAY),
        ];
        for (server, users) in mailboxes {
            for copy in users.iter().flat_map(|user| server.pop3(user).messages().unwrap()) {
                books.arrived(None, &copy);
            }
        }
        for folder in ["piped", "maildir.gate.test/user0/new", "maildir.gate.test/user1/new"] {
            for entry in fs::read_dir(self.folder.path().join(folder)).unwrap() {
                books.arrived(None, &with_crlf(&fs::read(entry.unwrap().path()).unwrap()));
            }
        }
        for post in self.http.take().unwrap().join().unwrap() {
            assert_eq!(post["signed"], true, "{post}");
            books.arrived(post["recipient"].as_str(), post["body"].as_str().unwrap().as_bytes());
        }
        for (to, copy) in self.foes.messages() {
            books.arrived(Some(&to), &copy);
        }
        if let Some(postfix) = &self.postfix {
            for copy in postfix.take("user", 20) {
                books.arrived(Some("user0@postfix.test"), &with_crlf(&copy));
            }
        }
        for report in self.origin.pop3(ALICE).messages().unwrap() {
            books.reported(&report);
        }
    }
}

fn socket(path: &Path) -> String {
    format!("[[listener]]\nservice = \"lmtp\"\naddress = \"unix:{}\"\n", path.display())
}

/// Knows alice, whose mail it all is, a smarthost that wants a login, and Postfix.
fn origin(stage: &Stage, smarthost: &Server, postfix: Option<&Postfix>) -> Server {
    let mut more = format!(
        "[smtp]\ntrusted_networks = [\"127.0.0.0/8\"]\n[[route]]\nrecipient = \"*@smart.test\"\nvia = \"smtp\"\n\
         host = \"mx.smart.test\"\nport = {}\ntls = \"required\"\nusername = \"user0@smart.test\"\n\
         password_file = \"secret\"\n",
        smarthost.port("submission")
    );
    if let Some(postfix) = postfix {
        let port = postfix.port();
        let host = format!("host = \"127.0.0.1\"\nport = {port}\n");
        more.extend(["[[route]]\nrecipient = \"*@postfix.test\"\nvia = \"smtp\"\n", &host]);
    }
    let mut origin = stage.server("mx.example.test", "127.0.0.21", &more, &[]);
    fs::write(origin.path().join("secret"), PASSWORD).unwrap();
    origin.populate();
    origin.launch();
    origin
}

/// A route through each gate.
fn gates_of(folder: &Path, hook: u16) -> String {
    let at = folder.display();
    let user = String::from_utf8(tools::run(Command::new("id").arg("-un"), b"").ok("id")).unwrap();
    let user = user.trim();
    fs::create_dir(folder.join("piped")).unwrap();
    let script = folder.join("keep");
    fs::write(&script, format!("#!/bin/sh\nexec cat > \"$(mktemp {at}/piped/XXXXXXXX)\"\n")).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(folder.join("hook.secret"), SECRET).unwrap();
    let gates = [
        ("lmtp", format!("via = \"lmtp\"\nhost = \"unix:{at}/lmtp\"")),
        ("pipe", format!("via = \"pipe\"\ncommand = [\"{at}/keep\"]\nuser = \"{user}\"")),
        ("maildir", format!("via = \"maildir\"\npath = \"{at}/${{domain}}/${{user}}\"\nuser = \"{user}\"")),
        (
            "http",
            format!("via = \"http\"\nurl = \"http://127.0.0.1:{hook}/\"\nsecret_file = \"{at}/hook.secret\""),
        ),
        ("capture", "via = \"capture\"\nmailbox = \"user@box.test\"".to_owned()),
        ("discard", "via = \"discard\"".to_owned()),
        ("reject", "via = \"reject\"".to_owned()),
    ];
    let route = |(gate, way)| format!("[[route]]\nrecipient = \"*@{gate}.gate.test\"\n{way}\n");
    // What is thrown away is relayed as far as strangers go.
    let trusted = "[smtp]\ntrusted_networks = [\"127.0.0.0/8\"]\n".to_owned();
    trusted + &gates.into_iter().map(route).collect::<String>()
}

/// Takes as many posts as there are letters to http.gate.test.
fn http_sink(python: &Path, port: u16) -> JoinHandle<Vec<Value>> {
    let python = python.to_owned();
    let posts = ROADS.iter().find(|road| road.0 == "http.gate.test").map_or(0, |road| road.1);
    thread::spawn(move || {
        let port = port.to_string();
        let arguments = [port.as_str(), SECRET].into_iter().chain((0..posts).map(|_| "200"));
        let done = tools::python(&python, HTTP_SINK, &arguments.collect::<Vec<_>>(), b"");
        serde_json::from_slice(&done.ok("the web server")).unwrap()
    })
}
