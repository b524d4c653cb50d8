//! Reminder rules: two kinds, never mixed. *Elapsed* time before the start ("24 hours before" is 24 hours, also when the clocks change
//! in between) and *local clock* ("the day before at 18:00" is 18:00 on the participant's clock, be it 23 or 25 hours before).

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};

use crate::zone::Zone;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its name: part of the notice's key, so renaming a rule makes it another one.
    pub name: String,
    pub when: When,
}

/// When a reminder is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// So long before the start.
    Before(TimeDelta),
    /// So many calendar days before the start's local date, at that time on the participant's clock.
    /// In a gap it moves forward by the gap's length; in an overlap it is the earlier one.
    LocalClock {
        /// 0: the same day.
        days_before: u32,
        /// On the participant's clock.
        at: NaiveTime,
    },
}

impl Rule {
    /// The rule's time. `None`: outside the calendar.
    pub fn time(&self, start: DateTime<Utc>, zone: &Zone) -> Option<DateTime<Utc>> {
        match self.when {
            When::Before(span) => start.checked_sub_signed(span),
            When::LocalClock { days_before, at } => {
                let date = zone.local(start).civil.date().checked_sub_days(chrono::Days::new(days_before.into()))?;
                Some(zone.instant(date.and_time(at)))
            }
        }
    }
}
