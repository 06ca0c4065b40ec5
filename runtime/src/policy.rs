//! The operator's policy: whom to trust, and the most that the checks of everybody else may reach.

#[cfg(test)]
mod tests;

use crate::{
    grant::{Bounds, Ceiling, MostGrants, SecretKind, mentioned},
    manifest::{self, Error, Problem, Step},
    text::{is_label, is_subdomain, quote},
    value::{Limit, Limits, Size, TimeSpan, WrittenLimits},
};
use serde::Deserialize;
use std::{fmt, str::FromStr, sync::Arc};

/// The most checks of a tenant's namespace, unless a rule says otherwise.
const MOST_CHECKS: usize = 500;

/// The operator's policy: whom to trust, and the most that the checks of everybody else may reach.
#[derive(Debug)]
pub struct Policy {
    rules: Vec<Rule>,
    own: Option<String>,
    domain: String,
}

/// The policy file as it is written.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    #[serde(rename = "apiVersion")]
    _api_version: ApiVersion,
    #[serde(rename = "kind")]
    _kind: Kind,
    rules: Vec<RawRule>,
}

#[derive(Debug, Deserialize)]
enum ApiVersion {
    #[serde(rename = "aviary.dev/v1alpha1")]
    V1alpha1,
}

#[derive(Debug, Deserialize)]
enum Kind {
    Policy,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawRule {
    namespaces: Vec<NamespacePattern>,
    #[serde(default)]
    trusted: bool,
    #[serde(default, deserialize_with = "mentioned")]
    grants: Option<MostGrants>,
    #[serde(default, deserialize_with = "mentioned")]
    service_accounts: Option<Vec<String>>,
    #[serde(default, deserialize_with = "mentioned")]
    secrets: Option<Vec<SecretKind>>,
    #[serde(default, deserialize_with = "mentioned")]
    timeout: Option<TimeSpan>,
    #[serde(default, deserialize_with = "mentioned")]
    limits: Option<WrittenLimits>,
    #[serde(default, deserialize_with = "mentioned")]
    checks: Option<usize>,
    #[serde(default, deserialize_with = "mentioned")]
    memory: Option<Size>,
}

#[derive(Debug)]
struct Rule {
    namespaces: Vec<NamespacePattern>,
    /// The bounds of a tenant; none if the rule trusts its namespaces.
    bounds: Option<Arc<Bounds>>,
    checks: Option<usize>,
}

/// A pattern for namespaces, with at most one `*`, which stands for any characters.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct NamespacePattern {
    start: String,
    /// What follows the `*`; none if there is no `*`.
    end: Option<String>,
}

impl Policy {
    /// Without any rules: only `own`, the daemon's own namespace if it has one, is trusted. `domain` is that of the
    /// cluster's names, without a final dot.
    pub fn new(own: Option<&str>, domain: &str) -> Self {
        Self { rules: Vec::new(), own: own.map(str::to_owned), domain: domain.to_owned() }
    }

    /// The policy of a file with rules; `own` and `domain` are those of [`Self::new`].
    ///
    /// # Errors
    /// When the file is not one valid policy; the error says where.
    pub fn parse(text: &str, own: Option<&str>, domain: &str) -> Result<Self, Error> {
        let mut documents: Vec<Document> = manifest::read(text)?;
        let document = documents
            .pop()
            .filter(|_| documents.is_empty())
            .ok_or_else(|| Error::whole("the file has to hold one document with `kind: Policy`"))?;
        let rules = document.rules.into_iter().enumerate().map(|(number, rule)| {
            rule.build().map_err(|WrongRule { path, why }| {
                let to_rule = [Step::Key("rules"), Step::Item(number)];
                Problem::at([&to_rule[..], &path].concat(), why).locate(text, 0)
            })
        });
        let rules = rules.collect::<Result<_, Error>>()?;
        Ok(Self { rules, ..Self::new(own, domain) })
    }

    /// The most that checks from the objects of a namespace may reach. The first rule that names it counts.
    pub fn ceiling_for(&self, namespace: &str) -> Arc<Ceiling> {
        let tenant = |bounds| Ceiling::tenant(namespace, &self.domain, bounds);
        match self.rule_for(namespace) {
            Some(Rule { bounds: Some(bounds), .. }) => tenant(Arc::clone(bounds)),
            Some(Rule { bounds: None, .. }) => Ceiling::trusted(namespace),
            None if self.is_own(namespace) => Ceiling::trusted(namespace),
            None => tenant(Arc::default()),
        }
    }

    /// The most checks that the objects of a namespace may make together. A trusted namespace may have any
    /// number.
    pub fn most_checks(&self, namespace: &str) -> usize {
        match self.rule_for(namespace) {
            Some(Rule { bounds: None, .. }) => usize::MAX,
            Some(Rule { checks, .. }) => checks.unwrap_or(MOST_CHECKS),
            None if self.is_own(namespace) => usize::MAX,
            None => MOST_CHECKS,
        }
    }

    fn rule_for(&self, namespace: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.names(namespace))
    }

    fn is_own(&self, namespace: &str) -> bool {
        self.own.as_deref() == Some(namespace)
    }
}

/// An error in a rule, and the path to it within the rule.
struct WrongRule {
    path: Vec<Step>,
    why: String,
}

impl RawRule {
    fn build(self) -> Result<Rule, WrongRule> {
        let has_bounds = self.has_bounds();
        let Self { namespaces, trusted, grants, service_accounts, secrets, timeout, limits, checks, memory } =
            self;
        if namespaces.is_empty() {
            let why = "the rule names no namespace: write for example `namespaces: [\"team-*\"]`";
            return Err(WrongRule::at([], why));
        }
        if trusted && has_bounds {
            let why = "who is trusted has no bounds: remove `trusted`, or all of the rule but `namespaces`";
            return Err(WrongRule::at([], why));
        }
        let accounts = service_accounts.map(accounts).transpose()?;
        if limits.as_ref().is_some_and(|limits| limits.0.is_empty()) {
            let why = "`limits` is empty: write for example `limits: { memory: 128Mi }`, or remove the key";
            return Err(WrongRule::at([], why));
        }
        let limits = most(timeout, limits.unwrap_or_default())?;
        let bounds = Bounds { grants: grants.unwrap_or_default(), accounts, secrets, limits, memory };
        Ok(Rule { namespaces, bounds: (!trusted).then(|| Arc::new(bounds)), checks })
    }

    fn has_bounds(&self) -> bool {
        let Self { grants, service_accounts, secrets, timeout, limits, checks, memory, .. } = self;
        grants.is_some()
            || service_accounts.is_some()
            || secrets.is_some()
            || timeout.is_some()
            || limits.is_some()
            || checks.is_some()
            || memory.is_some()
    }
}

/// The largest limits that manifests can ask for; none if the rule mentions no limit.
fn most(timeout: Option<TimeSpan>, written: WrittenLimits) -> Result<Option<Limits>, WrongRule> {
    let timeout = timeout.map(|timeout| (Limit::Timeout, timeout.milliseconds()));
    let mut most = None;
    for (limit, amount) in timeout.into_iter().chain(written.0) {
        let most = most.get_or_insert_with(Limits::most_of_tenants);
        most.set(limit, amount).map_err(|error| match limit.is_under_limits() {
            true => WrongRule::at([Step::Key("limits"), Step::Key(limit.key())], error),
            false => WrongRule::at([Step::Key(limit.key())], error),
        })?;
    }
    Ok(most)
}

fn accounts(accounts: Vec<String>) -> Result<Vec<String>, WrongRule> {
    if let Some(item) = accounts.iter().position(|account| !is_subdomain(account)) {
        let why = format!("{} is no service account: write its name", quote(&accounts[item]));
        return Err(WrongRule::at([Step::Key("serviceAccounts"), Step::Item(item)], why));
    }
    Ok(accounts)
}

impl WrongRule {
    fn at(path: impl Into<Vec<Step>>, why: impl fmt::Display) -> Self {
        Self { path: path.into(), why: why.to_string() }
    }
}

impl Rule {
    fn names(&self, namespace: &str) -> bool {
        self.namespaces.iter().any(|pattern| pattern.matches(namespace))
    }
}

impl NamespacePattern {
    fn matches(&self, namespace: &str) -> bool {
        match (namespace.strip_prefix(&self.start), &self.end) {
            (Some(rest), Some(end)) => rest.ends_with(end.as_str()),
            (Some(rest), None) => rest.is_empty(),
            (None, _) => false,
        }
    }
}

impl FromStr for NamespacePattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (start, end) = text.split_once('*').map_or((text, None), |(start, end)| (start, Some(end)));
        // The pattern is valid if a letter in the place of `*` makes a valid name.
        match is_label(&format!("{start}{}{}", if end.is_some() { "x" } else { "" }, end.unwrap_or_default()))
        {
            true => Ok(Self { start: start.to_owned(), end: end.map(str::to_owned) }),
            false => Err(format!("{} is no namespace: write `team-a`, `team-*` or `*`", quote(text))),
        }
    }
}

impl TryFrom<String> for NamespacePattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}
