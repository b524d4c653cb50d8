//! No flood: how many reminder texts a person gets at a number, over all of their sessions. Two who share a number are two.
//!
//! Days are those of the participant's calendar, and a week is the seven days that end with the reminder's. Only reminders of *other* sessions count:
//! a session's own rules (24 hours and one hour before, say) are what the practice chose for it, and never keep each other back. Invites and
//! corrections neither count nor are kept back.

use chrono::{DateTime, Days, NaiveDate, Utc};

use crate::known::Reminded;
use crate::zone::Zone;

/// How many reminders of other sessions may have gone to a person's number before one more is too many. 0: no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Frequency {
    /// On the same day.
    pub per_day: u32,
    /// In seven days.
    pub per_week: u32,
}

/// Days of a week before the last one.
const WEEK: Days = Days::new(6);

impl Frequency {
    /// Why a reminder that is due then is one too many; `None`: it is not. `others`: what went to the number of other sessions. What is on its way
    /// does not count: it may not go.
    pub fn against(&self, due: DateTime<Utc>, others: &[Reminded], zone: &Zone) -> Option<String> {
        let went: Vec<Reminded> = others.iter().filter(|r| !r.underway).cloned().collect();
        self.too_many(due, &went, zone)
    }

    /// Whether it would be one too many if all that is on its way goes: then it waits until that is known.
    pub fn may_be_full(&self, due: DateTime<Utc>, others: &[Reminded], zone: &Zone) -> bool {
        self.too_many(due, others, zone).is_some()
    }

    fn too_many(self, due: DateTime<Utc>, others: &[Reminded], zone: &Zone) -> Option<String> {
        let date = |at| zone.local(at).civil.date();
        let today = date(due);
        let first = today.checked_sub_days(WEEK).unwrap_or(NaiveDate::MIN);
        let within = |first: NaiveDate| others.iter().filter(|r| (first..=today).contains(&date(r.at))).count();
        let full = |limit: u32, count: usize| limit > 0 && count >= limit as usize;
        let says = |count: usize, limit: u32, span: &str| {
            let texts = if count == 1 { "1 reminder".to_owned() } else { format!("{count} reminders") };
            Some(format!("{texts} of other sessions went to this number {span}; at most {limit}"))
        };
        match (within(today), within(first)) {
            (day, _) if full(self.per_day, day) => says(day, self.per_day, "on that day"),
            (_, week) if full(self.per_week, week) => says(week, self.per_week, "in seven days"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::{Settings, Zones};

    fn at(text: &str) -> DateTime<Utc> {
        format!("{text}:00Z").parse().expect(text)
    }

    #[test]
    fn days_are_the_participants_own() {
        let zones = Zones::load(&Settings::default()).expect("the shipped data");
        let zone = zones.resolve("Eastern Standard Time").expect("it is known").zone;
        // 14:00 on the 26th in New York.
        let due = at("2026-11-26T19:00");
        for (per_day, per_week, went, says) in [
            (1, 3, &[][..], None),
            (1, 3, &["2026-11-26T05:00"], Some("1 reminder of other sessions went to this number on that day; at most 1")),
            (1, 3, &["2026-11-26T04:59"], None),
            (2, 3, &["2026-11-26T05:00"], None),
            (1, 3, &["2026-11-27T04:59"], Some("1 reminder of other sessions went to this number on that day; at most 1")),
            (1, 3, &["2026-11-27T05:00"], None),
            (1, 3, &["2026-11-25T12:00", "2026-11-24T12:00"], None),
            (
                1,
                3,
                &["2026-11-25T12:00", "2026-11-24T12:00", "2026-11-20T05:00"],
                Some("3 reminders of other sessions went to this number in seven days; at most 3"),
            ),
            (1, 3, &["2026-11-25T12:00", "2026-11-24T12:00", "2026-11-20T04:59"], None),
            (0, 1, &["2026-11-26T12:00"], Some("1 reminder of other sessions went to this number in seven days; at most 1")),
            (0, 0, &["2026-11-26T12:00", "2026-11-26T13:00", "2026-11-26T14:00", "2026-11-26T15:00"], None),
        ] {
            let others: Vec<Reminded> = went.iter().map(|text| Reminded { at: at(text), underway: false, person: None }).collect();
            let limits = Frequency { per_day, per_week };
            assert_eq!(limits.against(due, &others, &zone).as_deref(), says, "{per_day} {per_week} {went:?}");
            let underway: Vec<Reminded> = others.iter().map(|r| Reminded { underway: true, ..r.clone() }).collect();
            assert_eq!(limits.against(due, &underway, &zone), None);
            assert_eq!(limits.may_be_full(due, &underway, &zone), says.is_some());
        }
    }
}
