//! The documents name what is there.

use std::path::Path;

/// The tests that a page names: "`file: function`, `another_function`", files below `tests/` or `src/`.
fn named(page: &str) -> Vec<(String, Option<String>)> {
    let mut named = Vec::new();
    for row in page.lines().filter(|line| line.starts_with("| ")) {
        let mut file = None;
        let last = row.trim_end_matches(" |").rsplit(" | ").next().unwrap_or_default();
        for words in last.split('`').skip(1).step_by(2) {
            let path = |p: &str| if p.starts_with("src/") { p.to_owned() } else { format!("tests/{p}") };
            match words.split_once(": ") {
                Some((of, function)) => {
                    file = Some(path(of));
                    named.push((path(of), Some(function.to_owned())));
                }
                None if words.contains('/') => named.push((path(words), None)),
                None => named.push((file.clone().unwrap_or_else(|| panic!("{words}: of which file?")), Some(words.to_owned()))),
            }
        }
    }
    named
}

fn missing(named: &[(String, Option<String>)]) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let is_there = |(file, function): &&(String, Option<String>)| {
        let text = std::fs::read_to_string(root.join(file)).unwrap_or_default();
        let defines = |name: &str| ["fn ", "def "].iter().any(|word| text.contains(&format!("{word}{name}(")));
        !text.is_empty() && function.as_deref().is_none_or(defines)
    };
    named.iter().filter(|n| !is_there(n)).map(|(file, function)| format!("{file}: {function:?}")).collect()
}

#[test]
fn each_test_that_is_named_exists() {
    let named = named(include_str!("../../docs/what-happens.md"));
    assert!(named.len() > 50, "{} tests are named", named.len());
    assert_eq!(missing(&named), [] as [&str; 0]);
}

#[test]
fn one_that_does_not_exist_is_found() {
    let page = "| moved | told | `it/engine.rs: everything_is_well`, `each_outcome_has_its_state` and `it/nowhere.rs` |";
    let said = missing(&named(page));
    assert_eq!(said, ["tests/it/engine.rs: Some(\"everything_is_well\")", "tests/it/nowhere.rs: None"]);
}

/// Every attacker has a promise, and every promise the test that holds it.
#[test]
fn each_threat_names_the_test_that_holds_its_promise() {
    let page = include_str!("../../docs/security.md");
    let table = page.split("| who | can | what stands in the way | test |").nth(1).unwrap().split("\n\n").next().unwrap();
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| ")).collect();
    assert!(rows.len() > 10, "{} rows", rows.len());
    for row in rows.iter().filter(|row| !row.starts_with("| root |")) {
        assert_eq!(row.matches(" | ").count(), 3, "four cells: {row}");
        assert_ne!(named(row), [], "no test holds {row}");
    }
    let rows = rows.iter().filter(|row| !row.starts_with("| root |")).copied().collect::<Vec<_>>().join("\n");
    assert_eq!(missing(&named(&rows)), [] as [&str; 0]);
}

/// What was found once is held: each kind has a test of its own.
#[test]
fn each_kind_of_fault_that_was_found_names_the_test_that_holds_it() {
    let page = include_str!("../../docs/security.md");
    let table = page.split("| what somebody found | test |").nth(1).unwrap().split("\n\n").next().unwrap();
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| ")).collect();
    assert_eq!(rows.len(), 28);
    for row in &rows {
        assert_ne!(named(row), [], "no test holds {row}");
    }
    assert_eq!(missing(&named(&rows.join("\n"))), [] as [&str; 0]);
}

/// Whoever lints asks for advisories, says so where they cannot be had, and the package has a bill of materials.
#[test]
fn advisories_and_the_bill_of_materials_are_asked_for() {
    let run = include_str!("../run");
    let lint = run.split("\nlint() {").nth(1).unwrap().split("\n}").next().unwrap();
    assert!(lint.lines().any(|line| line.trim() == "advisories"), "{lint}");
    let asks = run.split("\nadvisories() {").nth(1).unwrap().split("\n}").next().unwrap();
    for wanted in ["check --disable-fetch advisories", "ADVISORIES:-", "stop ", "NOT CHECKED"] {
        assert!(asks.contains(wanted), "{wanted}: {asks}");
    }
    let all = include_str!("../../.ci/run");
    assert!(all.lines().last().is_some_and(|line| line.ends_with("tests/run\"")), "{all}");
    assert!(include_str!("../../config/package").lines().any(|line| line == "config/sbom"));
}
