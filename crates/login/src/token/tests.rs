use std::{
    collections::VecDeque,
    sync::Mutex,
    time::{Duration, Instant},
};

use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use mail::Timestamp;
use serde_json::{Value, json};
use world::http::{HttpError, HttpRequest, HttpResponse};

use super::*;

const ANNA: &str = "anna@example.org";
/// Seconds since 1970 when all of this takes place.
const NOW_S: i64 = 1_790_000_000;

/// A clock that is put forward by hand.
struct Manual {
    start: Instant,
    passed: Mutex<Duration>,
}

impl Manual {
    fn pass(&self, time: Duration) {
        *self.passed.lock().unwrap() += time;
    }
}

#[async_trait::async_trait]
impl Clock for Manual {
    fn now(&self) -> Instant {
        self.start + *self.passed.lock().unwrap()
    }

    fn wall(&self) -> Timestamp {
        Timestamp::from_millis(NOW_S * 1000 + i64::try_from(self.passed.lock().unwrap().as_millis()).unwrap())
    }

    async fn sleep_until(&self, _: Instant) {}
}

/// An issuer that gives its answers in turn, the last one for good.
#[derive(Default)]
struct Issuer {
    answers: Mutex<VecDeque<Result<(u16, Value), String>>>,
    asked: Mutex<Vec<HttpRequest>>,
}

impl Issuer {
    fn will_say(&self, answers: impl IntoIterator<Item = Result<(u16, Value), String>>) {
        *self.answers.lock().unwrap() = answers.into_iter().collect();
    }

    fn times_asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

#[async_trait::async_trait]
impl Http for Issuer {
    async fn ask(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        self.asked.lock().unwrap().push(request);
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0].clone() };
        let (status, body) =
            answer.map_err(|reason| HttpError { host: "issuer".to_owned(), reason, is_tls: false })?;
        Ok(HttpResponse { status, content_type: None, retry_after: None, body: body.to_string().into() })
    }
}

/// A key pair of the issuer.
struct Pair {
    algorithm: Algorithm,
    kid: String,
    key: EncodingKey,
    public: Jwk,
}

impl Pair {
    fn new(algorithm: Algorithm, kid: &str) -> Self {
        let generated = match algorithm {
            Algorithm::ES384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            Algorithm::RS256 | Algorithm::PS512 => &rcgen::PKCS_RSA_SHA256,
            _ => &rcgen::PKCS_ECDSA_P256_SHA256,
        };
        let der = match algorithm {
            Algorithm::EdDSA => {
                let pair = aws_lc_rs::signature::Ed25519KeyPair::generate().unwrap();
                pair.to_pkcs8v1().unwrap().as_ref().to_vec()
            }
            _ => rcgen::KeyPair::generate_for(generated).unwrap().serialize_der(),
        };
        let key = match algorithm {
            Algorithm::EdDSA => EncodingKey::from_ed_der(&der),
            Algorithm::RS256 | Algorithm::PS512 => EncodingKey::from_rsa_der(&pkcs1(&der)),
            _ => EncodingKey::from_ec_der(&der),
        };
        let mut public = Jwk::from_encoding_key(&key, algorithm).unwrap();
        public.common.key_id = Some(kid.to_owned());
        Self { algorithm, kid: kid.to_owned(), key, public }
    }

    fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.kid.clone()), ..Header::new(self.algorithm) };
        jsonwebtoken::encode(&header, claims, &self.key).unwrap()
    }

    fn set(pairs: &[&Self]) -> (u16, Value) {
        (200, json!({ "keys": pairs.iter().map(|pair| &pair.public).collect::<Vec<_>>() }))
    }
}

/// RFC 5958: the RSA key inside of PKCS #8 stands in the last octet string.
fn pkcs1(pkcs8: &[u8]) -> Vec<u8> {
    let at = (0..pkcs8.len()).find(|&at| pkcs8[at..].starts_with(&[0x04, 0x82])).unwrap();
    pkcs8[at + 4..].to_vec()
}

struct House {
    issuer: Arc<Issuer>,
    clock: Arc<Manual>,
    verifier: TokenVerifier,
}

fn house(source: TokenSource) -> House {
    let issuer = Arc::new(Issuer::default());
    let clock = Arc::new(Manual { start: Instant::now(), passed: Mutex::default() });
    let world = World { clock: clock.clone(), ..World::system() };
    let rules = TokenRules {
        issuer: Some("https://issuer.example".to_owned()),
        audience: Some("mail".to_owned()),
        scope: Some("mail.send".to_owned()),
        claim: AddressClaim::Email,
        source,
    };
    let verifier = TokenVerifier::new(rules, issuer.clone(), &world);
    House { issuer, clock, verifier }
}

fn with_keys(pairs: &[&Pair]) -> House {
    let house = house(TokenSource::KeyUrl("https://issuer.example/keys".parse().unwrap()));
    house.issuer.will_say([Ok(Pair::set(pairs))]);
    house
}

impl House {
    /// The address, or what is wrong.
    async fn told(&self, token: &str) -> String {
        match self.verifier.address(token).await {
            Ok(address) => address.to_string(),
            Err(TokenError::Refused(reason)) => reason.to_owned(),
            Err(TokenError::Unavailable(reason)) => format!("unavailable: {reason}"),
        }
    }
}

fn claims() -> Value {
    json!({
        "iss": "https://issuer.example", "aud": ["other", "mail"], "scope": "openid mail.send", "email": ANNA,
        "exp": NOW_S + 600, "nbf": NOW_S - 10,
    })
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

#[tokio::test]
async fn tokens_are_good_with_every_algorithm_of_the_list() {
    for algorithm in
        [Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA, Algorithm::RS256, Algorithm::PS512]
    {
        let pair = Pair::new(algorithm, "k");
        assert_eq!(with_keys(&[&pair]).told(&pair.sign(&claims())).await, ANNA, "{algorithm:?}");
    }
}

#[tokio::test]
async fn claims_have_to_be_what_the_rules_ask_for() {
    let pair = Pair::new(Algorithm::ES256, "k");
    let house = with_keys(&[&pair]);
    for (claims, told) in [
        (with("aud", json!("mail")), ANNA),
        (with("exp", json!(NOW_S - 30)), ANNA),
        (with("exp", json!(NOW_S - 61)), "it has expired"),
        (without("exp"), "it never expires"),
        (with("exp", json!("tomorrow")), "it never expires"),
        (with("nbf", json!(NOW_S + 120)), "it is not valid yet"),
        (with("nbf", json!(null)), "its nbf is no time"),
        (without("nbf"), ANNA),
        (with("iss", json!("https://issuer.example.evil")), "another issuer made it"),
        (without("iss"), "another issuer made it"),
        (with("aud", json!("other")), "it is for another audience"),
        (with("aud", json!({"mail": 1})), "it is for another audience"),
        (without("aud"), "it is for another audience"),
        (with("scope", json!("openid mail.sender")), "it lacks the scope"),
        (without("scope"), "it lacks the scope"),
        (with("email", json!("no address")), "it names no address"),
        (with("email", json!([ANNA])), "it names no address"),
        (with("email", json!("anna\n@example.org")), "it names no address"),
        (without("email"), "it names no address"),
        (with("email_verified", json!(false)), "its address is not verified"),
        (with("email_verified", json!(true)), ANNA),
    ] {
        assert_eq!(house.told(&pair.sign(&claims)).await, told, "{claims}");
    }
    let mut scp = without("scope");
    scp["scp"] = json!(["mail.send"]);
    assert_eq!(house.told(&pair.sign(&scp)).await, ANNA);
}

fn encoded(part: &str) -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    URL_SAFE_NO_PAD.encode(part)
}

#[tokio::test]
async fn forged_tokens_are_refused() {
    let pair = Pair::new(Algorithm::ES256, "k");
    let foreign = Pair::new(Algorithm::ES256, "k");
    let unknown = Pair::new(Algorithm::ES256, "other");
    let house = with_keys(&[&pair]);
    let payload = encoded(&claims().to_string());
    let good = pair.sign(&claims());
    let (signed, signature) = good.rsplit_once('.').unwrap();
    assert_eq!(house.told(&foreign.sign(&claims())).await, "its signature is wrong");
    assert_eq!(house.told(&unknown.sign(&claims())).await, "its issuer has no such key");
    let other = signed.split_once('.').unwrap().0;
    let changed = encoded(&with("email", json!("bob@example.org")).to_string());
    assert_eq!(house.told(&format!("{other}.{changed}.{signature}")).await, "its signature is wrong");
    assert_eq!(house.told(&format!("{signed}.")).await, "its signature is wrong");
    for header in [r#"{"alg":"none"}"#, r#"{"alg":"None","kid":"k"}"#, r#"{"kid":"k"}"#, "{}", "x"] {
        for end in ["", "."] {
            let told = house.told(&format!("{}.{payload}{end}", encoded(header))).await;
            assert_eq!(told, "it is no signed token with an algorithm we know", "{header}");
        }
    }
    // The public key as the secret of a symmetric algorithm (RFC 8725 §2.1).
    let public = serde_json::to_string(&pair.public).unwrap();
    let secret = EncodingKey::from_secret(public.as_bytes());
    let header = Header { kid: Some("k".to_owned()), ..Header::new(Algorithm::HS256) };
    let confused = jsonwebtoken::encode(&header, &claims(), &secret).unwrap();
    assert_eq!(house.told(&confused).await, "its algorithm takes no key pair");
    // A key that the token brings along, and an extension that must be understood.
    let header = Header { jwk: Some(foreign.public.clone()), ..Header::new(Algorithm::ES256) };
    let brought = jsonwebtoken::encode(&header, &claims(), &foreign.key).unwrap();
    assert_eq!(house.told(&brought).await, "its signature is wrong");
    let header = Header { crit: Some(vec!["b64".to_owned()]), ..Header::new(Algorithm::ES256) };
    let critical = jsonwebtoken::encode(&header, &claims(), &pair.key).unwrap();
    assert_eq!(house.told(&critical).await, "it has critical extensions");
    for no_token in ["", ".", "..", "a.b.c", "a.b.c.d", &"x".repeat(12_000)] {
        assert!(house.verifier.address(no_token).await.is_err());
    }
}

#[tokio::test]
async fn symmetric_and_encryption_keys_in_the_set_verify_nothing() {
    let pair = Pair::new(Algorithm::ES256, "k");
    let house = house(TokenSource::KeyUrl("https://issuer.example/keys".parse().unwrap()));
    let mut encryption = serde_json::to_value(&pair.public).unwrap();
    encryption["use"] = json!("enc");
    let set = json!({ "keys": [{"kty": "oct", "kid": "s", "k": "c2VjcmV0"}, encryption, {"kty": "new", "kid": "n"}] });
    house.issuer.will_say([Ok((200, set))]);
    assert_eq!(house.told(&pair.sign(&claims())).await, "its issuer has no such key");
    let header = Header { kid: Some("s".to_owned()), ..Header::new(Algorithm::HS256) };
    let token = jsonwebtoken::encode(&header, &claims(), &EncodingKey::from_secret(b"secret")).unwrap();
    assert_eq!(house.told(&token).await, "its algorithm takes no key pair");
}

#[tokio::test]
async fn a_replaced_key_is_found_and_the_old_one_is_forgotten() {
    let (old, new) = (Pair::new(Algorithm::EdDSA, "old"), Pair::new(Algorithm::EdDSA, "new"));
    let house = with_keys(&[&old]);
    house.issuer.will_say([Ok(Pair::set(&[&old])), Ok(Pair::set(&[&new]))]);
    assert_eq!(house.told(&old.sign(&claims())).await, ANNA);
    for _ in 0..10 {
        assert_eq!(house.told(&new.sign(&claims())).await, "its issuer has no such key");
    }
    assert_eq!(house.issuer.times_asked(), 1, "tokens cannot make us ask at will");
    house.clock.pass(Duration::from_secs(31));
    assert_eq!(house.told(&new.sign(&claims())).await, ANNA);
    assert_eq!(house.told(&old.sign(&claims())).await, "its issuer has no such key");
    assert_eq!(house.issuer.times_asked(), 2);
}

#[tokio::test]
async fn keys_outlive_an_issuer_that_is_down_for_a_day_at_most() {
    let pair = Pair::new(Algorithm::EdDSA, "k");
    let house = with_keys(&[&pair]);
    let long = |hours: i64| pair.sign(&with("exp", json!(NOW_S + hours * 3600)));
    assert_eq!(house.told(&long(48)).await, ANNA);
    for down in [Err("refused".to_owned()), Ok((500, json!({}))), Ok((200, json!({"no": "keys"})))] {
        house.issuer.will_say([down]);
        house.clock.pass(Duration::from_hours(7));
        assert_eq!(house.told(&long(48)).await, ANNA);
    }
    house.clock.pass(Duration::from_hours(4));
    assert_eq!(house.told(&long(48)).await, "unavailable: the issuer's keys cannot be had");
}

#[tokio::test]
async fn keys_can_come_from_a_file() {
    let pair = Pair::new(Algorithm::ES256, "k");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    let house = house(TokenSource::KeyFile(path.clone()));
    assert_eq!(house.told(&pair.sign(&claims())).await, "unavailable: the issuer's keys cannot be had");
    std::fs::write(&path, Pair::set(&[&pair]).1.to_string()).unwrap();
    house.clock.pass(Duration::from_secs(31));
    assert_eq!(house.told(&pair.sign(&claims())).await, ANNA);
}

#[tokio::test]
async fn an_issuer_can_be_asked_instead() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "s:cret\n").unwrap();
    let house = house(TokenSource::Introspection {
        url: "https://issuer.example/introspect".parse().unwrap(),
        client_id: "postrider".to_owned(),
        client_secret_file: secret,
    });
    let active = json!({"active": true, "aud": "mail", "scope": "mail.send", "email": ANNA});
    let with = |name: &str, value: Value| {
        let mut answer = active.clone();
        answer[name] = value;
        Ok((200, answer))
    };
    for (answer, told) in [
        (Ok((200, active.clone())), ANNA),
        (with("active", json!(false)), "its issuer says that it is not active"),
        (with("iss", json!("https://other.example")), "another issuer made it"),
        (with("aud", json!("other")), "it is for another audience"),
        (with("exp", json!(NOW_S - 100)), "it has expired"),
        (with("scope", json!("")), "it lacks the scope"),
        (
            with("active", json!("true")),
            "unavailable: https://issuer.example/introspect does not say whether the token is active",
        ),
        (Ok((401, json!({}))), "unavailable: https://issuer.example/introspect answered 401"),
        (Err("down".to_owned()), "unavailable: issuer: down"),
    ] {
        house.issuer.will_say([answer]);
        assert_eq!(house.told("opaque+token/=").await, told);
    }
    let asked = house.issuer.asked.lock().unwrap();
    let (kind, body) = asked[0].body.clone().unwrap();
    assert_eq!(kind, "application/x-www-form-urlencoded");
    assert_eq!(&body[..], b"token=opaque%2Btoken%2F%3D&token_type_hint=access_token");
    assert_eq!(asked[0].authorization.as_deref(), Some("Basic cG9zdHJpZGVyOnMlM0FjcmV0"));
}
