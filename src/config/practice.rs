//! `[practice]`, `[[reminder]]`, `[time_zones]` and the overrides file: who the practice is, when it reminds, and whom it treats otherwise.

use std::path::Path;

use chrono::TimeDelta;

use super::raw::{self, Raw};
use super::read::Document;
use super::span::Duration;
use crate::contact::is_region;
use crate::plan::policy::{Override, Overrides};
use crate::plan::rule::{Rule, When};
use crate::zone::{self, Zone, Zones};

pub(super) fn practice(raw: &Raw, document: &mut Document<'_>) {
    let p = &raw.practice;
    if p.name.trim().is_empty() {
        document.note("practice.name", "is empty; expected the name that messages show");
    }
    if p.id.trim().is_empty() {
        document.note("practice.id", "is empty; expected a short name that never changes");
    }
    if !is_region(&p.region) {
        document
            .note("practice.region", format!("{:?} is no region; expected an ISO 3166-1 code of two letters, such as \"US\"", p.region));
    }
    if p.locale.parse::<icu_locale::Locale>().is_err() {
        document.note("practice.locale", format!("{:?} is no language tag; expected BCP 47, such as \"en-US\"", p.locale));
    }
}

/// What people call a zone in the United States.
fn meant(id: &str) -> Option<&'static str> {
    let first = id.split_whitespace().next().unwrap_or_default().to_lowercase();
    Some(match first.as_str() {
        "eastern" | "est" | "edt" | "et" => "America/New_York",
        "central" | "cst" | "cdt" | "ct" => "America/Chicago",
        "mountain" | "mst" | "mdt" | "mt" => "America/Denver",
        "pacific" | "pst" | "pdt" | "pt" => "America/Los_Angeles",
        _ => return None,
    })
}

/// `24h` and `1h`.
pub(super) fn default_reminders() -> Vec<raw::Reminder> {
    let before = |name: &str, hours| raw::Reminder {
        name: Some(name.to_owned()),
        before: Some(Duration(TimeDelta::hours(hours))),
        ..raw::Reminder::default()
    };
    vec![before("24h", 24), before("1h", 1)]
}

pub(super) fn rules(raw: &Raw, document: &mut Document<'_>) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    for (n, reminder) in raw.reminder.iter().enumerate() {
        let key = |field: &str| format!("reminder[{n}].{field}");
        let Some(name) = reminder.name.clone().filter(|n| !n.trim().is_empty()) else {
            document.note(&key("name"), "is missing; expected a name such as \"24h\"");
            continue;
        };
        if rules.iter().any(|r| r.name == name) {
            document.note(&key("name"), format!("{name:?} stands twice; expected a name of its own"));
        }
        let when = match (reminder.before, reminder.days_before, reminder.at) {
            (Some(before), None, None) if before.0 > TimeDelta::zero() => When::Before(before.0),
            (Some(_), None, None) => {
                document.note(&key("before"), "is zero; expected some time before the start");
                continue;
            }
            (None, Some(days_before), Some(at)) if days_before <= 60 => When::LocalClock { days_before, at: at.0 },
            (None, Some(_), Some(_)) => {
                document.note(&key("days_before"), "is more than 60 days");
                continue;
            }
            _ => {
                document.note(
                    &format!("reminder[{n}]"),
                    "expected either `before = \"24h\"`, or `days_before = 1` with `at = \"18:00\"`, not both",
                );
                continue;
            }
        };
        rules.push(Rule { name, when });
    }
    rules
}

pub(super) fn zones(raw: &Raw, document: &mut Document<'_>) -> Zones {
    let settings = zone::Settings { fallback: raw.practice.fallback_time_zone.clone(), map: raw.time_zones.clone() };
    Zones::load(&settings).unwrap_or_else(|mistakes| {
        for why in mistakes {
            document.note("time_zones", why);
        }
        Zones::load(&zone::Settings::default()).unwrap_or_else(|why| panic!("the shipped zone data loads: {why:?}"))
    })
}

/// The practice's own zone.
pub(super) fn own_zone(raw: &Raw, zones: &Zones, document: &mut Document<'_>) -> Zone {
    let named = raw.practice.time_zone.as_ref().or(raw.practice.fallback_time_zone.as_ref());
    let found = named.map(|id| zones.lookup(id));
    if let (Some(Err(why)), Some(id)) = (&found, &raw.practice.time_zone) {
        // A configuration names no patient.
        let why = why.replace("the text (not shown)", &format!("{id:?}"));
        let meant = meant(id).map(|name| format!(" (did you mean {name:?}?)")).unwrap_or_default();
        document.note("practice.time_zone", why + &meant);
    }
    found.and_then(Result::ok).unwrap_or_else(|| zones.lookup("UTC").expect("every zone data has UTC"))
}

/// `[[person]]` entries of the overrides file.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct OverridesFile {
    #[serde(default)]
    person: Vec<RawOverride>,
}

#[derive(serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
struct RawOverride {
    external_id: Option<String>,
    address: Option<String>,
    locale: Option<String>,
    time_zone: Option<String>,
    do_not_contact: bool,
}

pub(super) fn overrides(path: &Path, zones: &Zones, region: &str, document: &mut Document<'_>) -> Overrides {
    let mut fail = |why: String| document.note("practice.overrides", format!("{}: {why}", path.display()));
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) => {
            fail(format!("cannot be read: {e}"));
            return Overrides::default();
        }
    };
    let parsed: OverridesFile = match toml::from_str(&text) {
        Ok(parsed) => parsed,
        Err(e) => {
            let line = e.span().map_or(0, |s| text[..s.start].lines().count().max(1));
            fail(format!("line {line}: {}", e.message()));
            return Overrides::default();
        }
    };
    let mut people = Vec::new();
    for (n, p) in parsed.person.into_iter().enumerate() {
        if p.external_id.is_none() && p.address.is_none() {
            fail(format!("person[{n}]: names nobody; expected external_id or address"));
        }
        if let Some(Err(why)) = p.time_zone.as_deref().map(|id| zones.resolve(id)) {
            fail(format!("person[{n}].time_zone: {why}"));
        }
        people.push(Override {
            external_id: p.external_id,
            address: p.address,
            locale: p.locale,
            time_zone: p.time_zone,
            do_not_contact: p.do_not_contact,
        });
    }
    Overrides::new(people, region)
}
