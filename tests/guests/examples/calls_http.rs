//! Sends what its settings say, and answers with the status, or with the error in words.

use std::collections::BTreeMap;
use std::time::Duration;

use aviary_guest::http::{self, Error, Method, Request, Response};
use aviary_guest::tls::TlsSettings;
use aviary_guest::{Check, Outcome, Target};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CallsHttp {
    /// The URLs to ask for. A single one is sent by itself, several are sent together.
    urls: Vec<String>,
    #[serde(default = "get", with = "MethodName")]
    method: Method,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    redirects: u8,
    #[serde(default)]
    reuse: bool,
    #[serde(default)]
    body_limit: Option<u32>,
    #[serde(default)]
    timeout_ms: Option<u64>,
    #[serde(default)]
    tls: Option<TlsSettings>,
}

impl Check for CallsHttp {
    fn poll(&mut self) -> Result<Outcome, String> {
        let requests: Vec<_> = self.urls.iter().map(|url| self.request(url)).collect();
        let answers = match requests.as_slice() {
            [request] => vec![request.send()],
            requests => http::send_all(requests),
        };
        Ok(Outcome::from_targets(
            self.urls.iter().zip(answers).map(|(url, answer)| target(url, answer)).collect(),
        ))
    }
}

impl CallsHttp {
    fn request(&self, url: &str) -> Request {
        let mut request = Request::new(self.method, url).redirects(self.redirects);
        request.headers = self.headers.clone().into_iter().collect();
        request.body = self.body.clone().map(Into::into);
        request.reuse_connection = self.reuse;
        request.body_limit = self.body_limit;
        request.tls = self.tls.as_ref().map(TlsSettings::trust);
        match self.timeout_ms {
            Some(timeout) => request.timeout(Duration::from_millis(timeout)),
            None => request,
        }
    }
}

/// The target for an answer. The message is `<status> <body>`; everything else becomes labels.
fn target(url: &str, answer: Result<Response, Error>) -> Target {
    let response = match answer {
        Ok(response) => response,
        Err(error) => return Target::fail(url, format!("{error} ({error:?})")),
    };
    let timings = &response.timings;
    let start: String = response.text().chars().take(200).collect();
    Target::pass(url, format!("{} {start}", response.status))
        .label("bytes", response.body.len().to_string())
        .label("truncated", response.truncated.to_string())
        .label("url", &response.url)
        .label("redirects", response.redirects.to_string())
        .label("protocol", format!("{:?}", response.protocol))
        .label("address", &response.remote_address)
        .label("certificate", format!("{:?}", response.certificate))
        .label("connected", (timings.connect_ns > 0).to_string())
}

#[derive(Deserialize)]
#[serde(remote = "Method", rename_all = "UPPERCASE")]
enum MethodName {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
}

fn get() -> Method {
    Method::Get
}

aviary_guest::export!(CallsHttp);
