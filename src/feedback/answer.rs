//! Our answers to replies, with nothing in them that is about the person. Their texts are templates: see [`crate::render`].

use std::str::FromStr;

use chrono::TimeDelta;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// To STOP: the one confirmation.
    Stopped,
    /// To START.
    Started,
    /// To HELP: who we are.
    Help,
    /// To Y.
    Confirmed,
    /// To N.
    Declined,
    /// To all else, once: nothing is answered to it any more. Its template may stand in a practice's folder.
    NotUnderstood,
}

impl Answer {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 6] = [Self::Stopped, Self::Started, Self::Help, Self::Confirmed, Self::Declined, Self::NotUnderstood];

    /// The word in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Started => "started",
            Self::Help => "help",
            Self::Confirmed => "confirmed",
            Self::Declined => "declined",
            Self::NotUnderstood => "not_understood",
        }
    }

    /// How long it is worth sending. The confirmation of an opt-out must come within five minutes (47 CFR 64.1200(a)(12)).
    pub fn useful(self) -> TimeDelta {
        if self == Self::Stopped { TimeDelta::minutes(5) } else { TimeDelta::hours(1) }
    }

    /// No second one to the same number within this time: another machine may answer us.
    pub fn pause(self) -> TimeDelta {
        match self {
            Self::NotUnderstood => TimeDelta::days(1),
            Self::Help => TimeDelta::hours(1),
            _ => TimeDelta::minutes(1),
        }
    }
}

impl FromStr for Answer {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|answer| answer.as_str() == s).ok_or_else(|| format!("{s:?} is no answer"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_written() {
        for answer in Answer::ALL {
            assert_eq!(answer.as_str().parse(), Ok(answer));
        }
        assert!("".parse::<Answer>().is_err());
    }
}
