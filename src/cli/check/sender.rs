//! `check --online`: what the DNS says of the sender's domain: SPF (RFC 7208), DKIM (RFC 6376), DMARC (RFC 7489). Large receivers refuse or hide
//! mail that none of them vouches for. Looked up here, judged by pure functions; where no name server answers, that is what is said.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;

use super::CheckReport;
use crate::contact::EmailAddress;
use crate::render::dkim::Dkim;

/// One name server has this long.
const PATIENCE: Duration = Duration::from_secs(3);

/// The TXT records of a name; none: the name or its records do not exist. The error: nobody answered.
type Texts = Result<Vec<String>, String>;
/// Level and text of a finding.
type Finding = (&'static str, String);

/// Asks, and reports a line for each of the three. `server`: instead of the host's name servers.
pub(super) async fn check(from: &EmailAddress, dkim: Option<&Dkim>, server: Option<SocketAddr>, report: &mut CheckReport) {
    let domain = from.domain();
    let resolver = match resolver(server) {
        Ok(resolver) => resolver,
        Err(why) => return report.add("note", format!("DNS of {domain}"), format!("cannot be asked: {why}")),
    };
    let found = texts(&resolver, domain).await;
    let (level, text) = spf(&found);
    report.add(level, format!("SPF of {domain}"), text);
    if let Err(why) = &found {
        // Who does not answer this does not answer the others, and each wait is long.
        let (level, text) = unanswered(why);
        report.add(level, format!("DKIM of {domain}"), text.clone());
        return report.add(level, format!("DMARC of {domain}"), text);
    }
    match dkim {
        None => report.add("note", format!("DKIM of {domain}"), "not signed here ([email.dkim]); the relay has to do it"),
        Some(dkim) => {
            let (level, text) = public_key(&dkim.record(), &texts(&resolver, &dkim.record_name()).await);
            report.add(level, format!("DKIM {}", dkim.record_name()), text);
        }
    }
    let (level, text) = dmarc(domain, dkim.map(Dkim::domain), &policy_texts(&resolver, domain).await);
    report.add(level, format!("DMARC of {domain}"), text);
}

fn resolver(server: Option<SocketAddr>) -> Result<TokioResolver, String> {
    let mut builder = match server {
        None => TokioResolver::builder_tokio().map_err(|e| e.to_string())?,
        Some(address) => {
            let at_port = |mut connection: ConnectionConfig| {
                connection.port = address.port();
                connection
            };
            let mut named = NameServerConfig::udp_and_tcp(address.ip());
            named.connections = named.connections.into_iter().map(at_port).collect();
            TokioResolver::builder_with_config(ResolverConfig::from_parts(None, Vec::new(), vec![named]), TokioRuntimeProvider::default())
        }
    };
    builder.options_mut().timeout = PATIENCE;
    builder.options_mut().attempts = 1;
    builder.build().map_err(|e| e.to_string())
}

async fn texts(resolver: &TokioResolver, name: &str) -> Texts {
    match resolver.txt_lookup(format!("{name}.")).await {
        Ok(found) => {
            let records = found.answers().iter().filter_map(|record| match &record.data {
                RData::TXT(txt) => Some(txt.txt_data.iter().map(|piece| String::from_utf8_lossy(piece)).collect::<String>()),
                _ => None,
            });
            Ok(records.collect())
        }
        Err(e) if e.is_no_records_found() => Ok(Vec::new()),
        Err(e) => Err(e.to_string()),
    }
}

/// The domain's own record, or else that of a domain above it; never one of a top-level domain.
async fn policy_texts(resolver: &TokioResolver, domain: &str) -> Texts {
    let mut name = domain;
    loop {
        let found = texts(resolver, &format!("_dmarc.{name}")).await?;
        match name.split_once('.') {
            Some((_, above)) if above.contains('.') && !found.iter().any(|record| is_policy(record)) => name = above,
            _ => return Ok(found),
        }
    }
}

fn is_policy(record: &str) -> bool {
    tag(record, "v").as_deref() == Some("DMARC1")
}

fn unanswered(why: &str) -> Finding {
    ("note", format!("not checked: no name server answered ({why})"))
}

fn spf(found: &Texts) -> Finding {
    let records = match found {
        Ok(records) => records,
        Err(why) => return unanswered(why),
    };
    let is_spf = |record: &&String| record.split_whitespace().next().is_some_and(|version| version.eq_ignore_ascii_case("v=spf1"));
    match records.iter().filter(is_spf).collect::<Vec<_>>()[..] {
        [] => ("note", "there is no record: name the relay in one, such as \"v=spf1 include:relay.example -all\"".to_owned()),
        [record] => {
            let terms: Vec<String> = record.split_whitespace().map(str::to_ascii_lowercase).collect();
            let has = |wanted: &[&str]| terms.iter().any(|term| wanted.contains(&term.as_str()));
            if has(&["+all", "all"]) {
                ("error", format!("lets everybody send for this domain: {record}"))
            } else if has(&["-all", "~all"]) || terms.iter().any(|term| term.starts_with("redirect=")) {
                ("ok", format!("see that it names the relay: {record}"))
            } else {
                ("note", format!("does not say what becomes of other senders (-all or ~all): {record}"))
            }
        }
        // RFC 7208 4.5: none of them counts then.
        _ => ("error", "there are several records, and only one is allowed".to_owned()),
    }
}

/// `ours`: the record that must stand there.
fn public_key(ours: &str, found: &Texts) -> Finding {
    let records = match found {
        Ok(records) => records,
        Err(why) => return unanswered(why),
    };
    let key = |text: &str| tag(text, "p").map(|value| value.split_whitespace().collect::<String>());
    // RFC 6376 3.6.1: without k= it is RSA.
    let kind = |text: &str| tag(text, "k").unwrap_or_else(|| "rsa".to_owned());
    let Some(record) = records.iter().find(|record| key(record).is_some()) else {
        return ("error", format!("there is no record; expected TXT {ours}"));
    };
    if key(record).as_deref() == Some("") {
        return ("error", format!("the key is revoked; expected TXT {ours}"));
    }
    if key(record) != key(ours) || kind(record) != kind(ours) {
        return ("error", format!("holds another key; expected TXT {ours}"));
    }
    if tag(record, "t").is_some_and(|flags| flags.split(':').any(|flag| flag.trim() == "y")) {
        return ("note", "the key is ours, but is marked as being tested (t=y): receivers may ignore it".to_owned());
    }
    ("ok", "the key is ours".to_owned())
}

fn dmarc(domain: &str, signed_by: Option<&str>, found: &Texts) -> Finding {
    let records = match found {
        Ok(records) => records,
        Err(why) => return unanswered(why),
    };
    match records.iter().filter(|record| is_policy(record)).collect::<Vec<_>>()[..] {
        [] => ("note", "there is no record: begin with \"v=DMARC1; p=none\"".to_owned()),
        [record] => {
            let policy = tag(record, "p").unwrap_or_default().to_ascii_lowercase();
            let strict = tag(record, "adkim").as_deref() == Some("s");
            match signed_by {
                _ if !["none", "quarantine", "reject"].contains(&policy.as_str()) => {
                    ("error", format!("has no policy (p=none, quarantine or reject): {record}"))
                }
                Some(by) if strict && by != domain => {
                    ("error", format!("wants the sender's very domain to sign (adkim=s), and {by} does: {record}"))
                }
                _ => ("ok", record.clone()),
            }
        }
        _ => ("error", "there are several records, and only one is allowed".to_owned()),
    }
}

/// A tag of a `tag=value; tag=value` list (RFC 6376 3.2).
fn tag(record: &str, name: &str) -> Option<String> {
    record.split(';').find_map(|pair| pair.split_once('=').filter(|(n, _)| n.trim() == name).map(|(_, value)| value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(records: &[&str]) -> Vec<String> {
        records.iter().map(|&r| r.to_owned()).collect()
    }

    #[test]
    fn spf_records() {
        for (records, level) in [
            (&["v=spf1 include:relay.example -all"][..], "ok"),
            (&["V=SPF1 ip4:192.0.2.1 ~all", "other"], "ok"),
            (&["v=spf1 redirect=_spf.relay.example"], "ok"),
            (&["v=spf1 include:relay.example"], "note"),
            (&["v=spf1 ?all"], "note"),
            (&["v=spf1 +all"], "error"),
            (&["v=spf1 all"], "error"),
            (&["v=spf1 -all", "v=spf1 -all"], "error"),
            (&["v=spf10 -all"], "note"),
            (&[], "note"),
        ] {
            assert_eq!(spf(&Ok(texts(records))).0, level, "{records:?}");
        }
        assert_eq!(spf(&Err("timed out".to_owned())).0, "note");
    }

    #[test]
    fn keys() {
        let ours = "v=DKIM1; k=ed25519; p=abcd";
        for (records, level) in [
            (&["v=DKIM1; k=ed25519; p=abcd"][..], "ok"),
            (&["k=ed25519;p=ab cd"], "ok"),
            (&["v=DKIM1; k=ed25519; p=abcd; t=y:s"], "note"),
            (&["v=DKIM1; p=abcd"], "error"),
            (&["v=DKIM1; k=ed25519; p=abce"], "error"),
            (&["v=DKIM1; k=ed25519; p="], "error"),
            (&["v=spf1 -all"], "error"),
            (&[], "error"),
        ] {
            assert_eq!(public_key(ours, &Ok(texts(records))).0, level, "{records:?}");
        }
        assert_eq!(public_key(ours, &Err("refused".to_owned())).0, "note");
    }

    #[test]
    fn dmarc_records() {
        for (records, signed_by, level) in [
            (&["v=DMARC1; p=none"][..], None, "ok"),
            (&["v=DMARC1;p=reject;adkim=s"], Some("mail.example.org"), "ok"),
            (&["v=DMARC1; p=reject; adkim=s"], Some("example.org"), "error"),
            (&["v=DMARC1; p=Reject; rua=mailto:x@example.org"], Some("example.org"), "ok"),
            (&["v=DMARC1; p=perhaps"], None, "error"),
            (&["v=DMARC1"], None, "error"),
            (&["v=DMARC1; p=none", "v=DMARC1; p=none"], None, "error"),
            (&["v=spf1 -all"], None, "note"),
            (&[], None, "note"),
        ] {
            assert_eq!(dmarc("mail.example.org", signed_by, &Ok(texts(records))).0, level, "{records:?}");
        }
    }
}
