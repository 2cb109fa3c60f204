//! RCPT: strangers get few reports of success, or they could have us send them to people who asked for nothing (RFC
//! 3461 §8.2).

use mail::RcptParameters;

use super::{Judge, Verdict, rate, rates::Countable};

pub fn check(judge: &Judge<'_>, rcpt: &RcptParameters) -> Option<Verdict> {
    let asks = rcpt.notify.is_some_and(|notify| notify.success);
    if asks && !judge.client.may_relay(judge.config) {
        rate::check(judge, Countable::SuccessReports)
    } else {
        None
    }
}
