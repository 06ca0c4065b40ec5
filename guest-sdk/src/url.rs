//! URLs in settings and messages: which no setting may hold, and what nobody gets to see of the others.

use std::net::Ipv4Addr;

/// What stands in the place of a secret.
const MASK: &str = "***";
/// The ends of words that name a secret, as the key of a query in small letters.
const SECRET_KEYS: [&str; 11] =
    ["token", "key", "secret", "password", "passwd", "pwd", "pass", "sig", "signature", "credential", "auth"];
/// What ends a part of a URL behind its host.
const SEPARATORS: [char; 4] = ['?', '#', '&', ';'];

/// The URL as it may be shown: user info, and the values of keys such as `token` or `X-Amz-Signature`, are `***`.
#[must_use]
pub fn masked(url: &str) -> String {
    let url = plain(url);
    let (scheme, authority, rest) = split(&url);
    let host = match authority.rsplit_once('@') {
        Some((_, host)) => format!("{MASK}@{host}"),
        None => authority.to_owned(),
    };
    let parts: String = rest.split_inclusive(SEPARATORS).map(mask_value).collect();
    format!("{scheme}{host}{parts}")
}

/// An error if the URL holds a user name or password, or a host that programs read as different addresses.
/// The error shows the URL masked.
pub fn refuse_doubtful(url: &str) -> Result<(), String> {
    let url = plain(url);
    let (_, authority, _) = split(&url);
    if authority.contains('@') {
        return Err(format!(
            "{} holds a user name or password: take it out, as settings and the names of targets can be read",
            masked(&url)
        ));
    }
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    let host = host.trim_end_matches('.');
    let is_number = |label: &str| {
        let hexadecimal = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
        let digits = hexadecimal.map_or(10, |_| 16);
        !label.is_empty() && hexadecimal.unwrap_or(label).chars().all(|letter| letter.is_digit(digits))
    };
    if host.rsplit('.').next().is_some_and(is_number) && host.parse::<Ipv4Addr>().is_err() {
        return Err(format!("{host:?} is no IPv4 address: write `10.0.0.1`, without leading zeros"));
    }
    Ok(())
}

/// The URL without what every reader of URLs skips.
fn plain(url: &str) -> String {
    url.trim().chars().filter(|letter| !matches!(letter, '\t' | '\n' | '\r')).collect()
}

/// Splits a URL in front of its user info and behind its host and port, as browsers do.
fn split(url: &str) -> (&str, &str, &str) {
    let scheme = url.split_once(':').filter(|(scheme, rest)| {
        let is_http = ["http", "https"].iter().any(|http| http.eq_ignore_ascii_case(scheme));
        is_http || rest.starts_with(['/', '\\'])
    });
    let start = scheme.map_or(0, |(scheme, _)| scheme.len() + 1);
    let start = url.len() - url[start..].trim_start_matches(['/', '\\']).len();
    let (scheme, rest) = url.split_at(start);
    let end = rest.find(['/', '\\', '?', '#']).unwrap_or(rest.len());
    let has_port = rest[..end]
        .rsplit_once(':')
        .is_none_or(|(_, port)| port.contains(']') || port.chars().all(|letter| letter.is_ascii_digit()));
    // What is no port is a password with a `/` within, if an `@` follows.
    let end = rest
        .rfind('@')
        .filter(|_| !has_port)
        .map_or(end, |at| rest[at..].find(['/', '\\', '?', '#']).map_or(rest.len(), |end| at + end));
    let (authority, rest) = rest.split_at(end);
    (scheme, authority, rest)
}

/// A part of a URL with its separator, and with the value masked if its key names a secret.
fn mask_value(part: &str) -> String {
    let value = part.trim_end_matches(SEPARATORS);
    match value.split_once('=') {
        Some((key, secret)) if !secret.is_empty() && names_secret(key) => {
            format!("{key}={MASK}{}", &part[value.len()..])
        }
        _ => part.to_owned(),
    }
}

fn names_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let mut words = key.split(|letter: char| !letter.is_ascii_alphanumeric());
    words.any(|word| SECRET_KEYS.iter().any(|secret| word.ends_with(secret)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_info_is_masked_however_the_url_is_written() {
        for (url, shown) in [
            ("http://ops:s3cr3t%40x@a.example:81/p", "http://***@a.example:81/p"),
            ("http://s3cr3t@a.example", "http://***@a.example"),
            ("https:s3cr3t:s3cr3t@a.example/", "https:***@a.example/"),
            ("HTTP:\\\\s3cr3t:s3cr3t@a.example\\p", "HTTP:\\\\***@a.example\\p"),
            (" ht\ttp://s3cr3t:s3c\nr3t@a.example", "http://***@a.example"),
            ("http://ops:s3cr3t/s3cr3t@a.example/p", "http://***@a.example/p"),
            ("http://ops:s3cr3t?s3cr3t#s3cr3t@[::1]:8/p", "http://***@[::1]:8/p"),
            ("ops:s3cr3t@a.example", "***@a.example"),
            ("ftp://ops:s3cr3t@a.example", "ftp://***@a.example"),
            ("http://ops:s3cr@s3cr3t@a.example", "http://***@a.example"),
        ] {
            assert_eq!(masked(url), shown);
            let error = refuse_doubtful(url).expect_err(url);
            assert!(error.starts_with(shown) && !error.contains("s3cr"), "{error}");
        }
    }

    #[test]
    fn values_of_keys_that_name_a_secret_are_masked() {
        for key in [
            "token",
            "access_token",
            "api_key",
            "apikey",
            "KEY",
            "client-secret",
            "password",
            "sig",
            "Signature",
            "X-Amz-Signature",
            "X-Goog-Credential",
            "auth[token]",
            "auth%5Btoken%5D",
            "sharedAccessKey",
        ] {
            let shown = masked(&format!("http://a/p?a=1&{key}=s3cr3t=&b=2#c"));
            assert_eq!(shown, format!("http://a/p?a=1&{key}=***&b=2#c"));
        }
        assert_eq!(masked("http://a/;token=s3cr3t?x#key=s3cr3t"), "http://a/;token=***?x#key=***");
    }

    #[test]
    fn what_is_no_secret_is_shown_as_it_is() {
        for url in [
            "http://a.example:8080/@user/p?q=1&design=2&keyword=3&token=&flag",
            "https://[2001:db8::1]:443/p?time=12:30@home",
            "http://[2001:db8::1]/p@q",
            "",
            "http://",
            "a",
        ] {
            assert_eq!(masked(url), url);
            assert_eq!(refuse_doubtful(url), Ok(()), "{url}");
        }
    }

    #[test]
    fn an_address_that_programs_read_differently_is_refused() {
        for host in ["010.0.0.1", "0x0a.0.0.1", "10.1", "167772161", "10.0.0.01:80", "10.0.0.256", "1.0x0"] {
            let error = refuse_doubtful(&format!("http://{host}/")).expect_err(host);
            assert!(error.contains("is no IPv4 address: write `10.0.0.1`"), "{error}");
        }
        for host in ["10.0.0.1", "10.0.0.1.", "10.0.0.1:8080", "010.example", "1.2.3.4.nip.io", "0x.example"]
        {
            assert_eq!(refuse_doubtful(&format!("http://{host}/")), Ok(()), "{host}");
        }
    }
}
