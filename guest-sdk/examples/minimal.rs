//! The check that the README shows.

use aviary_guest::{Check, Outcome, http};

#[derive(serde::Deserialize)]
struct Page {
    url: String,
}

impl Check for Page {
    fn poll(&mut self) -> Result<Outcome, String> {
        let page = http::get(&self.url).send()?;
        Ok(Outcome::pass_if(page.is_success(), format!("status {}", page.status)))
    }
}

aviary_guest::export!(Page);
