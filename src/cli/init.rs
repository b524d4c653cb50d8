//! `init`: a configuration to start from, sample sessions, and a first user.
//!
//! On a terminal it asks; elsewhere, and beside the questions, it takes flags. What is there already is never overwritten.

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;

use super::configuration::STARTER;
use super::{Exit, demo};
use crate::access::{self, AccessList, Name, User, UserRole, password};
use crate::clock::{Clock, WallClock};
use crate::config;
use crate::zone;

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// The file to write.
    #[arg(default_value = "punctual.toml", value_name = "FILE")]
    pub(super) file: PathBuf,
    /// The practice's name, which messages show.
    #[arg(long)]
    pub(super) name: Option<String>,
    /// Its time zone, such as America/New_York.
    #[arg(long, value_name = "ZONE")]
    pub(super) zone: Option<String>,
    /// A telephone number that messages show.
    #[arg(long, value_name = "NUMBER")]
    pub(super) phone: Option<String>,
    /// The file with the sessions; a sample is written if there is none.
    #[arg(long, value_name = "FILE")]
    pub(super) source: Option<String>,
    /// The mail server. Default: messages become files in ./outbox.
    #[arg(long, value_name = "HOST")]
    pub(super) relay: Option<String>,
    /// A first user of the staff pages, with a password that is printed this once.
    #[arg(long, value_name = "NAME")]
    pub(super) user: Option<Name>,
    /// Does not ask on a terminal.
    #[arg(long)]
    pub(super) yes: bool,
}

/// What is written into the configuration.
struct InitAnswers {
    name: String,
    zone: String,
    phone: String,
    source: String,
    relay: String,
    user: Option<Name>,
}

pub(super) fn init(args: &InitArgs) -> anyhow::Result<Exit> {
    if args.file.exists() {
        bail!("cannot write {} (an existing file is never overwritten)", args.file.display());
    }
    let asks = std::io::stdin().is_terminal() && std::io::stderr().is_terminal() && !args.yes;
    let answers = if asks { ask(args)? } else { given(args) };
    let text = filled(&answers);
    config::parse(&text, None, &[]).map_err(|mistakes| anyhow::anyhow!("{mistakes}"))?;
    let folder = args.file.parent().filter(|p| !p.as_os_str().is_empty()).map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    write_new(&args.file, text.as_bytes())?;
    out!("Wrote {}: every key is explained in it.", args.file.display());
    let sessions = folder.join(&answers.source);
    // Invented sessions belong into a folder to play in, and not beside a practice's own.
    if folder == Path::new(".") && !sessions.exists() && sessions.extension().is_some_and(|e| e == "json") {
        write_new(&sessions, &serde_json::to_vec_pretty(&demo::good_sessions(WallClock.now()))?)?;
        out!("Wrote {}: sample sessions.", sessions.display());
        out!("Put in their place what SecureVideo's GET /session answers.");
    }
    if let Some(name) = &answers.user {
        first_user(&folder, name)?;
    }
    let default = args.file == Path::new("punctual.toml");
    let named = if default { String::new() } else { format!(" --config {}", args.file.display()) };
    out!("Next:");
    out!("  punctual{named} check       is it right?");
    out!("  punctual{named} preview     what would be sent to whom, and what not and why");
    out!("  punctual{named} run         the daemon");
    Ok(Exit::Done)
}

fn write_new(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let file = File::options().write(true).create_new(true).open(path);
    let mut file = file.with_context(|| format!("cannot write {} (an existing file is never overwritten)", path.display()))?;
    Ok(file.write_all(bytes)?)
}

/// An operator, with a password that is shown this once.
fn first_user(folder: &Path, name: &Name) -> anyhow::Result<()> {
    let path = folder.join("users.toml");
    if path.exists() {
        bail!("{} is there already: punctual user add {name}", path.display());
    }
    let secret = access::new_token().map_err(anyhow::Error::msg)?[..20].to_owned();
    let argon2id = password::hash(&secret).map_err(anyhow::Error::msg)?;
    let user = vec![User { name: name.clone(), role: UserRole::Operator, argon2id, totp: None }];
    access::file::write(&path, &AccessList { user, token: Vec::new() }).map_err(anyhow::Error::msg)?;
    out!("Wrote {}: {name} may use the pages.", path.display());
    out!("The password of {name}, shown this once: {secret}");
    Ok(())
}

fn given(args: &InitArgs) -> InitAnswers {
    InitAnswers {
        name: args.name.clone().unwrap_or_else(|| "Your practice".to_owned()),
        zone: args.zone.clone().unwrap_or_default(),
        phone: args.phone.clone().unwrap_or_default(),
        source: args.source.clone().unwrap_or_else(|| "sessions.json".to_owned()),
        relay: args.relay.clone().unwrap_or_default(),
        user: args.user.clone(),
    }
}

fn ask(args: &InitArgs) -> anyhow::Result<InitAnswers> {
    let known = given(args);
    Ok(InitAnswers {
        name: question("The practice's name", &known.name)?,
        zone: zone(&known.zone)?,
        phone: question("A telephone number that messages show (may be empty)", &known.phone)?,
        source: question("The file with the sessions", &known.source)?,
        relay: question("The mail server (empty: messages become files in ./outbox)", &known.relay)?,
        user: match question("The first user of the staff pages (empty: none)", known.user.as_ref().map_or("", |u| u.as_str()))?.as_str() {
            "" => None,
            name => Some(name.parse().map_err(|why| anyhow::anyhow!("{why}"))?),
        },
    })
}

/// Asks until it is one.
fn zone(otherwise: &str) -> anyhow::Result<String> {
    loop {
        let zone = question("Its time zone, such as America/New_York (empty: UTC)", otherwise)?;
        let settings = |fallback| zone::Settings { fallback, ..zone::Settings::default() };
        match zone::Zones::load(&settings(Some(zone.clone()).filter(|zone| !zone.is_empty()))) {
            Ok(_) => return Ok(zone),
            Err(_) => eprintln!("{zone:?} is no time zone; expected one such as America/New_York, America/Chicago or Europe/London"),
        }
    }
}

fn question(what: &str, otherwise: &str) -> anyhow::Result<String> {
    if otherwise.is_empty() {
        eprint!("{what}: ");
    } else {
        eprint!("{what} [{otherwise}]: ");
    }
    let mut line = String::new();
    if std::io::stdin().read_line(&mut line)? == 0 {
        bail!("the questions were not answered: nothing is written");
    }
    Ok(Some(line.trim()).filter(|line| !line.is_empty()).unwrap_or(otherwise).to_owned())
}

/// The reference, with the answers in their places.
fn filled(answers: &InitAnswers) -> String {
    let text = |value: &str| toml::Value::String(value.to_owned()).to_string();
    let mut filled = String::new();
    let mut section = "";
    for line in STARTER.lines() {
        if line.starts_with('[') {
            section = line.trim_start_matches('[').trim_end_matches(']');
        }
        let key = line.trim_start_matches(['#', ' ']).split(" = ").next().unwrap_or_default();
        let replaced = match (section, key) {
            ("practice", "name") => Some(text(&answers.name)),
            ("practice", "contact") => Some(text(&answers.phone)),
            ("practice", "time_zone") => Some(text(&answers.zone)).filter(|_| !answers.zone.is_empty()),
            ("email", "from") => sender(&answers.name).map(|from| text(&from)),
            ("source", "path") => Some(text(&answers.source)),
            ("server", "listen") => answers.user.as_ref().map(|_| text("127.0.0.1:8080")),
            ("server", "users_file") => answers.user.as_ref().map(|_| text("users.toml")),
            ("email.relay", "kind") if !answers.relay.is_empty() && line.starts_with("kind") => Some(text("smtp")),
            ("email.relay", "host") if !answers.relay.is_empty() => Some(text(&answers.relay)),
            ("email.relay", "path") if !answers.relay.is_empty() => {
                filled.push_str("# ");
                None
            }
            _ => None,
        };
        if let Some(value) = replaced {
            let comment = line.split_once(" # ").map(|(_, words)| format!("   # {words}")).unwrap_or_default();
            filled.extend([key, " = ", &value, &comment, "\n"]);
        } else {
            filled.extend([line, "\n"]);
        }
    }
    filled
}

/// The reference's address, under the practice's name. `None`: no address may bear that name.
fn sender(name: &str) -> Option<String> {
    let address = STARTER.lines().find_map(|line| line.strip_prefix("from = ")?.split(['<', '>']).nth(1))?;
    Some(lettre::message::Mailbox::new(Some(name.to_owned()), address.parse().ok()?).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(relay: &str, user: Option<&str>) -> InitAnswers {
        InitAnswers {
            name: "Lakeside \"Telehealth\"".to_owned(),
            zone: "America/New_York".to_owned(),
            phone: "+1 202-555-0100".to_owned(),
            source: "list.json".to_owned(),
            relay: relay.to_owned(),
            user: user.map(|name| name.parse().unwrap()),
        }
    }

    #[test]
    fn the_answers_are_in_their_places() {
        let config = config::parse(&filled(&answers("", None)), None, &[]).unwrap_or_else(|m| panic!("{m}"));
        assert_eq!(
            (config.raw.practice.name.as_str(), config.raw.practice.contact.as_str()),
            ("Lakeside \"Telehealth\"", "+1 202-555-0100")
        );
        assert_eq!(config.render.from_name, "Lakeside \"Telehealth\"");
        assert_eq!(config.time_zone.name(), "America/New_York");
        assert_eq!(config.raw.source[0].path.as_ref().unwrap(), Path::new("list.json"));
        assert!(config.server.is_none() && matches!(config.relays[0].settings, config::RelaySettings::Folder(_)));
        let config = config::parse(&filled(&answers("smtp.example.org", Some("jane"))), None, &[]).unwrap_or_else(|m| panic!("{m}"));
        assert!(config.server.is_some() && matches!(config.relays[0].settings, config::RelaySettings::Smtp(_)));
    }

    #[test]
    fn what_is_written_explains_every_key_as_the_reference_does() {
        let (filled, reference) = (filled(&answers("", None)), STARTER);
        assert_eq!(filled.lines().count(), reference.lines().count());
    }
}
