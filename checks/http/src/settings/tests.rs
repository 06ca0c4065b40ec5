//! Tests of the settings.

use aviary_guest::json::{from_value, json};

use super::*;

#[test]
fn everything_but_the_urls_has_a_default() {
    let settings: Settings = from_value(json!({"urls": ["http://a"]})).expect("valid");
    assert_eq!((settings.method, settings.redirects), (Method::Get, 0));
    assert!(from_value::<Settings>(json!({})).is_err());
}

#[test]
fn all_settings_are_read() {
    let settings: Settings = from_value(json!({
        "urls": ["https://a"], "method": "POST", "headers": {"accept": "text/html"}, "body": "{}",
        "redirects": 3, "timeout": "2s", "ipFamily": "ipv6", "tls": {"skipVerify": true},
        "expect": {
            "status": ["2xx", 401],
            "headers": {"server": "absent", "etag": "present", "content-type": {"matches": "json"}},
            "body": {"matches": ["ok"], "notMatches": ["error"]},
            "json": {"/a/0": 1},
            "latency": {"warnAbove": "200ms", "failAbove": "1s"},
            "certificate": {"warnBefore": "14d"},
        },
    }))
    .expect("valid");
    assert_eq!(settings.timeout, Some(Duration::from_secs(2)));
    assert_eq!(settings.ip_family, IpFamily::Ipv6);
    assert!(settings.expect.status[1].contains(401));
}

#[test]
fn an_unknown_key_is_refused() {
    assert!(from_value::<Settings>(json!({"urls": [], "url": "http://a"})).is_err());
    assert!(from_value::<Settings>(json!({"urls": [], "expect": {"statuses": []}})).is_err());
}
