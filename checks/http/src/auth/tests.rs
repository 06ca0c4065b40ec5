//! Tests of credentials.

use aviary_guest::json::{from_value, json};

use super::*;

#[test]
fn a_user_and_a_password_are_in_base64() {
    assert_eq!(basic_header("Aladdin", "open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    for (text, encoded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
        assert_eq!(base64(text.as_bytes()), encoded);
    }
    assert_eq!(form("a b&ü"), "a+b%26%C3%BC");
}

#[test]
fn a_token_is_used_until_shortly_before_its_end() {
    let now = Instant::now();
    let lives = |answer: &str| {
        let token = Answer::read(200, answer).expect("an answer").into_token(now);
        token.until.duration_since(now).as_secs()
    };
    assert_eq!(lives(r#"{"access_token": "a", "token_type": "Bearer", "expires_in": 3600}"#), 3590);
    assert_eq!(lives(r#"{"access_token": "a", "expires_in": "60"}"#), 50);
    assert_eq!(lives(r#"{"access_token": "a", "expires_in": 60.9}"#), 50);
    assert_eq!(lives(r#"{"access_token": "a", "expires_in": 5}"#), 0);
    assert_eq!(lives(r#"{"access_token": "a"}"#), 0);
}

#[test]
fn whatever_a_token_server_says_instead_is_told_without_secrets() {
    for (status, body, words) in [
        (200, "<html>login</html>", "status 200 and no JSON"),
        (
            401,
            r#"{"error": "invalid_client", "error_description": "s3cr3t is wrong"}"#,
            "the error `invalid_client`",
        ),
        (400, r#"{"error": "s3cr3t"}"#, "the error `unknown`"),
        (200, r#"{"token": "s3cr3t"}"#, "without an `access_token`"),
        (200, r#"{"access_token": "s3cr3t", "expires_in": 0}"#, "expires at once"),
        (200, r#"{"access_token": "s3cr3t", "expires_in": "-1"}"#, "expires at once"),
        (200, r#"{"access_token": "s3cr3t\r\nx: y"}"#, "no header can have"),
        (200, r#"{"access_token": "s3cr3t", "token_type": "mac"}"#, "no bearer token"),
    ] {
        let error = Answer::read(status, body).expect_err(words);
        assert!(error.contains(words) && !error.contains("s3cr3t"), "{error}");
    }
}

#[test]
fn credentials_are_secrets_by_name() {
    let auth: Auth =
        from_value(json!({"basic": {"username": "ops", "password": {"secret": "p"}}})).expect("valid");
    assert!(matches!(auth, Auth::Basic(basic) if basic.password.secret == "p"));
    for wrong in [
        json!({"basic": {"username": "ops", "password": "s3cr3t"}}),
        json!({"bearer": {"secret": "a"}, "basic": {}}),
        json!({"digest": {}}),
    ] {
        assert!(from_value::<Auth>(wrong.clone()).is_err(), "{wrong}");
    }
    let url = "http://ops:s3cr3t@a/";
    let auth: Auth =
        from_value(json!({"oauth2": {"tokenUrl": url, "clientId": "a", "clientSecret": {"secret": "b"}}}))
            .expect("valid");
    let error = auth.validate().expect_err("a password");
    assert!(error.starts_with("settings.auth.oauth2.tokenUrl: http://***@a/"), "{error}");
}
