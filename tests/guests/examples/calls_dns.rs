//! Asks what its settings say, and answers with the code and the records, or with the error in words.

use std::time::Duration;

use aviary_guest::dns::{self, RecordType, Transport};
use aviary_guest::{Check, Outcome};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CallsDns {
    name: String,
    #[serde(rename = "type", default = "a", with = "RecordTypeName")]
    kind: RecordType,
    #[serde(default)]
    server: Option<String>,
    #[serde(default)]
    tcp: bool,
    #[serde(default)]
    timeout_ms: Option<u64>,
}

impl Check for CallsDns {
    fn poll(&mut self) -> Result<Outcome, String> {
        let transport = if self.tcp { Transport::Tcp } else { Transport::Udp };
        let mut query = dns::query(&self.name, self.kind).transport(transport);
        query.server.clone_from(&self.server);
        if let Some(timeout) = self.timeout_ms {
            query = query.timeout(Duration::from_millis(timeout));
        }
        Ok(match query.lookup() {
            Ok(answer) => {
                let records: Vec<_> = answer.records.iter().map(|record| record.data.to_string()).collect();
                Outcome::pass(format!("{} {records:?} from {}", answer.code, answer.server))
            }
            Err(error) => Outcome::fail(format!("{error} ({error:?})")),
        })
    }
}

#[derive(Deserialize)]
#[serde(remote = "RecordType", rename_all = "UPPERCASE")]
enum RecordTypeName {
    A,
    Aaaa,
    Caa,
    Cname,
    Mx,
    Ns,
    Ptr,
    Soa,
    Srv,
    Txt,
}

fn a() -> RecordType {
    RecordType::A
}

aviary_guest::export!(CallsDns);
