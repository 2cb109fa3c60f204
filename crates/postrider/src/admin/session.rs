//! What policy would say to a client, rule by rule; nothing is sent or counted.

use std::time::Duration;

use mail::{Address, ForwardPath, ReversePath};
use mta::policy::{
    Judge, Memory, Verdict, names_patience,
    rehearsal::{Phase, Visitor},
};

use super::{
    Admin, QueueHand,
    protocol::{AdminResponse, PhaseView, RuleView, VisitorView},
};

pub async fn rehearse(admin: &Admin, visitor: &VisitorView) -> AdminResponse {
    let visitor = match read(visitor) {
        Ok(visitor) => visitor,
        Err(message) => return AdminResponse::error(message),
    };
    let Some(config) = admin.config() else {
        return AdminResponse::error("no configuration says what is allowed");
    };
    let phases = match &admin.queue {
        QueueHand::Running(mta) => visitor.visit(&mut mta.rehearsal(&config, visitor.client())).await,
        QueueHand::Offline => {
            let now = admin.world.clock.now();
            let memory = Memory::new(now);
            let mut judge = Judge {
                stores: &admin.stores,
                config: &config,
                memory: &memory,
                world: &admin.world,
                client: visitor.client(),
                now,
                patience: names_patience(Duration::ZERO),
                rehearsal: true,
                verdicts: Vec::new(),
            };
            visitor.visit(&mut judge).await
        }
    };
    AdminResponse::Session { phases: phases.into_iter().map(view).collect() }
}

fn read(visitor: &VisitorView) -> Result<Visitor, String> {
    let not_an_address = |text: &str| format!("{text:?} is not an address; write user@example.org");
    let bracketed = |text: &str| format!("<{}>", text.trim().trim_start_matches('<').trim_end_matches('>'));
    let login = visitor.login.as_ref().map(|text| text.parse::<Address>().map_err(|_| not_an_address(text)));
    let reverse_path =
        visitor.mail_from.as_ref().map(|text| match ReversePath::parse_prefix(&bracketed(text)) {
            Ok((path, "")) => Ok(path),
            _ => Err(not_an_address(text)),
        });
    let recipients =
        visitor.recipients.iter().map(|text| match ForwardPath::parse_prefix(&bracketed(text)) {
            Ok((path, "")) => Ok(path),
            _ => Err(not_an_address(text)),
        });
    Ok(Visitor {
        ip: visitor.from_ip,
        identity: login.transpose()?,
        helo: visitor.helo.clone(),
        reverse_path: reverse_path.transpose()?,
        recipients: recipients.collect::<Result<_, _>>()?,
    })
}

fn view(phase: Phase) -> PhaseView {
    PhaseView {
        phase: phase.name.to_owned(),
        said: phase.said,
        rules: phase.verdicts.into_iter().map(rule).collect(),
        refused: phase.refusal.map(|reply| reply.to_string()),
    }
}

fn rule(verdict: Verdict) -> RuleView {
    let kept = store::ledger::Verdict::from(verdict);
    RuleView { rule: kept.rule, inputs: kept.inputs.into_iter().collect(), outcome: kept.outcome }
}
