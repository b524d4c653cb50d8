//! The house: who imports whom, and what the pure rooms keep out. docs/architecture.md draws it.

mod reader;

use std::collections::{BTreeMap, BTreeSet};

use self::reader::{Arrows, File, arrows_of_files, arrows_of_rooms, cycle, files, functions, lines, parameters, paths, test_files};

/// Each room, and the rooms that it may import: all of them stand above it. An arrow that nobody uses leaves the table.
const ROOMS: &[(&str, &str)] = &[
    ("contact", ""),
    ("suppression", "contact"),
    ("session", "contact"),
    ("notice", "contact session"),
    ("outcome", "contact suppression"),
    ("receipt", "contact suppression session notice outcome"),
    ("entry", "notice receipt"),
    ("known", "contact session notice entry"),
    ("guard", "session"),
    ("ledger", "session notice entry guard"),
    ("message", "contact notice"),
    ("evidence", "session notice"),
    ("json_pointer", ""),
    ("zone", ""),
    ("plan", "contact suppression session notice entry known zone"),
    ("feedback", "contact suppression session notice outcome receipt known"),
    ("retry", "contact notice"),
    ("rate", ""),
    ("staff", "suppression session notice receipt entry known guard plan feedback"),
    ("render", "contact session notice message zone feedback staff"),
    ("preview", "contact session notice entry known message zone plan render"),
    ("clock", ""),
    ("tls", ""),
    ("http_client", "outcome tls"),
    ("source", "contact session outcome retry http_client"),
    ("access", "session"),
    ("outbox", "access contact suppression session notice outcome receipt entry known guard ledger rate feedback tls"),
    ("walk", "contact session notice entry known guard plan source outbox"),
    ("deliver", "contact suppression outcome message json_pointer rate tls http_client"),
    ("dispatch", "contact suppression session notice outcome entry known message plan retry rate render clock source outbox deliver"),
    ("digest", "contact suppression session notice outcome entry known zone plan retry staff render clock source outbox dispatch"),
    ("alert", "contact notice outcome message render http_client deliver"),
    ("simulate", "contact session notice outcome entry ledger message zone plan retry render clock source outbox walk deliver dispatch"),
    (
        "desk",
        "contact suppression session notice outcome receipt entry known guard ledger message zone plan feedback staff render preview source outbox",
    ),
    (
        "web",
        "contact suppression session notice outcome receipt entry known guard ledger json_pointer zone plan feedback render clock source outbox access desk",
    ),
    ("config", "contact json_pointer zone plan retry rate render source outbox deliver digest alert access web"),
    (
        "daemon",
        "contact suppression session notice outcome receipt entry known guard ledger message evidence zone plan feedback retry render clock http_client source outbox walk deliver dispatch digest alert desk web config",
    ),
    (
        "cli",
        "contact suppression session notice outcome receipt entry known guard ledger evidence zone plan feedback render preview clock source outbox deliver dispatch digest simulate access desk web config daemon",
    ),
];

/// Rooms without a clock, a store, a network, a file, a thread or a log: in goes what is known, out comes what is decided.
const PURE: &[&str] = &[
    "contact",
    "session",
    "notice",
    "suppression",
    "outcome",
    "receipt",
    "entry",
    "known",
    "guard",
    "ledger",
    "message",
    "evidence",
    "json_pointer",
    "zone",
    "plan",
    "feedback",
    "retry",
    "staff",
    "render",
    "preview",
];

/// What none of them names.
const IMPURE: &[&str] = &[
    "tokio",
    "async_trait",
    "futures_util",
    "tokio_cron_scheduler",
    "reqwest",
    "hyper",
    "axum",
    "rusqlite",
    "tokio_postgres",
    "tracing",
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "chrono::Local",
    "crate::clock",
    "crate::outbox",
];

/// Files of pure rooms that name something of these, and why.
const NAMES_ALL_THE_SAME: &[(&str, &str, &str)] = &[
    ("src/zone/database.rs", "std::fs", "finds the host's zone data, at the start and when asked; the rules that it yields are values"),
    ("src/preview.rs", "std::thread", "renders on every core at once; the lines and their order are the same on one"),
    ("src/render/templates.rs", "std::fs", "reads a practice's own templates when a renderer is made, never when it renders"),
];

/// A file's lines without its tests, a file's of tests, and a function's.
const FILE_MAX: usize = 400;
/// Things that a function takes, beside itself.
const PARAMETERS_MAX: usize = 5;
const TESTS_MAX: usize = 600;
const FUNCTION_MAX: usize = 60;

/// Names that say nothing, of files and modules; and names that are gone.
const BANNED: &[&str] = &[
    "util",
    "utils",
    "common",
    "helper",
    "helpers",
    "manager",
    "misc",
    "types",
    "entrance",
    "deeds",
    "hands",
    "visits",
    "CheckedPractice",
    "Strangers",
    "crossing",
    "flight",
    "pace",
    "Crossing",
    "Course",
    "Taken",
    "Stranger",
    "Thing",
    "strangers",
    "things",
    "Flight",
    "Pace",
    "Beat",
    "Door",
    "Hands",
    "Deed",
    "last_look",
    "LastLook",
    "Fate",
    "Extent",
    "FindsAgain",
    "StaffLetter",
    "Parcel",
    "Heard",
    "Origin",
    "Offer",
    "Leaving",
    "Arriving",
];

/// Every arrow of this table: from a room to the ones that it may import.
fn table() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    ROOMS.iter().map(|(room, above)| (*room, above.split_whitespace().collect())).collect()
}

/// What is drawn otherwise than it is.
fn differences(arrows: &Arrows) -> Vec<String> {
    let table = table();
    let none = BTreeSet::new();
    let mut found = Vec::new();
    for (room, imports) in arrows {
        let drawn = table.get(room.as_str()).unwrap_or(&none);
        found.extend(imports.iter().filter(|to| !drawn.contains(to.as_str())).map(|to| format!("{room} may not import {to}")));
    }
    for (room, drawn) in &table {
        let imports = arrows.get(*room);
        let unused = drawn.iter().filter(|to| !imports.is_some_and(|imports| imports.contains(**to)));
        found.extend(unused.map(|to| format!("{room} does not import {to}: the table may go without that")));
    }
    found
}

#[test]
fn rooms_import_what_the_table_says() {
    let files = files();
    let rooms: BTreeSet<&str> = files.iter().map(File::room).collect();
    assert_eq!(rooms, table().into_keys().collect(), "each room stands in the table, and no other");
    let arrows = arrows_of_rooms(&arrows_of_files(&files));
    assert_eq!(differences(&arrows), [] as [&str; 0]);
}

/// The order of the table is the order of the floors: so there is no cycle.
#[test]
fn each_room_imports_rooms_above_it() {
    let mut above = BTreeSet::new();
    for (room, imports) in ROOMS {
        let upwards: Vec<&str> = imports.split_whitespace().filter(|to| !above.contains(to)).collect();
        assert_eq!(upwards, [] as [&str; 0], "{room} imports what does not stand above it");
        above.insert(*room);
    }
}

#[test]
fn no_file_imports_itself_by_way_of_others() {
    assert_eq!(cycle(&arrows_of_files(&files())), None);
}

#[test]
fn pure_rooms_name_nothing_of_the_world() {
    let mut found = Vec::new();
    for file in files().iter().filter(|file| PURE.contains(&file.room())) {
        let known = |what: &str| NAMES_ALL_THE_SAME.iter().any(|(path, named, _)| (*path, *named) == (file.path.as_str(), what));
        found.extend(IMPURE.iter().filter(|what| file.names(what) && !known(what)).map(|what| format!("{} names {what}", file.path)));
        found.extend(file.code.contains("async fn").then(|| format!("{} waits", file.path)));
    }
    assert_eq!(found, [] as [&str; 0]);
}

#[test]
fn what_pure_rooms_name_all_the_same_is_still_there() {
    let files = files();
    for (path, what, _) in NAMES_ALL_THE_SAME {
        assert!(files.iter().any(|file| file.path == *path && file.names(what)), "{path} does not name {what}");
    }
}

#[test]
fn nothing_has_a_name_that_says_nothing() {
    let word = |code: &str, name: &str| code.split(|letter: char| !letter.is_alphanumeric() && letter != '_').any(|word| word == name);
    let mut found = Vec::new();
    for file in files() {
        let modules = file.module.iter().filter(|part| BANNED.contains(&part.as_str())).cloned();
        let names =
            BANNED.iter().filter(|name| name.starts_with(char::is_uppercase) && word(&file.code, name)).map(|name| (*name).to_owned());
        found.extend(modules.chain(names).map(|name| format!("{}: {name}", file.path)));
    }
    assert_eq!(found, [] as [&str; 0]);
}

/// `println!` panics when nobody reads any more (`preview | head`): commands write with `out!`.
#[test]
fn commands_write_with_out() {
    let prints = |code: &str| {
        code.split(|letter: char| !letter.is_alphanumeric() && !"_!".contains(letter)).any(|word| ["println!", "print!"].contains(&word))
    };
    assert!(prints("if x { println!(\"a\") }") && !prints("eprintln!(\"a\"); out!(\"a\")"));
    let found: Vec<String> = files().into_iter().filter(|file| prints(&file.code)).map(|file| file.path).collect();
    assert_eq!(found, [] as [&str; 0]);
}

#[test]
fn files_and_functions_are_short_enough_to_read() {
    let mut found = BTreeMap::new();
    for file in files() {
        let long =
            functions(&file.code).into_iter().filter(|(_, lines)| *lines > FUNCTION_MAX).map(|(name, lines)| format!("{name}: {lines}"));
        let whole = Some(lines(&file)).filter(|lines| *lines > FILE_MAX).map(|lines| format!("{lines} lines"));
        let all: Vec<String> = whole.into_iter().chain(long).collect();
        if !all.is_empty() {
            found.insert(file.path, all);
        }
    }
    for (path, lines) in test_files().into_iter().filter(|(_, lines)| *lines > TESTS_MAX) {
        found.insert(path, vec![format!("{lines} lines")]);
    }
    assert_eq!(found, BTreeMap::new(), "split it");
}

#[test]
fn functions_take_few_things() {
    let many = |file: File| {
        let of_file = parameters(&file.code).into_iter().filter(|(_, count)| *count > PARAMETERS_MAX);
        of_file.map(|(name, count)| format!("{}: {name} takes {count}", file.path)).collect::<Vec<_>>()
    };
    let found: Vec<String> = files().into_iter().flat_map(many).collect();
    assert_eq!(found, [] as [&str; 0], "give what belongs together together");
    let text = "impl A { fn a(&self, b: &[(u8, u8)], c: HashMap<K, V>, d: impl Fn(A, B) -> C,) {} } fn b<'a, T: Into<X>>(mut a: A, (b, c): (B, C)) {} \
                fn c() {} trait D { async fn d(self: Arc<Self>, a: u8); }";
    let counted = [("a", 3), ("b", 2), ("c", 0), ("d", 1)].map(|(name, count)| (name.to_owned(), count));
    assert_eq!(parameters(&File::of("src/a.rs", text).code), counted);
}

#[test]
fn paths_are_read() {
    let text = r##"
        use crate::{outbox::{self, Outbox as Store}, plan::diff::{a, b}};
        use super::super::guard; // use crate::comment::x;
        pub(crate) use self::part::Part;
        fn f(x: crate::entry::State) -> Option<std::time::Instant> { let s = "crate::string::x"; 'a'; '"'; r#"crate::raw::x"#; x.crate_::y; Vec::<u8>::new() }
        #[cfg(test)]
        mod tests { use crate::tests_only::x; }
    "##;
    let file = File::of("src/walk/guard/set.rs", text);
    let found: BTreeSet<String> = paths(&file.code).iter().map(|path| path.join("::")).collect();
    let expected = [
        "crate::entry::State",
        "crate::outbox",
        "crate::outbox::Outbox",
        "crate::plan::diff::a",
        "crate::plan::diff::b",
        "self::part::Part",
        "std::time::Instant",
        "super::super::guard",
    ];
    assert_eq!(found, expected.map(str::to_owned).into());
    assert!(file.names("std::time") && !file.names("std::fs"));
}

/// What this file is for: an arrow that is not drawn is found, in whatever way it is written; and so is a cycle.
#[test]
fn an_arrow_that_is_put_in_is_found() {
    for import in [
        "use crate::outbox::Outbox;",
        "use crate::{entry, outbox::{self}};",
        "fn f(store: &crate::outbox::Walk) {}",
        "use super::super::outbox;",
    ] {
        let planner = File::of("src/plan/diff.rs", import);
        let arrows = arrows_of_rooms(&arrows_of_files(&[planner, File::of("src/outbox.rs", ""), File::of("src/entry.rs", "")]));
        assert!(differences(&arrows).contains(&"plan may not import outbox".to_owned()), "{import}");
    }
    let both =
        [File::of("src/plan/a.rs", "use super::b::B;"), File::of("src/plan/b.rs", "use super::a::{self, A};"), File::of("src/plan.rs", "")];
    assert_eq!(cycle(&arrows_of_files(&both)).as_deref(), Some("plan/a -> plan/b -> plan/a"));
}
