//! What a node decides by and what its messages say, in parts: nodes of one practice must agree in each of them.
//!
//! In: the configuration, the templates in force, the store's own key. Out: a line `rules=… zones=… sources=… messages=…` of keyed digests, which shows
//! nothing of what it is made of, and the parts in which two such lines differ. Not in it is what may differ from machine to machine: hosts, ports,
//! credentials, paths, where it listens, which node reads a source, logs, what staff alone see.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::config::Config;
use crate::config::raw::{self, GatewayKind, RelayKind};
use crate::render::Renderer;
use crate::source::SourceKind;

/// The parts, and what each is called.
const PARTS: [(&str, &str); 4] = [("rules", "rules"), ("zones", "time zone data"), ("sources", "sources"), ("messages", "messages")];

/// See the module. The templates may change while it runs.
pub(super) struct Likeness {
    key: [u8; 32],
    rules: String,
    zones: String,
    sources: String,
    senders: String,
}

impl Likeness {
    pub(super) fn of(config: &Config, key: [u8; 32]) -> Self {
        let (policy, raw) = (&config.policy, &config.raw);
        Self {
            key,
            rules: format!(
                "{} {} {:?} {:?} {:?}",
                policy.digest_of_rules(),
                policy.max_stale,
                config.email_in_doubt,
                config.sms_in_doubt,
                raw.run.mode
            ),
            zones: policy.zones.digest().to_owned(),
            sources: config.sources.iter().map(source).collect::<Vec<_>>().join("\n"),
            senders: senders(raw),
        }
    }

    /// As the store keeps it.
    pub(super) fn line(&self, renderer: &Renderer) -> String {
        let messages = [self.senders.as_bytes(), &renderer.fingerprint()].concat();
        let [rules, zones, sources] = self.decides();
        [rules, zones, sources, self.part("messages", &messages)].join(" ")
    }

    /// All but the messages: what is due for whom, and when.
    fn decides(&self) -> [String; 3] {
        [("rules", &self.rules), ("zones", &self.zones), ("sources", &self.sources)].map(|(part, said)| self.part(part, said.as_bytes()))
    }

    /// Whether a configuration decides as a node with that line does.
    pub(super) fn would_decide_as(&self, config: &Config, theirs: &str) -> bool {
        Self::of(config, self.key).decides().iter().all(|part| theirs.split(' ').any(|of| of == part))
    }

    fn part(&self, part: &str, said: &[u8]) -> String {
        format!("{part}={}", self.digest(part, said))
    }

    fn digest(&self, part: &str, said: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        [b"node", part.as_bytes(), said].iter().for_each(|text| {
            mac.update(&(text.len() as u64).to_be_bytes());
            mac.update(text);
        });
        data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes()[..16])
    }
}

/// What two lines have otherwise, in words. Empty: they cannot be compared, since another version of the program made one of them.
pub(super) fn differing(ours: &str, theirs: &str) -> Vec<&'static str> {
    let part = |line: &str, name: &str| line.split(' ').find_map(|part| part.strip_prefix(name)?.strip_prefix('=').map(str::to_owned));
    let differs = |name: &str| part(ours, name).zip(part(theirs, name)).is_some_and(|(ours, theirs)| ours != theirs);
    PARTS.iter().filter(|(name, _)| differs(name)).map(|(_, called)| *called).collect()
}

/// What decides about its sessions, but for where it is read.
fn source(source: &crate::source::Source) -> String {
    let kind = match &source.kind {
        SourceKind::File(_) => "file".to_owned(),
        SourceKind::Http(api) => format!("http {:?}", api.hosts()),
        SourceKind::Push(_) => "push".to_owned(),
    };
    format!("{:?} {:?} {kind} {:?}", source.name, source.was, source.words)
}

/// What hands over, as those see it who get the messages: whether it sends at all, from which number, and who answers STOP and HELP.
fn senders(raw: &raw::Raw) -> String {
    let mut relays: Vec<&str> =
        raw.email.relay.iter().map(|relay| if relay.kind == Some(RelayKind::Folder) { "folder" } else { "smtp" }).collect();
    let texts = |gateway: &raw::Gateway| {
        let answers = gateway.provider_answers.unwrap_or(gateway.kind == Some(GatewayKind::Twilio));
        let sends = gateway.kind != Some(GatewayKind::Folder);
        format!("{:?} {:?} {answers} {sends}", gateway.from, gateway.messaging_service_sid)
    };
    let mut gateways: Vec<String> = raw.sms.gateway.iter().map(texts).collect();
    relays.sort_unstable();
    relays.dedup();
    gateways.sort_unstable();
    gateways.dedup();
    format!("{relays:?} {gateways:?}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    /// The line of a configuration, on a machine of that name.
    fn line(node: &str, text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let text = text.replace("NODE", node);
        let config = config::parse(&text, Some(&folder.path().join("punctual.toml")), &[]).unwrap_or_else(|m| panic!("{m}"));
        let renderer = Renderer::new(config.render.clone()).unwrap_or_else(|m| panic!("{m:?}"));
        Likeness::of(&config, [7; 32]).line(&renderer)
    }

    const TEXT: &str = "[practice]\nname = \"Lakeside\"\n[node]\nname = \"NODE\"\n[run]\nmode = \"live\"\n[store]\nurl = \"postgres://punctual@localhost/punctual\"\n\
        [server]\nlisten = \"127.0.0.1:8080\"\n[log]\nlevel = \"info\"\n[daemon]\nmax_stale = \"6h\"\n[[source]]\nname = \"desk\"\nkind = \"file\"\npath = \"list\"\n\
        [[reminder]]\nname = \"1h\"\nbefore = \"1h\"\n[email]\nfrom = \"desk@example.org\"\n[[email.relay]]\nhost = \"mail.example.org\"\n\
        [sms]\nin_doubt = \"hold\"\n[[sms.gateway]]\nkind = \"kannel\"\nurl = \"http://127.0.0.1:13013/cgi-bin/sendsms\"\nfrom = \"5550100\"\nusername = \"u\"\npassword = \"p\"\n";

    #[test]
    fn what_differs_is_named() {
        let ours = line("a", TEXT);
        for (from, to, differs) in [
            ("before = \"1h\"", "before = \"2h\"", &["rules"][..]),
            ("mode = \"live\"", "mode = \"shadow\"", &["rules"]),
            ("in_doubt = \"hold\"", "in_doubt = \"resend\"", &["rules"]),
            ("max_stale = \"6h\"", "max_stale = \"5h\"", &["rules"]),
            ("name = \"Lakeside\"", "name = \"Lakeside\"\nfallback_time_zone = \"Europe/Paris\"", &["time zone data"]),
            ("name = \"desk\"", "name = \"front\"", &["sources"]),
            ("path = \"list\"", "path = \"list\"\nstatus = { gone = \"over\" }", &["sources"]),
            ("name = \"Lakeside\"", "name = \"Riverside\"", &["messages"]),
            ("from = \"5550100\"", "from = \"5550199\"", &["messages"]),
            ("host = \"mail.example.org\"", "kind = \"folder\"\npath = \"sent\"", &["messages"]),
            ("name = \"1h\"", "name = \"1h\"\nmax_segments = 3", &["messages"]),
            // What may differ from machine to machine.
            ("mail.example.org", "127.0.0.1\"\nport = 2525\ntls = \"none", &[]),
            ("path = \"list\"", "path = \"elsewhere\"\nnode = \"b\"", &[]),
            (":8080", ":8081", &[]),
            ("level = \"info\"", "level = \"debug\"", &[]),
            ("127.0.0.1:13013", "127.0.0.1:14014", &[]),
            ("password = \"p\"", "password = \"q\"", &[]),
        ] {
            assert!(TEXT.contains(from), "{from}");
            let theirs = line("b", &TEXT.replace(from, to));
            assert_eq!(differing(&ours, &theirs), differs, "{to}");
            assert_eq!(ours == theirs, differs.is_empty(), "{to}");
        }
        assert!(differing(&ours, "0123456789abcdef").is_empty(), "another version's");
    }
}
