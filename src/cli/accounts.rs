//! `user add / totp / remove / list / import` and `token add / remove / list`: who may use the pages and the API.

use std::io::{IsTerminal, Read};
use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use clap::Subcommand;
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use serde_json::json;

use super::table::{TableStyle, Tone, cell, table, text};
use super::{Exit, runtime};
use crate::access::{self, AccessList, Name, Scope, Token, User, UserRole, UsersAt, file, password, totp};
use crate::clock::{Clock, WallClock};
use crate::config::Config;
use crate::daemon::{begin_store, open_store, store_exists};
use crate::ledger::Event;
use crate::web::Users;

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Adds a user, or gives one another password or role. Asks for the password, or reads it from standard input.
    Add {
        /// What they log in with: a-z, 0-9 and . _ -
        name: Name,
        /// What they may do.
        #[arg(long, value_enum, value_name = "ROLE", default_value_t = UserRole::Viewer)]
        role: UserRole,
    },
    /// Asks a user for the code of an authenticator app too: prints what the app reads, this once. Another call makes another secret.
    Totp {
        /// Who.
        name: Name,
        /// Asks for the password alone again.
        #[arg(long)]
        off: bool,
    },
    /// Removes a user, and logs them out.
    Remove {
        /// Who.
        name: Name,
    },
    /// Lists the users.
    List,
    /// Takes over the users and tokens of a users file into the store, where none are yet.
    Import {
        /// The file.
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Makes a token, and prints it this once.
    Add {
        /// What the ledger calls it: a-z, 0-9 and . _ -
        name: Name,
        /// What it may do. May be given several times.
        #[arg(long, value_enum, value_name = "SCOPE", required = true)]
        scope: Vec<Scope>,
    },
    /// Removes a token: it is refused from now on.
    Remove {
        /// Which.
        name: Name,
    },
    /// Lists the tokens, without themselves.
    List,
}

pub(super) fn user(config: &Config, command: &UserCommand, json: bool, colors: TableStyle) -> anyhow::Result<Exit> {
    let (users, version, mut access) = read(config, matches!(command, UserCommand::Add { .. } | UserCommand::Import { .. }))?;
    match command {
        UserCommand::Add { name, role } => {
            let argon2id = password::hash(&ask(name)?).map_err(anyhow::Error::msg)?;
            let was_there = access.user(name.as_str()).is_some();
            let totp = access.user(name.as_str()).and_then(|u| u.totp.clone());
            access.user.retain(|u| u.name != *name);
            access.user.push(User { name: name.clone(), role: *role, argon2id, totp });
            write(&users, version, access)?;
            noted(config, Event::UserAdded, &format!("{name}, {}", word(*role)));
            out!("{name} is {} now; {}", word(*role), if was_there { "the password was changed" } else { "added" });
        }
        UserCommand::Totp { name, off } => {
            totp((&users, version), access, (&config.raw.practice.name, name), *off, colors)?;
            noted(config, Event::UserTotp, &format!("{name}, {}", if *off { "off" } else { "on" }));
        }
        UserCommand::Remove { name } => {
            remove((&users, version), access, |a| a.user.retain(|u| u.name != *name))?;
            noted(config, Event::UserRemoved, name.as_str());
            out!("{name} is removed, and logged out");
        }
        UserCommand::List => {
            let asked = |u: &User| if u.totp.is_some() && !json { ", with a code" } else { "" };
            let rows = access.user.iter().map(|u| (u.name.to_string(), format!("{}{}", word(u.role), asked(u))));
            list(rows.collect(), ["User", "Role"], json, colors);
        }
        UserCommand::Import { file } => {
            if matches!(users, Users::File(_)) || access != AccessList::default() {
                bail!("users are taken over into the store alone ([server] users = \"store\"), and only while it has none");
            }
            if !file.exists() {
                bail!("{}: there is no such file", file.display());
            }
            let from = file::read(file).map_err(anyhow::Error::msg)?;
            let names: Vec<String> =
                from.user.iter().map(|user| user.name.to_string()).chain(from.token.iter().map(|token| token.name.to_string())).collect();
            if names.is_empty() {
                bail!("{}: there are no users and no tokens in it", file.display());
            }
            write(&users, version, from)?;
            noted(config, Event::UserAdded, &format!("{}, from a file", names.join(" ")));
            out!("Taken over into the store: {}", names.join(", "));
        }
    }
    Ok(Exit::Done)
}

pub(super) fn token(config: &Config, command: &TokenCommand, json: bool, colors: TableStyle) -> anyhow::Result<Exit> {
    let (users, version, mut access) = read(config, matches!(command, TokenCommand::Add { .. }))?;
    match command {
        TokenCommand::Add { name, scope } => {
            if access.token.iter().any(|t| t.name == *name) {
                bail!("there is a token {name}: remove it first, or take another name");
            }
            let token = access::new_token().map_err(anyhow::Error::msg)?;
            let scopes = Scope::ALL.into_iter().filter(|s| scope.contains(s)).collect();
            access.token.push(Token { name: name.clone(), scopes, sha256: access::digest(&token) });
            let may = scope_words(&access, name);
            write(&users, version, access)?;
            noted(config, Event::TokenAdded, &format!("{name}, {may}"));
            eprintln!("The token of {name}; it is shown this once, and kept as a digest:");
            out!("{token}");
        }
        TokenCommand::Remove { name } => {
            remove((&users, version), access, |a| a.token.retain(|t| t.name != *name))?;
            noted(config, Event::TokenRemoved, name.as_str());
            out!("{name} is removed");
        }
        TokenCommand::List => {
            let rows = access.token.iter().map(|t| (t.name.to_string(), scope_words(&access, &t.name)));
            list(rows.collect(), ["Token", "Scopes"], json, colors);
        }
    }
    Ok(Exit::Done)
}

fn scope_words(access: &AccessList, name: &Name) -> String {
    let scopes = access.token.iter().filter(|t| t.name == *name).flat_map(|t| &t.scopes);
    scopes.map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// Who may do what is part of the record, and so is who decided it: the account that ran the command. Where there is no store yet, there is no
/// record. The deed is done by now: a record that cannot be written is told, and undoes nothing.
fn noted(config: &Config, event: Event, detail: &str) {
    let note = || {
        let detail = format!("{detail}, by {}", account());
        let store = open_store(config, false)?;
        anyhow::Ok(runtime()?.block_on(store.record_event(WallClock.now(), event, &detail))?)
    };
    if store_exists(config)
        && let Err(why) = note()
    {
        eprintln!("It is done, and could not be written to the ledger: {why:#}");
    }
}

/// `account 0 (for jane)`: as the system knows it, and whom sudo worked for.
pub(super) fn account() -> String {
    let named = |key: &str| std::env::var(key).ok().filter(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_graphic()));
    let account = format!("account {}", rustix::process::getuid().as_raw());
    named("SUDO_USER").map_or(account.clone(), |user| format!("{account} (for {user})"))
}

/// The secret is told to whoever types this, and to nobody else.
fn totp(
    (users, version): (&Users, i64),
    mut access: AccessList,
    (practice, name): (&str, &Name),
    off: bool,
    colors: TableStyle,
) -> anyhow::Result<()> {
    let Some(user) = access.user.iter_mut().find(|u| u.name == *name) else { bail!("there is no user {name}") };
    if off && user.totp.is_none() {
        bail!("{name} is asked for no code");
    }
    let secret = if off { None } else { Some(totp::new_secret().map_err(anyhow::Error::msg)?) };
    user.totp.clone_from(&secret);
    write(users, version, access)?;
    let Some(secret) = secret else {
        out!("{name} is asked for the password alone, and logged out");
        return Ok(());
    };
    let uri = totp::uri(practice, name.as_str(), &secret);
    if std::io::stdout().is_terminal() {
        let picture = QrCode::new(&uri).context("the QR code")?.render::<Dense1x2>().quiet_zone(true).build();
        out!("{}", colors.picture(&picture));
    }
    eprintln!("{name} is asked for a code from now on. What the app reads, shown this once:");
    out!("{uri}");
    Ok(())
}

/// Where they stand, and who they are. `adds`: the first of them may be added before a daemon ever ran.
fn read(config: &Config, adds: bool) -> anyhow::Result<(Users, i64, AccessList)> {
    let at = config
        .server
        .as_ref()
        .and_then(|server| server.users.as_ref())
        .ok_or_else(|| anyhow!("there is no users file: set [server] users_file = \"users.toml\""))?;
    let users = match at {
        UsersAt::File(path) => Users::File(file::Followed::new(path.clone())),
        UsersAt::Store => {
            if adds && !store_exists(config) {
                begin_store(config)?;
            }
            Users::new(at, &open_store(config, false)?)
        }
    };
    let (version, access) = runtime()?.block_on(users.read()).map_err(anyhow::Error::msg)?;
    Ok((users, version, access))
}

fn write(users: &Users, version: i64, access: AccessList) -> anyhow::Result<()> {
    runtime()?.block_on(users.write(version, access)).map_err(anyhow::Error::msg)
}

fn word(role: UserRole) -> &'static str {
    match role {
        UserRole::Viewer => "viewer",
        UserRole::Operator => "operator",
    }
}

/// The password, typed twice on the terminal, or one line of standard input.
fn ask(name: &Name) -> anyhow::Result<String> {
    if std::io::stdin().is_terminal() {
        let once = rpassword::prompt_password(format!("Password for {name}: ")).context("the terminal")?;
        let twice = rpassword::prompt_password("Once more: ").context("the terminal")?;
        if once != twice {
            bail!("the two are not the same");
        }
        return Ok(once);
    }
    let mut text = String::new();
    std::io::stdin().take(password::MAX as u64 + 2).read_to_string(&mut text).context("standard input")?;
    Ok(text.strip_suffix('\n').map_or(text.as_str(), |t| t.strip_suffix('\r').unwrap_or(t)).to_owned())
}

fn remove((users, version): (&Users, i64), mut access: AccessList, out: impl FnOnce(&mut AccessList)) -> anyhow::Result<()> {
    let before = access.clone();
    out(&mut access);
    if access == before {
        bail!("there is none of that name");
    }
    write(users, version, access)
}

fn list(rows: Vec<(String, String)>, headings: [&str; 2], json: bool, colors: TableStyle) {
    if json {
        for (name, may) in rows {
            out!("{}", json!({ "name": name, headings[1].to_lowercase(): may }));
        }
        return;
    }
    let mut shown = table(colors, &headings);
    for (name, may) in rows {
        shown.add_row([name, may].map(|t| cell(t, Tone::Plain)));
    }
    out!("{}", text(&shown));
}
