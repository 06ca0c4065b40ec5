//! The settings of the check: where to connect, what to say, and what to expect.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use aviary_guest::duration;
use aviary_guest::limits::{Expiry, Latency};
use aviary_guest::pattern::Pattern;
use aviary_guest::tls::TlsSettings;
use serde::Deserialize;

/// The most steps of a conversation. More would be no health check.
const MOST_STEPS: usize = 32;

/// The settings of the check.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// The addresses to connect to as `host:port`, each one a target.
    pub targets: Vec<String>,
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
}

impl Settings {
    /// Checks the settings. The error names the key and says what to do.
    pub(crate) fn validate(&self) -> Result<(), String> {
        let starts = self.steps.iter().filter(|step| matches!(step, Step::StartTls)).count();
        if self.targets.is_empty() {
            Err("settings.targets: list at least one host:port".into())
        } else if self.steps.len() > MOST_STEPS {
            Err(format!("settings.steps: {} are too many: use at most {MOST_STEPS}", self.steps.len()))
        } else if starts > 1 {
            Err("settings.steps: startTls can stand there only once".into())
        } else if starts == 1 && self.tls.is_none() {
            Err("settings.steps: startTls needs settings.tls, which may be empty: tls: {}".into())
        } else {
            Ok(())
        }
    }

    /// Whether TLS starts right after connecting.
    pub(crate) fn is_tls_first(&self) -> bool {
        self.tls.is_some() && !self.steps.iter().any(|step| matches!(step, Step::StartTls))
    }
}

/// The TLS options of a conversation.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tls {
    /// The name that the certificate has to be for; without it, the target's host.
    #[serde(default)]
    pub server_name: Option<String>,
    /// Whom to trust.
    #[serde(default)]
    pub trust: TlsSettings,
}

/// One step of the conversation.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Step {
    /// Sends this text as it is. A line needs its own `\r
    /// `.
    Send(String),
    /// Waits until this pattern matches what came since the last match.
    Expect(Pattern),
    /// Starts TLS on the connection.
    StartTls,
}

impl Display for Step {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            // The text is left out, as it may be a password.
            Self::Send(_) => f.write_str("send"),
            Self::Expect(pattern) => write!(f, "expect {pattern}"),
            Self::StartTls => f.write_str("startTls"),
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
    /// How long the certificate has to be good for.
    #[serde(default)]
    pub certificate: Expiry,
}

#[cfg(test)]
mod tests {
    use aviary_guest::json::{Value, from_value, json};

    use super::*;

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
        assert!(matches!(settings.steps[3], Step::StartTls));
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
    fn an_unknown_step_is_refused() {
        assert!(from_value::<Settings>(json!({"targets": ["a:1"], "steps": [{"wait": "1s"}]})).is_err());
    }
}
