//! The server's side.

use mail::scram::{ScramHash, ScramVerifier};

use super::{
    ChannelBinding, Nonce, ScramOutcome, ScramUser,
    message::{BindingFlag, ClientFinal, ClientFirst, base64},
};
use crate::sasl::SaslStep;

/// One exchange. Each step is taken once: whatever comes out of turn is malformed, and the exchange is over.
#[derive(Debug)]
pub(in crate::sasl) struct ServerExchange {
    hash: ScramHash,
    awaits: Awaits,
}

#[derive(Debug)]
enum Awaits {
    ClientFirst {
        plus: bool,
        binding: ChannelBinding,
    },
    Verifier(Opening),
    ClientFinal {
        opening: Opening,
        verifier: ScramVerifier,
        server_first: String,
        nonce: String,
    },
    /// The client has to read our signature before it is in.
    Acknowledgement(ScramUser),
    Nothing,
}

/// What the client's first message settled.
#[derive(Debug)]
struct Opening {
    user: ScramUser,
    client_nonce: String,
    client_first_bare: String,
    /// What `c=` of the client's final message has to hold.
    channel_binding: Vec<u8>,
}

impl ServerExchange {
    pub(in crate::sasl) fn new(hash: ScramHash, plus: bool, binding: ChannelBinding) -> Self {
        Self { hash, awaits: Awaits::ClientFirst { plus, binding } }
    }

    pub(in crate::sasl) fn response(&mut self, response: &[u8]) -> SaslStep {
        let step = match std::mem::replace(&mut self.awaits, Awaits::Nothing) {
            Awaits::ClientFirst { plus, binding } => self.open(response, plus, &binding),
            Awaits::ClientFinal { opening, verifier, server_first, nonce } => {
                self.close(response, opening, &verifier, &server_first, &nonce)
            }
            Awaits::Acknowledgement(user) if response.is_empty() => {
                Some(SaslStep::ScramDone(ScramOutcome { user, proven: true }))
            }
            Awaits::Acknowledgement(_) | Awaits::Verifier(_) | Awaits::Nothing => None,
        };
        step.unwrap_or(SaslStep::Malformed)
    }

    fn open(&mut self, response: &[u8], plus: bool, binding: &ChannelBinding) -> Option<SaslStep> {
        let first = ClientFirst::parse(response)?;
        let user = ScramUser {
            hash: self.hash,
            authorization_id: first.authorization_id,
            authentication_id: first.authentication_id,
        };
        let Some(data) = binding_data(&first.flag, plus, binding) else {
            return Some(SaslStep::ScramDone(ScramOutcome { user, proven: false }));
        };
        self.awaits = Awaits::Verifier(Opening {
            user: user.clone(),
            client_nonce: first.nonce.to_owned(),
            client_first_bare: first.bare.to_owned(),
            channel_binding: [first.gs2_header.as_bytes(), data].concat(),
        });
        Some(SaslStep::ScramUser(user))
    }

    pub(in crate::sasl) fn verifier(&mut self, verifier: ScramVerifier, nonce: &Nonce) -> SaslStep {
        let Awaits::Verifier(opening) = std::mem::replace(&mut self.awaits, Awaits::Nothing) else {
            return SaslStep::Malformed;
        };
        let nonce = format!("{}{}", opening.client_nonce, base64(nonce));
        let server_first = format!("r={nonce},s={},i={}", base64(&verifier.salt), verifier.iterations);
        let challenge = server_first.clone().into_bytes();
        self.awaits = Awaits::ClientFinal { opening, verifier, server_first, nonce };
        SaslStep::Challenge(challenge)
    }

    fn close(
        &mut self,
        response: &[u8],
        opening: Opening,
        verifier: &ScramVerifier,
        server_first: &str,
        nonce: &str,
    ) -> Option<SaslStep> {
        let last = ClientFinal::parse(response)?;
        let message = format!("{},{server_first},{}", opening.client_first_bare, last.without_proof);
        let message = message.as_bytes();
        // An answer overheard earlier has another nonce, and one made for another connection another binding.
        let is_of_this_exchange = last.nonce == nonce && last.channel_binding == opening.channel_binding;
        let is_proven = verifier.is_proven_by(self.hash, message, &last.proof);
        if !(is_proven && is_of_this_exchange) {
            return Some(SaslStep::ScramDone(ScramOutcome { user: opening.user, proven: false }));
        }
        self.awaits = Awaits::Acknowledgement(opening.user);
        let signature = verifier.server_signature(self.hash, message);
        Some(SaslStep::Challenge(format!("v={}", base64(&signature)).into_bytes()))
    }
}

/// The data that the client has to show with this flag; `None` if the flag does not fit (RFC 5802 §6).
fn binding_data<'a>(flag: &BindingFlag, plus: bool, binding: &'a ChannelBinding) -> Option<&'a [u8]> {
    match (flag, plus) {
        (BindingFlag::Required(name), true) => binding.data(name),
        (BindingFlag::Unsupported, false) => Some(&[]),
        // Somebody took `-PLUS` out of what we offer.
        (BindingFlag::NotOffered, false) => (!binding.is_there()).then_some(&[]),
        (BindingFlag::Required(_), false) | (BindingFlag::Unsupported | BindingFlag::NotOffered, true) => {
            None
        }
    }
}
