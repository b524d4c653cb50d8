use std::path::Path;

use super::*;
use crate::config::raw::Raw;

fn mistakes(text: &str) -> Vec<String> {
    match parse(text, Some(Path::new("punctual.toml")), &[]) {
        Ok(_) => Vec::new(),
        Err(m) => m.0.iter().map(Mistake::to_string).collect(),
    }
}

/// That it explains each key is held by tests/it/configuration.rs, which makes docs/configuration.md out of it.
#[test]
fn the_reference_file_is_the_configuration() {
    let reference = include_str!("../../config/punctual.toml");
    assert_eq!(mistakes(reference), [] as [&str; 0]);
}

#[test]
fn a_level_that_is_none_is_told() {
    for (level, told) in
        [("info", 0), ("WARN", 0), ("punctual=debug", 0), ("warn,punctual::walk=trace", 0), ("warning", 1), ("loud==", 1), ("", 1)]
    {
        let found = mistakes(&format!("[log]\nlevel = \"{level}\"\n"));
        assert_eq!(found.len(), told, "{level}: {found:?}");
        assert!(
            found.iter().all(|why| why.starts_with("punctual.toml:2: log.level: ") && why.contains("expected error, warn")),
            "{found:?}"
        );
    }
}

#[test]
fn all_mistakes_are_told_at_once_with_their_lines() {
    let text = r#"[practice]
name = "Lakeside"
region = "Atlantis"
colour = "blue"
hosts = "yes"

[[source]]
kind = "file"
path = "sessions.json"
poll = "* * * * *"

[[reminder]]
name = "24h"
before = "1 day"

[[reminder]]
name = "both"
before = "2h"
at = "18:00"
days_before = 1

[store]
url = "mysql://x"
"#;
    let told = mistakes(text);
    for (line, key, words) in [
        (3, "practice.region", "ISO 3166-1"),
        (4, "practice.colour", "unknown field"),
        (5, "practice.hosts", "expected a boolean"),
        (10, "source[0].poll", "six"),
        (14, "reminder[0].before", "no duration"),
        (16, "reminder[1]", "either"),
        (23, "store.url", "sqlite://"),
    ] {
        let found = told.iter().any(|m| m.starts_with(&format!("punctual.toml:{line}: {key}: ")) && m.contains(words));
        assert!(found, "line {line}, {key}: not in {told:#?}");
    }
    let lines: Vec<usize> = told.iter().filter_map(|m| m.split(':').nth(1)?.parse().ok()).collect();
    assert!(lines.is_sorted(), "{told:#?}");
}

#[test]
fn syntax_errors_name_the_line() {
    let told = mistakes("[practice]\nname = \"Lakeside\nregion = \"US\"\n");
    assert!(told[0].starts_with("punctual.toml:2"), "{told:?}");
}

#[test]
fn the_environment_overrides() {
    let environment = [
        ("PUNCTUAL__PRACTICE__NAME".to_owned(), "Hillside".to_owned()),
        ("PUNCTUAL__SMS__MAX_SEGMENTS".to_owned(), "3".to_owned()),
        ("PUNCTUAL__PRACTICE__HOSTS".to_owned(), "false".to_owned()),
    ];
    let config = parse("[practice]\nname = \"Lakeside\"\n", None, &environment).unwrap_or_else(|m| panic!("{m}"));
    assert_eq!((config.raw.practice.name.as_str(), config.raw.sms.max_segments, config.policy.hosts), ("Hillside", 3, false));
    let wrong = [("PUNCTUAL__PRACTICE__HOSTS".to_owned(), "maybe".to_owned())];
    let told = parse("", None, &wrong).err().map(|m| m.to_string()).unwrap_or_default();
    assert!(told.contains("practice.hosts"), "{told}");
}

#[test]
fn secrets_print_masked() {
    let raw: Raw = toml::from_str("[[email.relay]]\npassword = \"hunter2\"\n").unwrap();
    let printed = format!("{}{raw:?}", toml::to_string(&raw).unwrap());
    assert!(!printed.contains("hunter2"), "{printed}");
}

/// Without its quotation marks a password of digits is a number, and what is no text is told with its value elsewhere.
#[test]
fn a_secret_that_is_no_text_is_not_repeated() {
    for key in
        ["[[email.relay]]\npassword", "[[sms.gateway]]\nauth_token", "[[source]]\nsecret", "[server]\nping_url", "[alerts.relay]\npassword"]
    {
        for value in ["98765432101234567", "-9876543210", "98765.4321", "true", "0x9876543210", "1987-06-05", "[98765]", "{ a = 98765 }"] {
            let told = parse(&format!("{key} = {value}\n"), None, &[]).err().expect("it is refused").to_string();
            assert!(!told.contains("9876") && !told.contains("1987") && !told.contains("true"), "{key} = {value}: {told}");
            assert!(told.contains(":2: ") && told.contains("quotation marks"), "{key} = {value}: {told}");
        }
    }
    for wrong in [
        "headers = \"Bearer 98765\"",
        "headers = { Authorization = 98765 }",
        "url = 98765",
        "headers = [ \"98765\" ]",
        "callback_url = 98765",
    ] {
        let told = parse(&format!("[[sms.gateway]]\nkind = \"http\"\n{wrong}\n"), None, &[]).err().expect("it is refused").to_string();
        assert!(!told.contains("98765") && told.contains("expected"), "{wrong}: {told}");
    }
    for wrong in ["[alerts]\nwebhook = \"https://hooks.example.com/98765\"", "[ledger]\nanchor_command = \"curl -H 98765\""] {
        let told = parse(&format!("{wrong}\n"), None, &[]).err().expect("it is refused").to_string();
        assert!(!told.contains("98765") && told.contains("expected"), "{wrong}: {told}");
    }
    for (key, wrong) in
        [("[store]\nurl", "postgres://u:98765@db.example.com/p"), ("[server]\npublic_url", "ftp://u:98765@practice.example")]
    {
        let told = parse(&format!("{key} = \"{wrong}\"\n"), None, &[]).err().expect("it is refused").to_string();
        assert!(!told.contains("98765") && told.contains("expected"), "{told}");
    }
}

/// A gateway whose secrets stand where nobody looks for them.
const TYPED: &str = r#"
[[source]]
kind = "http"
identifier = "i"
secret_file = "secret"
url = "https://user:98765@api.example.com"
[[sms.gateway]]
kind = "http"
url = "https://sms.example.com/send?to={{ to }}&api_key=98765"
headers = { Authorization = "Bearer 98765", X-Tenant = "98765", X-Key = "{{ secret }}", Content-Type = "application/json" }
secret_file = "secret"
"#;

#[test]
fn what_is_typed_into_headers_and_addresses_is_printed_masked_and_named() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("punctual.toml");
    for name in ["secret", "punctual.toml"] {
        std::fs::write(folder.path().join(name), "s").unwrap();
        std::fs::set_permissions(folder.path().join(name), std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let config = parse(TYPED, Some(&file), &[]).unwrap_or_else(|m| panic!("{m}"));
    for printed in [toml::to_string_pretty(&config.raw).unwrap(), serde_json::to_string(&config.raw).unwrap()] {
        assert!(!printed.contains("98765"), "{printed}");
        for shown in ["https://user:********@api.example.com", "&api_key=********", "{{ secret }}", "application/json", "{{ to }}"] {
            assert!(printed.contains(shown), "{shown}: {printed}");
        }
    }
    let named = |config: Config| {
        config.advice.iter().filter_map(|a| a.split_once(": holds a secret").map(|(key, _)| key.to_owned())).collect::<Vec<_>>()
    };
    assert_eq!(named(config), [""; 0], "nobody else can read it");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let open = parse(TYPED, Some(&file), &[]).unwrap_or_else(|m| panic!("{m}"));
    assert_eq!(named(open), ["source[0].url", "sms.gateway[0].url", "sms.gateway[0].headers.Authorization"]);
}

/// As those of relays and gateways.
#[test]
fn secrets_of_alerts_are_refused_in_a_file_that_others_can_read() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("punctual.toml");
    let text = "[email]\nfrom = \"a@example.com\"\n[alerts]\nto = [\"b@example.com\"]\n[alerts.relay]\nhost = \"smtp.example.com\"\nusername = \"u\"\n\
                password = \"p\"\n[[alerts.webhook]]\nkind = \"slack\"\nurl = \"https://hooks.example.com/x\"\n";
    std::fs::write(&file, text).unwrap();
    for (mode, refused) in [(0o600, &[] as &[&str]), (0o644, &["alerts.relay.password", "alerts.webhook[0].url"])] {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let mistakes = parse(text, Some(&file), &[]).err().map(|m| m.0).unwrap_or_default();
        assert_eq!(mistakes.iter().map(|m| m.key.as_str()).collect::<Vec<_>>(), refused, "{mistakes:?}");
    }
}

#[test]
fn what_is_printed_is_read_again() {
    let config = parse("", None, &[]).unwrap_or_else(|m| panic!("{m}"));
    let printed = toml::to_string_pretty(&config.raw).unwrap();
    assert_eq!(mistakes(&printed), [] as [&str; 0], "{printed}");
}

#[test]
fn relays_and_gateways_need_their_keys() {
    let text = r#"
[email]
from = "Lakeside <sessions@lakeside.example>"
[[email.relay]]
username = "me"
[[email.relay]]
kind = "folder"
[[sms.gateway]]
kind = "twilio"
[[sms.gateway]]
kind = "kannel"
password = "x"
account_sid = "AC1"
[[sms.gateway]]
kind = "http"
url = "https://sms.example.com/{{ nothing }}"
"#;
    let told = mistakes(text);
    for (key, words) in [
        ("email.relay[0].host", "is missing"),
        ("email.relay[0].username", "go together"),
        ("email.relay[1].path", "is missing"),
        ("sms.gateway[0].account_sid", "is missing"),
        ("sms.gateway[0].auth_token_file", "is missing"),
        ("sms.gateway[0].from", "either"),
        ("sms.gateway[1].url", "is missing"),
        ("sms.gateway[1].account_sid", "does nothing"),
        ("sms.gateway[2]", "nothing"),
    ] {
        assert!(told.iter().any(|m| m.contains(&format!(": {key}: ")) && m.contains(words)), "{key}: not in {told:#?}");
    }
    let kinds = r#"
[email]
from = "Lakeside <sessions@lakeside.example>"
[[email.relay]]
host = "smtp.practice.example"
[[sms.gateway]]
kind = "twilio"
account_sid = "AC1"
auth_token = "token"
from = "+15550100"
[[sms.gateway]]
kind = "kannel"
url = "http://127.0.0.1:13013/cgi-bin/sendsms"
username = "u"
password = "p"
[[sms.gateway]]
kind = "http"
url = "https://sms.example.com/v1/messages"
headers = { Authorization = "Bearer {{ secret }}" }
body = '{"to": {{ to | json_encode }}, "text": {{ text | json_encode }}}'
secret = "s"
"#;
    let config = parse(kinds, None, &[]).unwrap_or_else(|m| panic!("{m}"));
    let names: Vec<String> = config.gateways.iter().map(|g| g.transport().unwrap().name().to_owned()).collect();
    assert_eq!(names, ["twilio:api.twilio.com", "kannel:127.0.0.1:13013", "http:sms.example.com"]);
    assert_eq!(config.relays[0].transport().unwrap().name(), "smtp:smtp.practice.example:587");
}

#[test]
fn rules_on_answers_tell_all_their_mistakes() {
    let head = "[[sms.gateway]]\nkind = \"http\"\nurl = \"https://sms.example.com/\"\n";
    let text = format!(
        "{head}reference_pointer = \"id\"\nanswers = [\n\
         {{ status = [200], means = \"accepted\" }},\n\
         {{ status = [20], means = \"accepted\" }},\n\
         {{ pointer = \"status\", means = \"accepted\" }},\n\
         {{ pointer = \"/a~b\", means = \"accepted\" }},\n\
         {{ contains = \"\", means = \"accepted\" }},\n\
         {{ means = \"accepted\" }},\n\
         {{ status = [200] }},\n\
         {{ status = [200], means = \"delivered\" }},\n\
         {{ status = [200], equals = \"0\", means = \"retry\" }},\n\
         {{ status = [200], one_of = [\"0\"], means = \"retry\" }},\n\
         {{ pointer = \"/a\", equals = \"0\", one_of = [\"1\"], means = \"retry\" }},\n\
         {{ pointr = \"/a\", status = [200], means = \"retry\" }},\n]\n\
         [[sms.gateway]]\nkind = \"kannel\"\nurl = \"http://127.0.0.1/\"\nusername = \"u\"\npassword = \"p\"\n\
         answers = [{{ status = [200], means = \"retry\" }}]\n"
    );
    let told = mistakes(&text);
    for (key, words) in [
        ("sms.gateway[0].reference_pointer", "begins with /"),
        ("sms.gateway[0].answers[1].status", "20 is no status"),
        ("sms.gateway[0].answers[2].pointer", "begins with /"),
        ("sms.gateway[0].answers[3].pointer", "~0"),
        ("sms.gateway[0].answers[4].contains", "is empty"),
        ("sms.gateway[0].answers[5]", "no condition"),
        ("sms.gateway[0].answers[6].means", "is missing"),
        ("sms.gateway[0].answers[7].means", "unknown variant"),
        ("sms.gateway[0].answers[8].equals", "no pointer"),
        ("sms.gateway[0].answers[9].one_of", "no pointer"),
        ("sms.gateway[0].answers[10].equals", "beside one_of"),
        ("sms.gateway[0].answers[11].pointr", "unknown field"),
        ("sms.gateway[1].answers", "does nothing"),
    ] {
        assert!(told.iter().any(|m| m.contains(&format!(": {key}: ")) && m.contains(words)), "{key}: not in {told:#?}");
    }
    assert_eq!(told.len(), 13, "{told:#?}");
    let good = format!("{head}answers = [{{ pointer = \"/status\", equals = \"0\", means = \"accepted\" }}]\n");
    let config = parse(&good, None, &[]).unwrap_or_else(|m| panic!("{m}"));
    let GatewaySettings::Http(settings) = &config.gateways[0].settings else { panic!("it is another kind") };
    assert_eq!(settings.answers.len(), 1);
    assert!(!settings.status_alone_decides());
}

#[test]
fn twilio_wants_a_token_or_a_whole_key() {
    let with = |keys: &str| format!("[[sms.gateway]]\nkind = \"twilio\"\naccount_sid = \"AC1\"\nfrom = \"+15550100\"\n{keys}");
    for (keys, key) in [
        ("", "sms.gateway[0].auth_token_file"),
        ("api_key_sid = \"SK1\"\n", "sms.gateway[0].api_key_secret_file"),
        ("api_key_secret = \"s\"\n", "sms.gateway[0].api_key_sid"),
        ("auth_token = \"t\"\napi_key_secret = \"s\"\n", "sms.gateway[0].api_key_sid"),
    ] {
        let told = mistakes(&with(keys));
        assert!(told.len() == 1 && told[0].contains(&format!(": {key}: is missing")), "{keys}: {told:#?}");
    }
    for keys in ["auth_token = \"t\"\n", "api_key_sid = \"SK1\"\napi_key_secret = \"s\"\n"] {
        assert_eq!(mistakes(&with(keys)), [] as [&str; 0]);
    }
}

#[test]
fn callbacks_tell_their_mistakes_and_make_the_server_listen() {
    let token = "0123456789abcdef01234567";
    let kannel = "[[sms.gateway]]\nkind = \"kannel\"\nurl = \"http://127.0.0.1/\"\nusername = \"u\"\npassword = \"p\"\n";
    let http = "[[sms.gateway]]\nkind = \"http\"\nurl = \"https://sms.example.com/\"\n";
    let key =
        "[[sms.gateway]]\nkind = \"twilio\"\naccount_sid = \"AC1\"\nfrom = \"+15550100\"\napi_key_sid = \"SK1\"\napi_key_secret = \"s\"\n";
    let url = "callback_url = \"https://practice.example/hooks/x\"\n";
    for (text, key, words) in [
        (format!("{key}{url}"), "sms.gateway[0].auth_token_file", "signs"),
        (format!("{key}auth_token = \"t\"\ncallback_url = \"practice.example\"\n"), "sms.gateway[0].callback_url", "no address"),
        (format!("{key}callback_token = \"{token}\"\n"), "sms.gateway[0].callback_token", "does nothing"),
        (format!("{kannel}{url}callback_token = \"short\"\n"), "sms.gateway[0].callback_token", "24 or more"),
        (
            format!("{kannel}{url}callback_token = \"{token}\"\n{kannel}{url}callback_token = \"{token}\"\n"),
            "sms.gateway",
            "one of its own",
        ),
        (format!("{http}{url}callback_token = \"{token}\"\n"), "sms.gateway[0].callback", "is missing"),
        (format!("{http}{url}[sms.gateway.callback]\nstatus = \"/s\"\n"), "sms.gateway[0].callback_token_file", "is missing"),
    ] {
        let told = mistakes(&text);
        assert!(told.iter().any(|m| m.contains(&format!(": {key}: ")) && m.contains(words)), "{key}: not in {told:#?}");
    }
    let form = "[sms.gateway.callback]\nmessage = \"id\"\nstatus = \"/s\"\nfrom = \"/f\"\nstatuses = { OK = \"fine\" }\n";
    let told = mistakes(&format!("{http}{url}callback_token = \"{token}\"\n{form}"));
    for (key, words) in [
        ("callback.message", "begins with /"),
        ("callback.statuses.OK", "unknown variant"),
        ("callback.reply", "go together"),
        ("callback.text", "go together"),
    ] {
        assert!(told.iter().any(|m| m.contains(&format!(": sms.gateway[0].{key}: ")) && m.contains(words)), "{key}: not in {told:#?}");
    }
    let both = "[sms.gateway.callback]\nmessage = \"/id\"\nstatus = \"/s\"\nstatuses = { OK = \"delivered\" }\n\
                reply = \"/id\"\nfrom = \"/f\"\ntext = \"/t\"\n";
    let both = format!("{http}{url}callback_token = \"{token}\"\n{both}");
    for (when, words) in [
        ("", Some("callback.reply_when: has no pointer; expected what tells somebody's text from a receipt")),
        ("reply_when = { equals = \"in\" }\n", Some("callback.reply_when: has no pointer")),
        ("reply_when = { pointer = \"type\" }\n", Some("callback.reply_when.pointer: is no JSON pointer")),
        ("reply_when = { pointer = \"/type\", equals = \"in\" }\n", None),
    ] {
        let told = mistakes(&format!("{both}{when}"));
        assert_eq!(told.len(), usize::from(words.is_some()), "{told:#?}");
        assert!(told.iter().all(|m| m.contains(words.unwrap())), "{told:#?}");
    }
    let server = |text: &str| parse(text, None, &[]).unwrap_or_else(|m| panic!("{m}")).server;
    assert!(server(kannel).is_none());
    let listens = server(&format!("{kannel}{url}callback_token = \"{token}\"\n")).expect("it listens");
    assert_eq!(listens.callbacks.len(), 1);
    assert!(!format!("{listens:?}").contains(token));
}

#[test]
fn what_listens_needs_its_tokens() {
    let token = "0123456789abcdef01234567";
    let text = format!(
        "[server]\nlisten = \"localhost\"\nwebhook_token = \"a/b\"\n[[source]]\nname = \"a\"\nkind = \"push\"\n\
         [[source]]\nname = \"b\"\nkind = \"push\"\ntoken = \"{token}\"\npoll = \"* * * * * *\"\npath = \"x\"\n\
         [[source]]\nname = \"c\"\nkind = \"push\"\ntoken = \"{token}\"\n[[source]]\nname = \"d\"\nkind = \"push\"\ntoken = \"short\"\n"
    );
    let told = mistakes(&text);
    for (key, words) in [
        ("server.listen", "127.0.0.1:8080"),
        ("server.webhook_token", "24 or more"),
        ("source[0].token_file", "is missing"),
        ("source[1].poll", "does nothing"),
        ("source[1].path", "does nothing"),
        ("source", "one of its own"),
        ("source[3].token", "24 or more"),
    ] {
        assert!(told.iter().any(|m| m.contains(&format!(": {key}: ")) && m.contains(words)), "{key}: not in {told:#?}");
    }
    let good = |text: &str| parse(text, None, &[]).unwrap_or_else(|m| panic!("{m}")).server;
    assert!(good("[server]\n").is_none(), "nothing needs it");
    assert!(good("[server]\nlisten = \"127.0.0.1:8080\"\n").is_some_and(|s| s.hook.is_none() && s.push.is_empty()), "monitors do");
    for own in ["localhost:8099", ":8099"] {
        let listens = good(&format!("[server]\nlisten = \"{own}\"\n")).map(|s| s.listen.to_string());
        assert_eq!(listens.as_deref(), Some("127.0.0.1:8099"), "{own}: this machine alone");
    }
    assert!(good(&format!("[[source]]\nkind = \"push\"\ntoken = \"{token}\"\n")).is_some_and(|s| s.hook.is_none() && s.push.len() == 1));
    assert!(good(&format!("[server]\nwebhook_token = \"{token}\"\n")).is_some_and(|s| s.hook.is_some()));
}

#[test]
fn the_look_is_checked_before_anybody_sees_it() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("punctual.toml");
    std::fs::write(folder.path().join("logo.svg"), "<svg/>").unwrap();
    std::fs::write(folder.path().join("logo.png"), include_bytes!("../../tests/it/render/logo.png")).unwrap();
    let look = |keys: &str| parse(&format!("[practice]\n{keys}\n"), Some(&place), &[]).map(|config| config.render.look);
    for (keys, says) in [
        ("logo = \"logo.svg\"", "practice.logo: "),
        ("logo = \"logo.svg\"", "logo.svg is no picture that mail programs show; expected a PNG, JPEG or GIF"),
        ("logo = \"/dev/zero\"", "/dev/zero is no file; expected a picture"),
        ("logo = \"missing.png\"", "missing.png cannot be read: "),
        ("color = \"#fed\"", "practice.color: \"#fed\" is no colour"),
        ("color = \"#ffee00\"", "practice.color: #ffee00 is too light"),
        ("camera_test_url = \"practice.example/camera\"", "practice.camera_test_url: is no link"),
        ("camera_test_url = \"https://ann:pw@practice.example/camera\"", "practice.camera_test_url: names an account"),
        (&format!("footer = \"{}\"", "x".repeat(601)), "practice.footer: has 601 letters; expected 600 at most"),
    ] {
        let told = look(keys).err().map(|m| m.to_string()).unwrap_or_default();
        assert!(told.contains(says), "{keys}: {told}");
    }
    let keys = "logo = \"logo.png\"\ncolor = \"#7a1fa2\"\nfooter = \"12 Elm Street\\n\\n  Springfield \"\ncamera_test_url = \"https://practice.example/camera\"";
    let found = look(keys).unwrap_or_else(|m| panic!("{m}"));
    assert!(found.logo.is_some() && found.color.is_some() && found.camera_test.is_some());
    assert_eq!(found.footer, ["12 Elm Street", "Springfield"]);
}
