//! Examples of each command: below its help, and in its manual page.

use clap::Command;

/// A command as it is typed, and its examples: each with a note, which may be empty.
const EXAMPLES: &[(&str, &[(&str, &str)])] = &[
    (
        "",
        &[
            ("init", "a configuration to begin with"),
            ("check --online", "is it right?"),
            ("preview", "what would be sent"),
            ("run", "the daemon"),
        ],
    ),
    (
        "run",
        &[
            ("run", "until it is told to stop (SIGTERM); SIGHUP reads the configuration again"),
            ("run --once", "sends what is due, and ends"),
        ],
    ),
    (
        "preview",
        &[
            ("preview", "of the configured sources, now"),
            ("preview --sessions list.json --format html", "a gallery in ./preview, without a configuration"),
            ("preview --at 2026-11-29 --session 9636", "one session, as of that day"),
        ],
    ),
    (
        "check",
        &[
            ("check", "reads the sources too"),
            ("check --online", "logs in to relays and gateways besides"),
            ("check --offline", "before a start"),
        ],
    ),
    ("status", &[("status", "for people"), ("status --json", "for a program")]),
    ("health", &[("health", "can what is due go out?"), ("health --alive", "does it answer at all?")]),
    (
        "simulate",
        &[
            ("simulate --from 2026-11-29 --until 2026-12-06", "a week in a moment"),
            ("simulate --from 2026-11-29 --until 2026-12-06 --script outage.toml", "with a relay that is down for a while"),
        ],
    ),
    ("shadow", &[("shadow", "since the provider's first report"), ("shadow --since \"2026-11-28 09:00\"", "since then")]),
    ("diff", &[("diff punctual.toml new.toml", "before a change"), ("diff punctual.toml new.toml --at 2026-11-29", "as of that day")]),
    ("unreachable", &[("unreachable", "whom to call"), ("unreachable --json", "the same for a program")]),
    ("replies", &[("replies list", "what waits"), ("replies read 19ab6f0c2d3e4f5061728394a5b6c7d8", "it was read")]),
    ("replies list", &[("replies list", "")]),
    ("replies read", &[("replies read 19ab6f0c2d3e4f5061728394a5b6c7d8", "by its key in `replies list`")]),
    ("digest", &[("digest", "the letter as it would be"), ("digest --send", "sends it now")]),
    ("why", &[("why 9636", "everybody in the session"), ("why 9636 18620", "why they get what they get, or nothing")]),
    ("outbox", &[("outbox list --state held", "what is held"), ("outbox release 19ab6f0c2d3e4f5061728394a5b6c7d8", "one of them goes")]),
    ("outbox list", &[("outbox list --session 9636", "of one session"), ("outbox list --state rejected --wide", "with keys and answers")]),
    ("outbox show", &[("outbox show 19ab6f0c2d3e4f5061728394a5b6c7d8", "")]),
    (
        "outbox retry",
        &[("outbox retry 19ab6f0c2d3e4f5061728394a5b6c7d8", "now"), ("outbox retry --all --state unknown", "all that is in doubt")],
    ),
    ("outbox hold", &[("outbox hold --all --session 9636", "nothing of it is sent for now")]),
    ("outbox release", &[("outbox release --all --session 9636", "it is sent after all")]),
    (
        "outbox cancel",
        &[
            ("outbox cancel 19ab6f0c2d3e4f5061728394a5b6c7d8", "that one is not sent"),
            ("outbox cancel --all --session 9636 --told", "they were told by telephone"),
        ],
    ),
    ("outbox restore", &[("outbox restore 19ab6f0c2d3e4f5061728394a5b6c7d8", "takes a cancel back")]),
    (
        "outbox resend",
        &[
            ("outbox resend 19ab6f0c2d3e4f5061728394a5b6c7d8 --to new@example.com", "to a corrected address"),
            ("outbox resend --rejected --since 2h", "all that was refused, after a relay was mended"),
        ],
    ),
    ("remind", &[("remind 9636", "everybody in the session"), ("remind 9636 18620", "one of them")]),
    ("guard", &[("guard show", "what waits"), ("guard accept", "the source is right")]),
    ("guard show", &[("guard show", "")]),
    ("guard accept", &[("guard accept", ""), ("guard accept --source sessions", "of that source alone")]),
    ("guard reject", &[("guard reject --source sessions", "that source is wrong: go on as before")]),
    ("suppress", &[("suppress list", ""), ("suppress add jane@example.com", "")]),
    ("suppress list", &[("suppress list", "")]),
    (
        "suppress add",
        &[("suppress add jane@example.com", "they want no more messages"), ("suppress add - <address.txt", "in no list of processes")],
    ),
    ("suppress remove", &[("suppress remove jane@example.com", "they want messages again")]),
    ("suppress import", &[("suppress import /var/lib/punctual/old.db", "the list of an earlier store")]),
    ("bounce", &[("bounce <returned.eml", "in a pipe of the mail server: see docs/feedback.md")]),
    ("ledger", &[("ledger verify", "nobody rewrote it"), ("ledger export --session 9636", "the record of one session")]),
    ("ledger verify", &[("ledger verify", ""), ("ledger verify --anchor \"$(cat anchor)\"", "against what was kept elsewhere")]),
    (
        "ledger export",
        &[("ledger export --session 9636", "as JSON lines"), ("ledger export --format csv >ledger.csv", "for a spreadsheet")],
    ),
    ("backup", &[("backup /srv/backup/punctual-2026-11-29.db", "while the daemon runs")]),
    ("store", &[("store rekey --to new.key", "")]),
    (
        "store copy",
        &[(
            "store copy sqlite:///var/lib/punctual/punctual.db postgres://punctual@db.example.com/punctual",
            "while the daemon is stopped: see docs/operations.md",
        )],
    ),
    ("store migrate", &[("store migrate", "before the first start on a PostgreSQL database, and after each new version")]),
    ("store rekey", &[("store rekey --to new.key", "see docs/operations.md")]),
    ("prune", &[("prune", "")]),
    ("user", &[("user add jane --role operator", ""), ("user list", "")]),
    ("user add", &[("user add jane --role operator", "asks for her password"), ("user add victor", "may look")]),
    ("user totp", &[("user totp jane", "asks jane for a code of her app from now on"), ("user totp jane --off", "and no more")]),
    ("user remove", &[("user remove jane", "")]),
    ("user list", &[("user list", "")]),
    ("user import", &[("user import users.toml", "into the store, with [server] users = \"store\"")]),
    ("token", &[("token add reports --scope read", ""), ("token list", "")]),
    ("token add", &[("token add ehr --scope read --scope write", "prints it once")]),
    ("token remove", &[("token remove ehr", "")]),
    ("token list", &[("token list", "")]),
    (
        "send-test",
        &[
            ("send-test --to me@example.com", "an invite, as a patient gets it"),
            ("send-test --to +12025550123 --occasion reminder --locale es-US", "a reminder as a text, in Spanish"),
        ],
    ),
    (
        "templates",
        &[("templates list", "which there are, and which are the practice's own"), ("templates copy templates --locale de-DE", "")],
    ),
    ("templates list", &[("templates list", ""), ("templates list --locale en-US", "of one language")]),
    (
        "templates copy",
        &[
            ("templates copy templates en-US/reminder/sms.txt", "one file, to change it"),
            ("templates copy templates --locale en-US", "a whole language"),
        ],
    ),
    ("templates watch", &[("templates watch", "the folder of [templates] dir"), ("templates watch templates --port 8090", "another one")]),
    ("templates diff", &[("templates diff", "what the practice's own say otherwise")]),
    ("config", &[("config print", ""), ("config schema", "")]),
    ("config print", &[("config print", "as it holds, secrets masked")]),
    ("config schema", &[("config schema >punctual.schema.json", "for an editor")]),
    (
        "init",
        &[
            ("init", "asks, and writes ./punctual.toml"),
            ("init --yes --name \"Elm Street\" --zone America/New_York --user jane", "asks nothing"),
        ],
    ),
    ("demo", &[("demo", "prints what was sent, and serves the pages until Ctrl-C"), ("demo --once", "prints it and ends")]),
    ("completions", &[("completions bash >/etc/bash_completion.d/punctual", "")]),
    ("man", &[("man | man -l -", ""), ("man --dir /usr/local/share/man/man1", "a page for each command")]),
];

/// Lines of the examples of a command, as typed: `outbox list`; empty: it has none.
pub(super) fn of(name: &str) -> Vec<(String, &'static str)> {
    let found = EXAMPLES.iter().find(|(of, _)| *of == name).map_or(&[][..], |(_, examples)| *examples);
    found.iter().map(|(typed, note)| (format!("punctual {typed}"), *note)).collect()
}

/// The command, and all below it, with their examples below their help.
pub(super) fn with(command: Command) -> Command {
    below(command, "")
}

fn below(command: Command, name: &str) -> Command {
    let examples = of(name);
    let widest = examples.iter().map(|(typed, _)| typed.len()).max().unwrap_or(0);
    // A note stands beside its example, or below it where both are no line of a terminal.
    let line = |(typed, note): &(String, &str)| match note.len() {
        0 => format!("  {typed}"),
        n if widest + n + 5 <= 80 => format!("  {typed:widest$}   {note}"),
        _ => format!("  {typed}\n      {note}"),
    };
    let lines: Vec<String> = examples.iter().map(line).collect();
    let title = if lines.len() == 1 { "Example" } else { "Examples" };
    let names: Vec<String> = command.get_subcommands().map(|c| c.get_name().to_owned()).collect();
    let mut command = if lines.is_empty() { command } else { command.after_help(format!("{title}:\n{}", lines.join("\n"))) };
    for one in names.into_iter().filter(|one| one != "help") {
        let path = format!("{name} {one}").trim().to_owned();
        command = command.mut_subcommand(&one, |sub| below(sub, &path));
    }
    command
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::super::Cli;
    use super::*;

    #[test]
    fn each_example_can_be_typed() {
        for (typed, _) in EXAMPLES.iter().flat_map(|(name, _)| of(name)) {
            let words = typed.split(" <").next().and_then(|typed| typed.split(" >").next()).and_then(|typed| typed.split(" | ").next());
            let words = shell(words.unwrap_or_default());
            assert!(Cli::try_parse_from(&words).is_ok(), "{typed}: {}", Cli::try_parse_from(&words).unwrap_err());
        }
    }

    /// Words, as a shell makes them of a line without substitutions.
    fn shell(line: &str) -> Vec<String> {
        let (mut words, mut quoted) = (vec![String::new()], false);
        for letter in line.replace("$(cat anchor)", &format!("1:{}", "0".repeat(64))).chars() {
            match letter {
                '"' => quoted = !quoted,
                ' ' if !quoted => words.push(String::new()),
                other => words.last_mut().unwrap().push(other),
            }
        }
        words
    }

    #[test]
    fn each_command_has_one() {
        fn names(command: &Command, name: &str, found: &mut Vec<String>) {
            found.push(name.to_owned());
            for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
                names(sub, format!("{name} {}", sub.get_name()).trim(), found);
            }
        }
        let mut found = Vec::new();
        names(&Cli::command(), "", &mut found);
        assert_eq!(found.iter().filter(|name| of(name).is_empty()).collect::<Vec<_>>(), Vec::<&String>::new());
        assert_eq!(EXAMPLES.len(), found.len(), "no example of a command that is not there");
    }
}
