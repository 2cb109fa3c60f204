use std::sync::atomic::{AtomicUsize, Ordering};

use mail::Timestamp;
use store::memory::MemoryEngine;
use world::http::{HttpError, HttpResponse};

use super::*;
use crate::testing::Names;

const POLICY: &str = "version: STSv1\nmode: enforce\nmx: mx.far.example\nmax_age: 86400\n";

/// A clock that stands until somebody moves its hands.
struct Hands {
    began: Instant,
    passed: Mutex<Duration>,
}

impl Default for Hands {
    fn default() -> Self {
        Self { began: Instant::now(), passed: Mutex::default() }
    }
}

impl Hands {
    fn pass(&self, time: Duration) {
        *self.passed.lock().unwrap() += time;
    }
}

#[async_trait::async_trait]
impl Clock for Hands {
    fn now(&self) -> Instant {
        self.began + *self.passed.lock().unwrap()
    }

    fn wall(&self) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000).plus(*self.passed.lock().unwrap())
    }

    async fn sleep_until(&self, _deadline: Instant) {
        std::future::pending::<()>().await;
    }
}

/// A web server that answers every question so, and counts them.
struct Web {
    answer: Mutex<Result<HttpResponse, HttpError>>,
    asked: AtomicUsize,
}

#[async_trait::async_trait]
impl Http for Web {
    async fn ask(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        assert_eq!(request.url.to_string(), "https://mta-sts.far.example/.well-known/mta-sts.txt");
        self.asked.fetch_add(1, Ordering::SeqCst);
        // Others come meanwhile.
        tokio::task::yield_now().await;
        self.answer.lock().unwrap().clone()
    }
}

fn answer(status: u16, content_type: &str, body: &str) -> HttpResponse {
    let content_type = Some(content_type.to_owned());
    HttpResponse { status, content_type, retry_after: None, body: body.to_owned().into() }
}

struct Bench {
    memory: StsMemory,
    policies: StsPolicies,
    clock: Hands,
    web: Web,
}

impl Bench {
    fn new() -> Self {
        Self {
            memory: StsMemory::default(),
            policies: StsPolicies::new(Arc::new(MemoryEngine::new())),
            clock: Hands::default(),
            web: Web {
                answer: Mutex::new(Ok(answer(200, "text/plain", POLICY))),
                asked: AtomicUsize::new(0),
            },
        }
    }

    fn serves(&self, answer: Result<HttpResponse, HttpError>) {
        *self.web.answer.lock().unwrap() = answer;
    }

    fn asked(&self) -> usize {
        self.web.asked.load(Ordering::SeqCst)
    }

    /// With these records at `_mta-sts.far.example`.
    async fn find(&self, records: &[&str]) -> StsFinding {
        let names = Names::new(&format!("_mta-sts.far.example TXT {}", records.join(" ")));
        self.source(&names).find("far.example").await.unwrap()
    }

    fn source<'a>(&'a self, names: &'a Names) -> StsSource<'a> {
        StsSource {
            memory: &self.memory,
            policies: &self.policies,
            dns: names,
            clock: &self.clock,
            http: &self.web,
            port: HTTPS_PORT,
        }
    }

    fn pass(&self, seconds: u64) {
        self.clock.pass(Duration::from_secs(seconds));
    }
}

const FIRST: &str = "v=STSv1;id=1;";
const SECOND: &str = "v=STSv1;id=2;";

fn id(finding: &StsFinding) -> Option<&str> {
    finding.policy.as_ref().map(|kept| kept.id.as_str())
}

/// C386, C390
#[tokio::test]
async fn a_policy_is_fetched_once_and_again_when_its_record_changes() {
    let bench = Bench::new();
    assert_eq!(id(&bench.find(&[]).await), None);
    assert_eq!(id(&bench.find(&[FIRST, SECOND]).await), None, "two records are none");
    assert_eq!(bench.asked(), 0);
    for _ in 0..3 {
        assert_eq!(id(&bench.find(&[FIRST]).await), Some("1"));
    }
    assert_eq!(bench.asked(), 1);
    assert_eq!(id(&bench.find(&[SECOND]).await), Some("2"));
    assert_eq!(bench.asked(), 2);
}

/// C390: whoever takes the record away takes nothing.
#[tokio::test]
async fn a_policy_outlives_its_record_until_it_expires() {
    let bench = Bench::new();
    bench.find(&[FIRST]).await;
    bench.serves(Ok(answer(404, "text/plain", "")));
    bench.pass(86_399);
    assert_eq!(id(&bench.find(&[]).await), Some("1"));
    assert_eq!(id(&bench.find(&["v=STSv1;broken"]).await), Some("1"));
    assert_eq!(id(&bench.find(&[SECOND]).await), Some("1"), "the new one cannot be had");
    bench.pass(1);
    assert_eq!(id(&bench.find(&[]).await), None);
}

/// C387
#[tokio::test]
async fn what_is_no_answer_makes_no_policy_and_takes_none_away() {
    let refused =
        |is_tls| Err(HttpError { host: "mta-sts.far.example".to_owned(), reason: "no".to_owned(), is_tls });
    for (served, expected) in [
        (refused(false), ResultType::StsPolicyFetchError),
        (refused(true), ResultType::StsWebpkiInvalid),
        (Ok(answer(301, "text/plain", POLICY)), ResultType::StsPolicyFetchError),
        (Ok(answer(204, "text/plain", POLICY)), ResultType::StsPolicyFetchError),
        (Ok(answer(200, "text/html", POLICY)), ResultType::StsPolicyFetchError),
        (Ok(answer(200, "text/plain", "<html>")), ResultType::StsPolicyInvalid),
    ] {
        let bench = Bench::new();
        bench.serves(served.clone());
        let found = bench.find(&[FIRST]).await;
        assert_eq!(id(&found), None);
        assert_eq!(found.failure.unwrap().kind, expected, "{served:?}");
        bench.serves(Ok(answer(200, "text/plain", POLICY)));
        assert_eq!(id(&bench.find(&[FIRST]).await), None, "it is not asked again at once");
        bench.pass(RETRY_AFTER.as_secs());
        assert_eq!(id(&bench.find(&[FIRST]).await), Some("1"));
        bench.serves(served);
        assert_eq!(id(&bench.find(&[SECOND]).await), Some("1"), "what is kept holds");
    }
}

#[tokio::test]
async fn a_policy_that_grows_old_is_renewed() {
    let bench = Bench::new();
    bench.find(&[FIRST]).await;
    bench.pass(43_200);
    bench.find(&[FIRST]).await;
    assert_eq!(bench.asked(), 2, "half its time is over");
    bench.pass(50_000);
    let kept = bench.policies.get("far.example").await.unwrap().unwrap();
    let names = Names::new("");
    bench.source(&names).refresh(&kept).await.unwrap();
    assert_eq!(bench.asked(), 3, "the web server is asked whatever the record says");
    bench.pass(86_399);
    assert_eq!(id(&bench.find(&[]).await), Some("1"));
}

#[tokio::test]
async fn those_who_come_together_ask_once() {
    let bench = Bench::new();
    let names = Names::new(&format!("_mta-sts.far.example TXT {FIRST}"));
    let source = bench.source(&names);
    let many = (0..20).map(|_| source.find("far.example"));
    for found in futures_util::future::join_all(many).await {
        assert_eq!(id(&found.unwrap()), Some("1"));
    }
    assert_eq!(bench.asked(), 1);
}
