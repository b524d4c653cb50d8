//! Our answers to replies: short, in the person's language, with nothing in them that is about the person.

use std::str::FromStr;

use chrono::TimeDelta;

use super::word::Language;

/// What is answered.
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
    /// To all else.
    NotUnderstood,
}

impl Answer {
    const ALL: [Self; 6] = [Self::Stopped, Self::Started, Self::Help, Self::Confirmed, Self::Declined, Self::NotUnderstood];

    /// For the store.
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

    /// The text. `contact` may be empty.
    pub fn text(self, language: Language, practice: &str, contact: &str) -> String {
        use Language::{English, French, Spanish};
        let said = match (self, language) {
            (Self::Stopped, English) => "You will get no more texts from us. To get them again, reply START.",
            (Self::Stopped, Spanish) => "No recibirá más mensajes nuestros. Para recibirlos de nuevo, responda START.",
            (Self::Stopped, French) => "Vous ne recevrez plus de textos de notre part. Pour en recevoir de nouveau, répondez START.",
            (Self::Started, English) => "You will get our texts about your sessions again.",
            (Self::Started, Spanish) => "Recibirá de nuevo nuestros mensajes sobre sus sesiones.",
            (Self::Started, French) => "Vous recevrez de nouveau nos textos au sujet de vos séances.",
            (Self::Help, English) => "We text you about your video sessions. To get no more texts, reply STOP.",
            (Self::Help, Spanish) => "Le escribimos sobre sus sesiones de video. Para no recibir más mensajes, responda STOP.",
            (Self::Help, French) => "Nous vous écrivons au sujet de vos séances vidéo. Pour ne plus recevoir de textos, répondez STOP.",
            (Self::Confirmed, English) => "Thank you, we have noted that you are coming.",
            (Self::Confirmed, Spanish) => "Gracias, hemos anotado que asistirá.",
            (Self::Confirmed, French) => "Merci, nous avons noté que vous viendrez.",
            (Self::Declined, English) => "We have noted that you are not coming.",
            (Self::Declined, Spanish) => "Hemos anotado que no asistirá.",
            (Self::Declined, French) => "Nous avons noté que vous ne viendrez pas.",
            (Self::NotUnderstood, English) => "This is an automatic service, and it did not understand your text. Nobody reads it.",
            (Self::NotUnderstood, Spanish) => "Este es un servicio automático y no entendió su mensaje. Nadie lo lee.",
            (Self::NotUnderstood, French) => "Ceci est un service automatisé, et il n'a pas compris votre texto. Personne ne le lit.",
        };
        let reach = match (self, language, contact.trim()) {
            (Self::Stopped | Self::Started | Self::Confirmed, _, _) | (_, _, "") => String::new(),
            (_, English, contact) => format!(" Reach us: {contact}."),
            (_, Spanish, contact) => format!(" Contacto: {contact}."),
            (_, French, contact) => format!(" Pour nous joindre : {contact}."),
        };
        format!("{practice}: {said}{reach}")
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
    fn answers_name_the_practice_and_help_says_how_to_reach_it() {
        for answer in Answer::ALL {
            assert_eq!(answer.as_str().parse(), Ok(answer));
            for language in [Language::English, Language::Spanish, Language::French] {
                let text = answer.text(language, "Lakeside Telehealth", "404-555-0100");
                assert!(text.starts_with("Lakeside Telehealth: "), "{text}");
                let load = crate::render::weigh(&text);
                assert!(load.1 <= 2, "{text}");
                let reach = matches!(answer, Answer::Help | Answer::NotUnderstood | Answer::Declined);
                assert_eq!(text.contains("404-555-0100"), reach, "{text}");
                assert!(!answer.text(language, "Lakeside", " ").contains("Reach"));
            }
        }
    }
}
