//! The settings of the check: where to connect, what to say, and what to expect.

use std::time::Duration;

use aviary_guest::duration;
use aviary_guest::limits::{Expiry, Latency};
use aviary_guest::targets::{LabelledTarget, TargetSeries};
use aviary_guest::tcp::AddressFamily;
use aviary_guest::tls::{ClientCertificateSettings, TlsSettings, Version};
use serde::Deserialize;

use crate::bytes::{refuse_byte_escapes, refuse_doubtful_text};
use crate::step::Step;

/// The most steps of a conversation. More would be no health check.
const MOST_STEPS: usize = 32;

/// The settings of the check.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// The addresses to connect to as `host:port`, each one a target.
    pub targets: Vec<LabelledTarget>,
    /// Which addresses may be dialled.
    #[serde(default)]
    pub ip_family: AddressFamily,
    /// How long each step may take, connecting included; the run's own deadline holds in any case.
    #[serde(default, deserialize_with = "duration::optional")]
    pub timeout: Option<Duration>,
    /// The TLS options. TLS starts at once, or where the steps say `startTls`.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// The steps of the conversation, in order.
    #[serde(default)]
    pub steps: Vec<Step>,
    /// What to expect of each target.
    #[serde(default)]
    pub expect: Expectations,
    /// The series of the targets.
    #[serde(skip)]
    pub(crate) series: TargetSeries,
}

impl Settings {
    /// Checks the settings. The error names the key and says what to do.
    pub(crate) fn validate(&self) -> Result<(), String> {
        let starts = self.steps.iter().filter(|step| matches!(step, Step::StartTls(_))).count();
        if self.targets.is_empty() {
            return Err("settings.targets: list at least one host:port".into());
        } else if self.steps.len() > MOST_STEPS {
            return Err(format!(
                "settings.steps: {} are too many: use at most {MOST_STEPS}",
                self.steps.len()
            ));
        } else if starts > 1 {
            return Err("settings.steps: startTls can stand there only once".into());
        } else if starts == 1 && self.tls.is_none() {
            return Err("settings.steps: startTls needs settings.tls, which may be empty: tls: {}".into());
        }
        for (index, target) in self.targets.iter().enumerate() {
            target.validate().map_err(|reason| format!("settings.targets[{index}]: {reason}"))?;
        }
        for (index, step) in self.steps.iter().enumerate() {
            let good = match step {
                Step::Send(text) => refuse_doubtful_text(text),
                Step::Expect(pattern) => refuse_byte_escapes(pattern.as_str()),
                _ => Ok(()),
            };
            good.map_err(|reason| format!("settings.steps[{index}]: {reason}"))?;
        }
        match &self.tls {
            Some(tls) if tls.trust.is_some() && (tls.ca.is_some() || tls.skip_verify) => {
                Err("settings.tls: `ca` and `skipVerify` stand there or in `trust`, not in both".into())
            }
            _ => Ok(()),
        }
    }

    /// Whether TLS starts right after connecting.
    pub(crate) fn is_tls_first(&self) -> bool {
        self.tls.is_some() && !self.steps.iter().any(|step| matches!(step, Step::StartTls(_)))
    }
}

/// The TLS options of a conversation.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tls {
    /// The name that the certificate has to be for; without it, the target's host.
    #[serde(default)]
    pub server_name: Option<String>,
    /// Certificates to trust beside the daemon's root certificates, as PEM.
    #[serde(default)]
    pub ca: Option<String>,
    /// Whether any certificate is accepted.
    #[serde(default)]
    pub skip_verify: bool,
    /// The lowest version that is offered; without it, 1.2.
    #[serde(default)]
    pub minimum_version: Option<Version>,
    /// What is shown to a server that asks for a client certificate.
    #[serde(default)]
    pub client_certificate: Option<ClientCertificateSettings>,
    /// Another place for `ca` and `skipVerify`.
    #[serde(default)]
    pub trust: Option<Trust>,
}

/// Whom to trust: another place for two of the TLS options.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Trust {
    /// Certificates to trust beside the daemon's root certificates, as PEM.
    #[serde(default)]
    pub ca: Option<String>,
    /// Whether any certificate is accepted.
    #[serde(default)]
    pub skip_verify: bool,
}

impl From<Tls> for TlsSettings {
    fn from(tls: Tls) -> Self {
        let trust = tls.trust.unwrap_or_default();
        Self {
            ca: tls.ca.or(trust.ca),
            skip_verify: tls.skip_verify || trust.skip_verify,
            server_name: tls.server_name,
            minimum_version: tls.minimum_version,
            client_certificate: tls.client_certificate,
        }
    }
}

/// What to expect of a target.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expectations {
    /// How long connecting may take, resolving the name included.
    #[serde(default)]
    pub latency: Latency,
    /// How long the certificates of the server have to be good for.
    #[serde(default)]
    pub certificate: Expiry,
}

#[cfg(test)]
mod tests {
    use aviary_guest::json::{Value, from_value, json};

    use super::*;
    use crate::heard::Heard;

    fn refusal(settings: Value) -> String {
        let settings: Settings = from_value(settings).expect("valid shape");
        settings.validate().expect_err("invalid")
    }

    #[test]
    fn steps_are_send_expect_and_start_tls() {
        let steps = json!([{"expect": "^220"}, {"send": "STARTTLS\r\n"}, {"expect": "^220"}, "startTls"]);
        let settings: Settings =
            from_value(json!({"targets": ["a:25"], "tls": {}, "steps": steps})).expect("valid");
        assert_eq!(settings.validate(), Ok(()));
        assert!(!settings.is_tls_first());
        assert!(matches!(settings.steps[3], Step::StartTls(None)));
    }

    #[test]
    fn tls_without_a_step_for_it_comes_first() {
        let settings: Settings = from_value(json!({"targets": ["a:443"], "tls": {}})).expect("valid");
        assert!(settings.is_tls_first());
    }

    #[test]
    fn settings_that_make_no_sense_are_refused_by_key() {
        assert!(refusal(json!({"targets": []})).starts_with("settings.targets"));
        let no_tls = json!({"targets": ["a:1"], "steps": ["startTls"]});
        assert!(refusal(no_tls).contains("needs settings.tls"));
        let twice = json!({"targets": ["a:1"], "tls": {}, "steps": ["startTls", "startTls"]});
        assert!(refusal(twice).contains("only once"));
        let many = vec![json!({"send": "a"}); 33];
        assert!(refusal(json!({"targets": ["a:1"], "steps": many})).contains("33 are too many"));
    }

    #[test]
    fn escapes_that_do_not_stand_for_the_bytes_that_they_look_like_are_refused_with_the_step_to_write() {
        let send = json!({"send": "\u{0}\u{0}\u{0}\u{8}\u{4}\u{d2}\u{16}/"});
        let words =
            refusal(json!({"targets": ["a:5432"], "tls": {}, "steps": [send, {"expect": "^S"}, "startTls"]}));
        assert!(
            words.starts_with("settings.steps[0]: the character U+00D2 would be sent as the two"),
            "{words}"
        );
        assert!(words.contains("write `sendBytes` with c3 92, or with d2"), "{words}");
        let words = refusal(json!({"targets": ["a:3306"], "steps": [{"expect": "\\xff\\xf7"}]}));
        assert!(words.starts_with("settings.steps[0]: ") && words.contains("write `expectBytes"), "{words}");
    }

    #[test]
    fn the_greeting_of_mysql_matches_as_text_and_as_bytes() {
        let greeting = b"\x4a\0\0\0\x0a8.0.36\0\xff\xf7\x08\x02\0\xff\xdf\x15caching_sha2_password\0";
        let steps = json!([{"expect": "\\x0a8\\.0\\.\\d+\\x00"}, {"expectBytes": "fff7"}, {"expect": "caching_sha2"}]);
        let settings: Settings = from_value(json!({"targets": ["a:3306"], "steps": steps})).expect("valid");
        assert_eq!(settings.validate(), Ok(()));
        let mut heard = Heard::default();
        heard.add(greeting).expect("short");
        for step in &settings.steps {
            assert!(
                match step {
                    Step::Expect(pattern) => heard.take(pattern),
                    Step::ExpectBytes(bytes) => heard.take_bytes(&bytes.0),
                    _ => false,
                },
                "{step}"
            );
        }
    }

    #[test]
    fn an_unknown_step_is_refused() {
        assert!(from_value::<Settings>(json!({"targets": ["a:1"], "steps": [{"wait": "1s"}]})).is_err());
    }
}
