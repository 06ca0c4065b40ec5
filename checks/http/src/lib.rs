//! Asks for pages and judges status, headers, body, latency and certificate.

use std::time::{Duration, SystemTime};

use aviary_guest::http::{self, Request};
use aviary_guest::{Check, Outcome};

pub use judge::judge;
pub use settings::Settings;

pub mod judge;
pub mod settings;

impl Check for Settings {
    fn init(&mut self) -> Result<(), String> {
        if self.urls.is_empty() { Err("settings.urls: list at least one URL".into()) } else { Ok(()) }
    }

    fn poll(&mut self) -> Result<Outcome, String> {
        let requests: Vec<_> = self.urls.iter().map(|url| request(self, url)).collect();
        let answers = http::send_all(&requests);
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or(Duration::ZERO);
        let pages = self.urls.iter().zip(&answers);
        Ok(Outcome::from_targets(pages.map(|(url, answer)| judge(&self.expect, url, answer, now)).collect()))
    }
}

fn request(settings: &Settings, url: &str) -> Request {
    let mut request =
        Request::new(settings.method, url).redirects(settings.redirects).ip_family(settings.ip_family);
    request.headers = settings.headers.clone();
    request.body = settings.body.clone().map(Into::into);
    request.tls = settings.tls.clone().map(Into::into);
    match settings.timeout {
        Some(timeout) => request.timeout(timeout),
        None => request,
    }
}

aviary_guest::export!(Settings);
