//! The promise about policy files.

use super::judge_error;
use ::url::Url;
use aviary::{
    grant::{Authorization, Ceiling, Grants, Method, address::Reach},
    policy::Policy,
};
use std::{iter, sync::Arc};

/// What a policy does not mention is as strict as without it. Only who is named in it is trusted.
pub fn policy(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let policy = match Policy::parse(text, Some("aviary"), "cluster.local") {
        Ok(policy) => policy,
        Err(error) => return judge_error(text, &error),
    };
    for namespace in ["team-a", "aviary", "kube-system", "a"] {
        let ceiling = policy.ceiling_for(namespace);
        assert_eq!(ceiling.home(), Some(namespace));
        let named = |word: &str| text.contains(word);
        if !named("trusted") && !named("http") && namespace != "aviary" {
            judge_default(namespace, &ceiling);
        }
    }
}

/// Without a rule, nothing but the Internet and the namespace's own Services is reached.
fn judge_default(namespace: &str, ceiling: &Arc<Ceiling>) {
    let grants: Grants = serde_json::from_str(
        "{\"http\":[{\"hosts\":[\"http://*:*\",\"http://localhost\",\"http://10.0.0.1\",\"http://a.kube-public.svc\"]}]}",
    )
    .expect("valid grants");
    let Ok(authorization) = Authorization::new(namespace, grants, None, ceiling) else { return };
    let reach = |url: &str| authorization.http(Method::Get, &Url::parse(url).expect("a url")).ok();
    assert_eq!(reach("http://a.kube-public.svc"), None);
    for url in ["http://localhost", "http://10.0.0.1", "http://example.com:99"] {
        assert_eq!(reach(url), Some(Reach::Internet), "{url}");
    }
    let own = iter::once(reach(&format!("http://db.{namespace}.svc")));
    assert!(own.flatten().all(|reach| reach <= Reach::Service));
}
