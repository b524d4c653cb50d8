//! Words of a text that tell its reader to send what carriers take for an opt-out. Pure.

/// Verbs of an instruction, in the languages that are shipped.
const INSTRUCTIONS: [&str; 21] = [
    "reply",
    "respond",
    "answer",
    "text",
    "send",
    "type",
    "responda",
    "responder",
    "conteste",
    "envíe",
    "envie",
    "mande",
    "escriba",
    "répondez",
    "repondez",
    "envoyez",
    "textez",
    "antworten",
    "antworte",
    "senden",
    "digite",
];
/// Words by which carriers and gateways take a reply for an opt-out (CTIA's guidelines, and what gateways add).
const OPT_OUTS: [&str; 9] = ["stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout", "arret"];
/// What makes of STOP what it means.
const MEANT: [&str; 18] = [
    "opt",
    "unsubscribe",
    "messages",
    "texts",
    "mensajes",
    "textos",
    "recibir",
    "recevoir",
    "désabonner",
    "desabonner",
    "désinscrire",
    "desinscrire",
    "baja",
    "receiving",
    "sms",
    "abmelden",
    "receber",
    "mensagens",
];
/// How far from its verb a word still belongs to it.
const REACH: usize = 4;

/// The opt-out word that a text tells its reader to send, unless it is there to opt out. "Your session has been cancelled"
/// tells nobody to send anything.
pub(super) fn opt_out_instruction(text: &str) -> Option<String> {
    let words: Vec<String> = text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_lowercase).collect();
    let meant = words.iter().any(|w| MEANT.contains(&w.as_str()));
    words.iter().enumerate().filter(|(_, w)| INSTRUCTIONS.contains(&w.as_str())).find_map(|(i, _)| {
        let reach = &words[i + 1..words.len().min(i + 1 + REACH)];
        reach
            .iter()
            .find(|w| OPT_OUTS.contains(&w.as_str()) && !(meant && ["stop", "arret"].contains(&w.as_str())))
            .map(|w| w.to_uppercase())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opt_outs_are_told_from_prose() {
        for (text, word) in [
            ("Reply CANCEL to cancel your session", Some("CANCEL")),
            ("To cancel, text \"END\" to us", Some("END")),
            ("Reply STOP if you cannot come", Some("STOP")),
            ("Responda CANCEL para cancelar", Some("CANCEL")),
            ("Reply STOP to opt out", None),
            ("Pour ne plus recevoir de textos, répondez STOP ou ARRET.", None),
            ("Responda STOP para no recibir mensajes", None),
            ("Your video session has been cancelled.", None),
            ("Please do not stop; reply Y or N", None),
            ("Reply YES. The session will end at noon", None),
        ] {
            assert_eq!(opt_out_instruction(text).as_deref(), word, "{text}");
        }
    }
}
