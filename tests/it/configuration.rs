//! docs/configuration.md is made from the code: keys, types and defaults out of the JSON Schema, words out of the doc comments of
//! `config::raw`, order and introductions out of config/punctual.toml.
//!
//! `UPDATE_GOLDEN=1 cargo test --test it configuration` writes it anew; read it before it is committed.

use std::fmt::Write;
use std::path::Path;

use punctual::config;
use serde_json::Value;

const REFERENCE: &str = include_str!("../../config/punctual.toml");

/// What types are called, and how they are written. Those of the schema that stand for texts of a form.
const TYPES: [(&str, &str, &str); 5] = [
    ("Duration", "duration", "hours `h`, minutes `m`, seconds `s`: `\"24h\"`, `\"1h 30m\"`, `\"90s\"`"),
    ("Period", "period", "days `d` or years `y`: `\"7d\"`, `\"6y\"`"),
    ("TimeOfDay", "time of day", "hours and minutes: `\"18:00\"`"),
    ("Rate", "rate", "a number per `s`, `min`, `h` or `day`: `\"100/min\"`"),
    ("Secret", "secret", "a text; never printed; refused in a file that others than its owner can read"),
];

#[test]
fn the_page_is_made_from_the_code() {
    let made = page(&config::schema(), REFERENCE).unwrap_or_else(|missing| panic!("{missing:#?}"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &made).unwrap();
        return;
    }
    let stands = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = made.lines().zip(stands.lines()).find(|(a, b)| a != b);
    assert!(made == stands, "docs/configuration.md is not of this code; UPDATE_GOLDEN=1 writes it anew. First: {differs:#?}");
}

#[test]
fn a_key_without_words_is_refused() {
    let mut schema = config::schema();
    let sms = &mut schema["$defs"]["Sms"]["properties"];
    sms["max_segments"].as_object_mut().unwrap().remove("description");
    sms["colour"] = serde_json::json!({ "type": "string", "description": "Of the text.", "default": "blue" });
    let without = page(&schema, REFERENCE).unwrap_err();
    assert_eq!(without, ["sms.colour: config/punctual.toml does not explain it", "sms.max_segments: it has no doc comment"]);
    let elsewhere = REFERENCE.replace("helo = ", "greeting = ");
    assert_eq!(page(&config::schema(), &elsewhere).unwrap_err(), ["email.relay.helo: config/punctual.toml does not explain it"]);
}

/// The page, or the keys that lack words.
fn page(schema: &Value, reference: &str) -> Result<String, Vec<String>> {
    let mut missing = Vec::new();
    let mut written = head();
    let sections = sections(reference);
    for table in tables(schema, &sections) {
        let home = home(&table.name, &sections);
        let of_it = || sections.iter().filter(|s| s.name == home);
        let introduction = of_it().map(|s| s.before.as_str()).find(|b| !b.is_empty() && home == table.name).unwrap_or(&table.words);
        write!(written, "\n## `{}`\n\n{introduction}\n", table.header()).unwrap();
        let Some(keys) = table.keys else { continue };
        written.push_str("\n| key | type | default | meaning |\n|---|---|---|---|\n");
        let mut rows = Vec::new();
        for (key, of) in keys.iter().filter(|(_, of)| table_of(schema, of).is_none()) {
            let place = of_it().enumerate().find_map(|(n, s)| Some((n, s.explains(key)?)));
            let (words, default) = words_of(of);
            if words.is_empty() {
                missing.push(format!("{}.{key}: it has no doc comment", table.name));
            }
            match place {
                None => missing.push(format!("{}.{key}: config/punctual.toml does not explain it", table.name)),
                Some(place) => {
                    rows.push((place, format!("| `{key}` | {} | {default} | {words} |\n", type_of(schema, of))));
                }
            }
        }
        rows.sort();
        written.extend(rows.into_iter().map(|(_, row)| row));
    }
    if missing.is_empty() { Ok(written) } else { Err(missing) }
}

fn head() -> String {
    let mut head = "# Every key of the configuration

Made from the code by `UPDATE_GOLDEN=1 cargo test --test it configuration`; a test fails when it is not of this code. An example of each key stands
in `config/punctual.toml`, which `punctual init` writes; `punctual config schema` prints the same as JSON Schema, and
`punctual config print` what holds.

TOML. Misspelled keys stop the program. Relative paths are relative to the file. `PUNCTUAL__SECTION__KEY` in the environment overrides a key. Of a
secret's file (`password_file` and its like) a line end after the content is not part of it. Cron expressions have six fields: second, minute, hour,
day, month, weekday.

| type | written as |
|---|---|
"
    .to_owned();
    for (_, name, form) in TYPES {
        writeln!(head, "| {name} | {form} |").unwrap();
    }
    head
}

/// A part of the reference file.
struct Section {
    /// `email.relay`
    name: String,
    /// The comment right before its header.
    before: String,
    lines: Vec<String>,
}

impl Section {
    /// Where it explains a key.
    fn explains(&self, key: &str) -> Option<usize> {
        self.lines.iter().position(|line| {
            let line = line.trim_start_matches(['#', ' ']);
            line.starts_with(&format!("{key} = ")) || line.contains(&format!("`{key}`")) || line.contains(&format!("or {key} = "))
        })
    }
}

/// The reference file by its headers, commented out or not. `[[reminder]]` stands in it more than once.
fn sections(reference: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut comment: Vec<&str> = Vec::new();
    for line in reference.lines() {
        let bare = line.trim_start_matches(['#', ' ']);
        let header = bare.strip_prefix('[').map(|b| b.trim_start_matches('[').trim_end_matches(']')).filter(|h| is_name(h));
        if let Some(name) = header {
            sections.push(Section { name: name.to_owned(), before: comment.join("\n"), lines: Vec::new() });
        } else if let Some(section) = sections.last_mut() {
            section.lines.push(line.to_owned());
        }
        match line.strip_prefix("# ") {
            Some(words) if header.is_none() && !words.contains(" = ") => comment.push(words),
            _ => comment.clear(),
        }
    }
    sections
}

fn is_name(header: &str) -> bool {
    header.chars().all(|c| c.is_ascii_lowercase() || matches!(c, '.' | '_'))
}

/// A table of the configuration.
struct Table<'a> {
    name: String,
    several: bool,
    words: String,
    /// `None`: any key goes.
    keys: Option<&'a serde_json::Map<String, Value>>,
}

impl Table<'_> {
    fn header(&self) -> String {
        if self.several { format!("[[{}]]", self.name) } else { format!("[{}]", self.name) }
    }
}

/// All tables, in the order of the reference file; those that have no header there follow the one that they are in.
fn tables<'a>(schema: &'a Value, sections: &[Section]) -> Vec<Table<'a>> {
    let mut tables = Vec::new();
    inner(schema, "", schema, &mut tables);
    let place = |t: &Table| sections.iter().position(|s| s.name == home(&t.name, sections));
    tables.sort_by_key(|t| (place(t), t.name.len()));
    tables
}

/// The header below which a table is explained: its own, or that of the table that it is in.
fn home<'a>(name: &'a str, sections: &[Section]) -> &'a str {
    if sections.iter().any(|s| s.name == name) { name } else { name.rsplit_once('.').map_or(name, |(above, _)| above) }
}

fn inner<'a>(schema: &'a Value, above: &str, of: &'a Value, tables: &mut Vec<Table<'a>>) {
    for (key, property) in of["properties"].as_object().into_iter().flatten() {
        let any_key = || (above.is_empty() && property["type"] == "object").then_some((property, false));
        let Some((table, several)) = table_of(schema, property).or_else(any_key) else { continue };
        let name = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
        let words = property["description"].as_str().unwrap_or_default().replace('\n', " ");
        tables.push(Table { name: name.clone(), several, words, keys: table["properties"].as_object() });
        inner(schema, &name, table, tables);
    }
}

/// The definition of a key that is a table, or several of them.
fn table_of<'a>(schema: &'a Value, property: &'a Value) -> Option<(&'a Value, bool)> {
    let several = property["type"] == "array";
    let found = resolved(schema, if several { &property["items"] } else { property });
    found["properties"].is_object().then_some((found, several))
}

/// What a property refers to; of a key that may be missing, what it is when it is there.
fn resolved<'a>(schema: &'a Value, property: &'a Value) -> &'a Value {
    let property = property["anyOf"].get(0).unwrap_or(property);
    match property["$ref"].as_str() {
        Some(reference) => schema.pointer(&reference[1..]).unwrap(),
        None => property,
    }
}

fn type_of(schema: &Value, property: &Value) -> String {
    let reference = property["anyOf"].get(0).unwrap_or(property)["$ref"].as_str();
    if let Some((_, name, _)) = TYPES.iter().find(|(name, ..)| reference.is_some_and(|r| r.ends_with(&format!("/{name}")))) {
        return (*name).to_owned();
    }
    let found = resolved(schema, property);
    if let Some(choices) = found["oneOf"].as_array() {
        return choices.iter().map(|c| format!("`{}`", c["const"].as_str().unwrap())).collect::<Vec<_>>().join(", ");
    }
    assert!(found["pattern"].is_null(), "{reference:?} is a text of some form: explain it in TYPES");
    match found["type"].get(0).unwrap_or(&found["type"]).as_str().unwrap() {
        "string" => "text".to_owned(),
        "boolean" => "`true`, `false`".to_owned(),
        "integer" => "whole number".to_owned(),
        "object" => "table of texts".to_owned(),
        "array" => format!("list of: {}", type_of(schema, &found["items"])),
        other => panic!("{other} has no name"),
    }
}

/// What a key means, and its default: that of the code, or what the doc comment ends in.
fn words_of(property: &Value) -> (String, String) {
    let words = property["description"].as_str().unwrap_or_default().replace('\n', " ").replace('|', "\\|");
    let (words, said) = match words.split_once(" Default: ") {
        Some((words, said)) => (words.to_owned(), Some(said.trim_end_matches('.').to_owned())),
        None => (words, None),
    };
    let default = match &property["default"] {
        Value::Null => said.unwrap_or_else(|| "not set".to_owned()),
        Value::Array(none) if none.is_empty() => said.unwrap_or_else(|| "none".to_owned()),
        Value::Object(none) if none.is_empty() => "none".to_owned(),
        Value::String(empty) if empty.is_empty() => "empty".to_owned(),
        Value::String(text) => format!("`{}`", text.replace('|', "\\|")),
        other => format!("`{other}`"),
    };
    (words, default)
}
