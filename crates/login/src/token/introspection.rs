//! Asking the issuer about each token (RFC 7662).

use std::{fmt::Write, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use world::http::{Http, HttpRequest, HttpUrl};

use super::{TokenError, claims::Claims};

pub(super) async fn ask(
    http: &dyn Http,
    url: &HttpUrl,
    client_id: &str,
    client_secret_file: &Path,
    token: &str,
) -> Result<Claims, TokenError> {
    let secret = tokio::fs::read_to_string(client_secret_file)
        .await
        .map_err(|error| TokenError::Unavailable(format!("{}: {error}", client_secret_file.display())))?;
    // RFC 6749 §2.3.1
    let pair = format!("{}:{}", encoded(client_id), encoded(secret.trim_end_matches(['\r', '\n'])));
    let form = format!("token={}&token_type_hint=access_token", encoded(token));
    let request = HttpRequest {
        url: url.clone(),
        body: Some(("application/x-www-form-urlencoded", form.into())),
        authorization: Some(format!("Basic {}", STANDARD.encode(pair))),
        accept: "application/json",
    };
    let answer = http.ask(request).await.map_err(|error| TokenError::Unavailable(error.to_string()))?;
    if answer.status != 200 {
        return Err(TokenError::Unavailable(format!("{url} answered {}", answer.status)));
    }
    let members: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&answer.body)
        .map_err(|error| TokenError::Unavailable(format!("{url} does not answer with JSON: {error}")))?;
    match members.get("active") {
        Some(serde_json::Value::Bool(true)) => Ok(Claims { members, signed: false }),
        Some(serde_json::Value::Bool(false)) => {
            Err(TokenError::Refused("its issuer says that it is not active"))
        }
        _ => Err(TokenError::Unavailable(format!("{url} does not say whether the token is active"))),
    }
}

/// As a value in `application/x-www-form-urlencoded`.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for octet in text.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            out.push(char::from(octet));
        } else {
            // Writing to a text does not fail.
            let _ = write!(out, "%{octet:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn form_values() {
        assert_eq!(super::encoded("aZ9-._~+/= ü&"), "aZ9-._~%2B%2F%3D%20%C3%BC%26");
    }
}
