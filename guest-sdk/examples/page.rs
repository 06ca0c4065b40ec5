//! Several pages at once, each a target.

use std::time::Duration;

use aviary_guest::http::{self, Error, Response};
use aviary_guest::{Check, Outcome, Status, Target, duration};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pages {
    urls: Vec<String>,
    /// A page that is slower is a warning.
    #[serde(default, deserialize_with = "duration::optional")]
    slow: Option<Duration>,
}

impl Check for Pages {
    fn init(&mut self) -> Result<(), String> {
        if self.urls.is_empty() { Err("settings.urls: list at least one URL".into()) } else { Ok(()) }
    }

    fn poll(&mut self) -> Result<Outcome, String> {
        let requests: Vec<_> = self.urls.iter().map(|url| http::get(url).redirects(3)).collect();
        let answers = self.urls.iter().zip(http::send_all(&requests));
        Ok(Outcome::from_targets(answers.map(|(url, answer)| self.judge(url, answer)).collect()))
    }
}

impl Pages {
    fn judge(&self, url: &str, answer: Result<Response, Error>) -> Target {
        match answer {
            Err(error) => Target::fail(url, error),
            Ok(page) if !page.is_success() => Target::fail(url, format!("status {}", page.status)),
            Ok(page) => {
                let time = page.timings.total();
                let is_slow = self.slow.is_some_and(|slow| time > slow);
                let status = if is_slow { Status::Warn } else { Status::Pass };
                Target::new(url, status, format!("status {} in {time:.1?}", page.status))
            }
        }
    }
}

aviary_guest::export!(Pages);
