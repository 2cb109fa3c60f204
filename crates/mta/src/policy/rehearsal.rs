//! What policy would say to a client, rule by rule, before it comes.

use std::net::IpAddr;

use mail::{Address, ForwardPath, RcptParameters, Reply, ReversePath};
use proto::smtp::server::Flavour;

use super::{Client, Judge, Verdict};

/// A client as it would show itself.
#[derive(Clone, Debug)]
pub struct Visitor {
    pub ip: IpAddr,
    /// Logged in as this account, on submission.
    pub identity: Option<Address>,
    /// Nothing depends on it; it is shown.
    pub helo: Option<String>,
    pub reverse_path: Option<ReversePath>,
    pub recipients: Vec<ForwardPath>,
}

/// What was said in one phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase {
    /// `connect`, `helo`, `mail`, or `rcpt`.
    pub name: &'static str,
    /// What the client said there, if anything.
    pub said: Option<String>,
    pub verdicts: Vec<Verdict>,
    /// The reply that refuses it.
    pub refusal: Option<Reply>,
}

impl Visitor {
    pub fn client(&self) -> Client<'_> {
        let flavour = if self.identity.is_some() { Flavour::Submission } else { Flavour::Smtp };
        Client { ip: self.ip, flavour, identity: self.identity.as_ref() }
    }

    /// The phases it would get through, and the one that ends it; a refused recipient ends nothing. `judge` has to be for
    /// [`client`](Self::client) and a rehearsal.
    pub async fn visit(&self, judge: &mut Judge<'_>) -> Vec<Phase> {
        let connected = judge.connect().map(drop);
        let mut phases = vec![phase(judge, "connect", None, connected)];
        if phases.iter().all(Phase::passes) {
            let greeted = judge.helo();
            phases.push(phase(judge, "helo", self.helo.clone(), greeted));
        }
        let Some(reverse_path) = self.reverse_path.as_ref().filter(|_| phases.iter().all(Phase::passes))
        else {
            return phases;
        };
        let begun = judge.mail(reverse_path).await;
        phases.push(phase(judge, "mail", Some(reverse_path.to_string()), begun));
        if phases.iter().all(Phase::passes) {
            for path in &self.recipients {
                let taken = judge.rcpt(reverse_path, path, &RcptParameters::default()).await.map(drop);
                phases.push(phase(judge, "rcpt", Some(path.to_string()), taken));
            }
        }
        phases
    }
}

fn phase(
    judge: &mut Judge<'_>,
    name: &'static str,
    said: Option<String>,
    result: Result<(), Reply>,
) -> Phase {
    Phase { name, said, verdicts: std::mem::take(&mut judge.verdicts), refusal: result.err() }
}

impl Phase {
    pub fn passes(&self) -> bool {
        self.refusal.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Site, config};

    fn visitor(ip: &str, recipients: &[&str]) -> Visitor {
        Visitor {
            ip: ip.parse().unwrap(),
            identity: None,
            helo: None,
            reverse_path: Some(ReversePath::parse_prefix("<a@b.example>").unwrap().0),
            recipients: recipients.iter().map(|path| ForwardPath::parse_prefix(path).unwrap().0).collect(),
        }
    }

    #[tokio::test]
    async fn each_phase_says_what_it_would_say() {
        let site = Site::new(config(vec![])).await;
        let visitor = visitor("192.0.2.1", &["<bob@here.example>", "<x@here.example>", "<y@there.example>"]);
        let config = site.mta.config();
        for _ in 0..3 {
            let mut judge = site.mta.rehearsal(&config, visitor.client());
            let phases = visitor.visit(&mut judge).await;
            let said: Vec<(&str, Option<String>)> = phases
                .iter()
                .map(|phase| (phase.name, phase.refusal.as_ref().map(|reply| reply.code.to_string())))
                .collect();
            let refused = Some("550".to_owned());
            assert_eq!(
                said,
                [
                    ("connect", None),
                    ("helo", None),
                    ("mail", None),
                    ("rcpt", None),
                    ("rcpt", refused.clone()),
                    ("rcpt", refused)
                ]
            );
            assert_eq!(phases[3].verdicts.last().unwrap().rule, "recipient");
        }
        assert!(site.stores.spool.list(None, 1).await.unwrap().is_empty());
    }
}
