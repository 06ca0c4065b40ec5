//! Asks for pages and judges status, headers, body, latency and certificate.

use std::time::{Duration, SystemTime};

use aviary_guest::http::{self, Request};
use aviary_guest::{Check, Outcome, url};

pub use judge::judge;
pub use settings::Settings;

pub mod judge;
pub mod settings;

/// The most requests that the daemon sends together.
const MOST_URLS: usize = 100;

impl Check for Settings {
    fn init(&mut self) -> Result<(), String> {
        match self.urls.len() {
            0 => return Err("settings.urls: list at least one URL".into()),
            1..=MOST_URLS => {}
            count => {
                return Err(format!(
                    "settings.urls: {count} URLs are more than the {MOST_URLS} of one check: write several checks"
                ));
            }
        }
        self.urls.iter().enumerate().try_for_each(|(index, url)| {
            url::refuse_doubtful(url).map_err(|reason| format!("settings.urls[{index}]: {reason}"))
        })
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

#[cfg(test)]
mod tests {
    use aviary_guest::json::{from_value, json};

    use super::*;

    fn init(urls: &[&str]) -> Result<(), String> {
        from_value::<Settings>(json!({"urls": urls})).expect("settings").init()
    }

    #[test]
    fn more_urls_than_are_asked_for_together_are_refused_by_number() {
        assert_eq!(init(&["http://a/"; 100]), Ok(()));
        let error = init(&["http://a/"; 101]).expect_err("too many");
        assert!(error.contains("101 URLs are more than the 100 of one check"), "{error}");
    }

    #[test]
    fn a_password_in_a_url_is_refused_at_init_and_not_repeated() {
        let error = init(&["http://a/", "http://ops:s3cr3t@a/"]).expect_err("a password");
        assert!(
            error.starts_with("settings.urls[1]: http://***@a/ holds a user name or password"),
            "{error}"
        );
        assert!(init(&["http://010.0.0.1/"]).is_err());
    }
}
