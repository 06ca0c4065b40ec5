//! The cookies of one request, which redirects set and later requests send. Pure.

use cookie_store::{CookieStore, RawCookie};
use hyper::{
    HeaderMap,
    header::{HeaderValue, SET_COOKIE},
};
use url::Url;

/// The most cookies that are kept.
const MOST: usize = 50;
/// The most bytes of a cookie (RFC 6265, section 6.1).
const LONGEST: usize = 4096;

/// The cookies that were set so far.
#[derive(Default)]
pub(super) struct Cookies(CookieStore);

impl Cookies {
    /// Keeps the cookies that a response from this URL sets, as far as it may set them.
    pub(super) fn keep(&mut self, url: &Url, headers: &HeaderMap) {
        for value in headers.get_all(SET_COOKIE) {
            let Ok(text) = std::str::from_utf8(value.as_bytes()) else { continue };
            if text.len() > LONGEST || self.0.iter_any().count() == MOST {
                continue;
            }
            if let Ok(cookie) = RawCookie::parse(text) {
                // A cookie for another site is refused here, as a browser does.
                let _ = self.0.insert_raw(&cookie.into_owned(), url);
            }
        }
    }

    /// The `cookie` header for a request to this URL, after the cookies that the guest sends itself.
    pub(super) fn header(&self, url: &Url, own: Option<&HeaderValue>) -> Option<HeaderValue> {
        let set = self.0.get_request_values(url).map(|(name, value)| format!("{name}={value}"));
        let own = own.and_then(|own| own.to_str().ok()).map(str::to_owned);
        let all: Vec<_> = own.into_iter().chain(set).collect();
        HeaderValue::try_from(all.join("; ")).ok().filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(set: &[&str], from: &str, to: &str) -> Option<String> {
        let mut cookies = Cookies::default();
        let mut headers = HeaderMap::new();
        for value in set {
            headers.append(SET_COOKIE, value.parse().expect("a header"));
        }
        cookies.keep(&from.parse().expect("a URL"), &headers);
        let header = cookies.header(&to.parse().expect("a URL"), None)?;
        Some(header.to_str().expect("text").to_owned())
    }

    #[test]
    fn a_cookie_goes_back_to_where_it_came_from_and_nowhere_else() {
        let set = ["session=a1; Path=/shop; HttpOnly"];
        assert_eq!(sent(&set, "http://a.test/shop/", "http://a.test/shop/x").as_deref(), Some("session=a1"));
        assert_eq!(sent(&set, "http://a.test/shop/", "http://a.test/other"), None);
        assert_eq!(sent(&set, "http://a.test/shop/", "http://b.test/shop/x"), None);
        assert_eq!(sent(&["s=1; Secure"], "https://a.test/", "http://a.test/"), None);
        assert_eq!(sent(&["s=1; Domain=b.test"], "http://a.test/", "http://b.test/"), None);
    }

    #[test]
    fn a_cookie_that_is_taken_back_is_not_sent() {
        assert_eq!(sent(&["s=1", "s=; Max-Age=0"], "http://a.test/", "http://a.test/"), None);
    }

    #[test]
    fn cookies_that_are_too_long_or_too_many_are_left_out() {
        let long = format!("a={}", "x".repeat(LONGEST));
        assert_eq!(sent(&[&long], "http://a.test/", "http://a.test/"), None);
        let many: Vec<_> = (0..MOST + 10).map(|number| format!("c{number}=1")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        let sent = sent(&many, "http://a.test/", "http://a.test/").expect("cookies");
        assert_eq!(sent.split("; ").count(), MOST);
    }

    #[test]
    fn cookies_of_the_guest_come_first() {
        let cookies = Cookies::default();
        let own = HeaderValue::from_static("own=1");
        let url = "http://a.test/".parse().expect("a URL");
        assert_eq!(cookies.header(&url, Some(&own)), Some(own));
        assert_eq!(cookies.header(&url, None), None);
    }
}
