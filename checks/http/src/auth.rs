//! Credentials from secrets, for the `authorization` header.

use std::time::{Duration, Instant};

use aviary_guest::http::{self, Fetch};
use aviary_guest::json::{Value, from_str};
use aviary_guest::secrets::SecretRef;
use aviary_guest::url;
use serde::Deserialize;

use crate::headers::refuse_placeholder;

/// How long before its end a token is asked for anew.
const EARLY: Duration = Duration::from_secs(10);
/// The most bytes of the answer of a token server.
const LONGEST_ANSWER: u32 = 64 * 1024;
/// The errors of a token server (RFC 6749, section 5.2).
const ERRORS: [&str; 6] = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
];

/// How the check proves who it is: exactly one of these.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Auth {
    /// A user name and a password (RFC 7617).
    Basic(Basic),
    /// A token (RFC 6750).
    Bearer(SecretRef),
    /// A token from a token server, by client credentials (RFC 6749, section 4.4).
    Oauth2(Oauth2),
}

/// A user name and a password.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    /// The user name.
    pub username: String,
    /// The secret with the password.
    pub password: SecretRef,
}

/// A client of a token server.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Oauth2 {
    /// The URL of the token server. It needs a grant for `POST`.
    pub token_url: String,
    /// The name of the client.
    pub client_id: String,
    /// The secret with the password of the client.
    pub client_secret: SecretRef,
    /// What the token is to be good for.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// The token that is in use.
    #[serde(skip)]
    token: Option<Token>,
}

/// A token, and until when it may be used.
#[derive(Debug)]
struct Token {
    value: String,
    until: Instant,
}

impl Auth {
    /// An error if the settings cannot be used.
    pub fn validate(&self) -> Result<(), String> {
        let texts = match self {
            Self::Basic(basic) => &[&basic.username][..],
            Self::Bearer(_) => &[],
            Self::Oauth2(client) => &[&client.token_url, &client.client_id],
        };
        for text in texts {
            refuse_placeholder(text).map_err(|reason| format!("settings.auth: {reason}"))?;
        }
        match self {
            Self::Basic(basic) if basic.username.contains(':') => {
                Err("settings.auth.basic.username: a user name has no colon".into())
            }
            Self::Oauth2(client) => url::refuse_doubtful(&client.token_url)
                .map_err(|reason| format!("settings.auth.oauth2.tokenUrl: {reason}")),
            Self::Basic(_) | Self::Bearer(_) => Ok(()),
        }
    }

    /// The value of the `authorization` header. Reads the secrets; asks for a token where none is in use.
    pub fn header(&mut self, timeout: Option<Duration>) -> Result<String, String> {
        match self {
            Self::Basic(basic) => {
                let password = basic.password.read_text("settings.auth.basic.password")?;
                Ok(basic_header(&basic.username, &password))
            }
            Self::Bearer(token) => Ok(format!("Bearer {}", token.read_text("settings.auth.bearer")?)),
            Self::Oauth2(client) => Ok(format!("Bearer {}", client.token(timeout)?)),
        }
    }
}

impl Oauth2 {
    fn token(&mut self, timeout: Option<Duration>) -> Result<&str, String> {
        let now = Instant::now();
        if self.token.as_ref().is_none_or(|token| token.until <= now) {
            self.token = None;
            let shown = url::masked(&self.token_url);
            let token = self.ask(timeout).map_err(|reason| format!("no token from {shown}: {reason}"))?;
            self.token = Some(token.into_token(now));
        }
        Ok(self.token.as_ref().map_or("", |token| &token.value))
    }

    fn ask(&self, timeout: Option<Duration>) -> Result<Answer, String> {
        let secret = self.client_secret.read_text("settings.auth.oauth2.clientSecret")?;
        let mut body = "grant_type=client_credentials".to_owned();
        if !self.scopes.is_empty() {
            body += &format!("&scope={}", form(&self.scopes.join(" ")));
        }
        let mut request = http::post(&self.token_url)
            .header("authorization", basic_header(&form(&self.client_id), &form(&secret)))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/json")
            .body_limit(LONGEST_ANSWER)
            .body(body);
        if let Some(timeout) = timeout {
            request = request.timeout(timeout);
        }
        let answers = http::fetch_all(&[Fetch::new(request).text(None, None)]);
        let answer = answers.into_iter().next().ok_or("the daemon gave no answer")??;
        if let Some(why) = answer.body.why_incomplete() {
            return Err(format!("it answered status {}, and {why}", answer.status));
        }
        Answer::read(answer.status, &answer.body.text)
    }
}

/// What a token server says.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    token: String,
    /// How long the token is good for; none if the server does not say.
    lives: Option<Duration>,
}

impl Answer {
    fn read(status: u16, body: &str) -> Result<Self, String> {
        let Ok(answer) = from_str::<Value>(body) else {
            return Err(format!(
                "it answered status {status} and no JSON: is `tokenUrl` the URL of a token server?"
            ));
        };
        let text = |key: &str| answer.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        if let Some(error) = text("error") {
            // Any other word, and the description, may repeat what was sent.
            let error = if ERRORS.contains(&error) { error } else { "unknown" };
            return Err(format!("it answered status {status} and the error `{error}`"));
        }
        let Some(token) = text("access_token") else {
            return Err(format!("it answered status {status} without an `access_token`"));
        };
        if text("token_type").is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
            return Err("its token is no bearer token".into());
        }
        if token.chars().any(|letter| !letter.is_ascii_graphic()) {
            return Err("its token has characters that no header can have".into());
        }
        let seconds = answer.get("expires_in").and_then(whole_seconds);
        if seconds.is_some_and(|seconds| seconds < 1) {
            return Err(
                "its token expires at once (`expires_in`): look at the clock and the settings of the server"
                    .into(),
            );
        }
        let lives = seconds.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs);
        Ok(Self { token: token.to_owned(), lives })
    }

    /// The token, to be used until shortly before its end. Without an end it is used once.
    fn into_token(self, now: Instant) -> Token {
        let lives = self.lives.unwrap_or_default().saturating_sub(EARLY);
        Token { value: self.token, until: now.checked_add(lives).unwrap_or(now) }
    }
}

/// The whole seconds of a number or of a text with one; none if there are none. Fractions are dropped.
fn whole_seconds(value: &Value) -> Option<i64> {
    // Not as a floating point number: the tables to parse one are a twentieth of the module.
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    text.split('.').next()?.parse().ok()
}

/// The value of the `authorization` header for a user name and a password (RFC 7617).
fn basic_header(user: &str, password: &str) -> String {
    format!("Basic {}", base64(format!("{user}:{password}").as_bytes()))
}

/// The text in the format of forms (RFC 6749, appendix B).
fn form(text: &str) -> String {
    let letter = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => char::from(byte).to_string(),
        b' ' => "+".to_owned(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(letter).collect()
}

/// The bytes in base64 (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let at = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for (index, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let letter = char::from(ALPHABET[(bits >> shift & 63) as usize]);
            text.push(if index <= group.len() { letter } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests;
