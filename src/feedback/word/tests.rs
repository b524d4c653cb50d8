//! What people write, and what a reasonable person takes it for. `staff`: nobody but a person can say.

use super::{Language, Word, understand};

/// What is expected: a word, or `staff`; with `+`: it is read by staff besides.
#[rustfmt::skip]
const TABLE: &[(&str, &[&str])] = &[
    ("stop", &[
        // German and Portuguese.
        "Stoppen", "Bitte abmelden", "aufhören", "keine Nachrichten mehr", "Keine SMS mehr, bitte", "SAIR", "não quero mais mensagens", "não me envie mais mensagens",
        // English: by itself, and with what people put around it.
        "STOP", "stop", " Stop. ", "\"stop\"", "StopAll", "stop  all", "STOPP", "stoppp", "STOOOOP!!!", "s t o p", "S.T.O.P.", "ＳＴＯＰ",
        "sto\u{200b}p", "Stop. Thanks", "stop please", "Please stop", "pls stop", "Please, stop.", "stop now", "STOP STOP STOP",
        "stop, stop, stop", "ok stop", "no, stop", "just stop", "Stop it", "stop this", "Can you stop", "could you please stop?",
        "would you stop", "STOP\n\nSent from my phone", "stop\n-- \nPat Example",
        "Stop\n> Lakeside: your session is at 3. Reply STOP to opt out.", "Stop\nOn Tue, Lakeside wrote:\n> Hello", "🛑", "UNSUBSCRIBE",
        "unsubscribe me", "please unsubscribe me", "Unsubscribe please!", "END", "end please", "quit", "QUIT.", "quit it", "revoke",
        "Cancel", "CANCEL!", "optout", "opt out", "Opt-Out!", "please opt me out", "cease",
        // English: as a wish.
        "stop texting me please", "Please stop texting me", "stop texting me!", "STOP TEXTING", "stop text", "stop the texts",
        "stop all texts", "stop these messages", "stop sending me these", "Stop sending me messages", "stop sending me text messages",
        "please stop messaging me", "stop contacting me", "stop bothering me", "quit texting me", "quit sending me this",
        "cease all communications", "stop spamming me", "stop reminders", "stop with the reminders", "can you stop texting me?",
        "could you please stop sending these", "I want you to stop", "I asked you to stop", "I said stop",
        "I want to stop getting these texts", "how do I stop these messages?", "How do I unsubscribe?", "I'd like to opt out",
        "I am opting out", "I wish to unsubscribe from this list", "don't text me", "dont text me anymore", "Don’t message me",
        "do not contact me", "Please do not text this number", "don't ever text me again", "never text me again",
        "do not send me any more messages", "don't send texts", "please don't contact me again", "I don't want these texts",
        "i dont want to receive messages", "I do not want any more reminders", "I no longer wish to receive text messages",
        "I don't need your messages", "no more messages", "no more texts please", "no more", "no texts", "No more text messages!",
        "remove me from your list", "Remove me", "please take me off your list", "take me off this list please", "get me off your list",
        "delete my number", "please remove my number", "remove me from your contacts", "leave me alone", "LEAVE ME ALONE!!!",
        "lose my number", "cancel texts", "cancel these messages", "end texts", "I revoke my consent", "fuck off", "go away",
        "I'd like to stop receiving these", "i want off this list", "I'm unsubscribing", "Do not call or text me", "do not text or call this number again", "I want these messages to stop", "REMOVE",
        "please discontinue", "turn off text reminders", "please don't text", "Can you please not text me", "quit bugging me",
        "I'm asking you to stop contacting me", "Please no more", "Remove my phone number from your system", "STOP 2 END", "Stop it please",
        "Please quit w these txts", "Kindly desist from texting", "Stop plz n thx", "not interested stop", "Pls take my # off your system",
        "STOP ALL MSGS", "stop!!!! 😡", "unsubscribe all", "I don't wish to get texts", "unsubscribe me from your texts",
        "I want to opt out of these messages", "opt out of texts please", "I revoke my consent to receive texts",
        "I withdraw my permission to text me", "please leave us alone", "take my number off your list", "desist from messaging me",
        "unsubscribe thx", "unsubscribe n thanks", "I'm not interested please stop",
        // Spanish.
        "No me molesten mas", "ya basta con los mensajes", "basta de mensajes", "sáquenme de su lista de contactos", "denme de baja por favor",
        "quiero darme de baja de los mensajes", "sáquenme", "no me llamen ni me escriban", "quítenme de esta lista por favor", "ALTO", "parar", "Pare", "paren por favor", "basta", "¡Basta ya!", "Cancelar", "baja", "no me escriban", "no me escriban más",
        "No me escriba por favor", "no me manden mensajes", "no me mande más mensajes", "no me envíen más mensajes",
        "ya no me manden textos", "dejen de escribirme", "deje de mandarme mensajes", "por favor dejen de enviar mensajes",
        "no más mensajes", "no quiero más mensajes", "no quiero recibir mensajes", "no deseo recibir recordatorios", "denme de baja",
        "quiero darme de baja", "quítenme de la lista", "bórrenme de su lista", "déjenme en paz", "cancelen los mensajes",
        "no me contacten", "no mandar más mensajes", "quiero que dejen de escribirme", "detener", "No me escriba a este número", "no quiero que me escriban", "borrar mi número",
        // French.
        "ARRET", "Arrêt", "arre\u{302}t", "arrêter", "ARRÊTEZ", "arretez svp", "Arrêtez s'il vous plaît", "ANNULER", "stop svp",
        "stop s'il vous plait", "STOP merci", "désabonner", "désabonnez-moi", "je veux me désabonner", "désinscrivez-moi",
        "ne m'écrivez plus", "Ne m’envoyez plus de messages", "ne me contactez plus", "plus de messages", "plus de textos svp",
        "je ne veux plus de messages", "je ne veux pas recevoir de textos", "arrêtez de m'écrire", "Arrêtez de m’envoyer des messages",
        "arrêtez les messages", "cessez de me contacter", "retirez-moi de votre liste", "enlevez-moi de la liste",
        "laissez-moi tranquille", "ça suffit", "arrêtez tout", "Veuillez arrêter", "Je veux arrêter de recevoir ces messages", "Merci de ne plus m'écrire", "pas de textos svp", "stop aux messages",
        "ne plus m'envoyer de sms", "Stopper", "laissez-moi en paix", "désinscrivez-moi de votre liste", "désabonnement", "retirez-moi", "effacez mon numéro",
        "désinscription des rappels svp",
    ]),
    // They want no more, and say something besides.
    ("stop+", &[
        "I've asked you to stop", "I'm going to report you if you don't stop texting me", "stop or I'll report you",
        "wrong number", "This is the wrong number", "You have the wrong number", "sorry wrong number",
        "I think you have the wrong number.", "wrong person", "Stop. I am not Pat", "STOP this is not Pat",
        "stop you have the wrong person", "stop texting me I am not Pat", "I am not Pat please stop texting me",
        "Who is this? Stop texting me", "stop texting me and cancel my appointment", "STOP\nI moved to another doctor",
        "Stop!!! I'm at work", "número equivocado", "se equivocó de número", "mauvais numéro", "Vous avez le mauvais numéro",
        "Erreur de numéro", "Sorry, you have the wrong number", "you texted the wrong person", "this is the wrong phone", "its the wrong number",
        "I think you've got the wrong person", "You are texting the wrong number", "tiene el número equivocado", "tiene el número incorrecto",
        "creo que se equivocó de número", "vous vous êtes trompé de numéro", "c'est une erreur de numéro", "I will report you if you don't stop", "not interested, stop",
    ]),
    ("start", &[
        "START", "start", "Start!", "unstop", "please start", "start again", "start texting me again", "resume", "opt in", "yes, start",
        "Iniciar", "alta", "début", "reprendre",
    ]),
    ("help", &[
        // German and Portuguese.
        "Hilfe", "ajuda",
        "HELP", "help?", "Help!", "info", "INFO please", "Ayuda", "¡Ayuda!", "aide", "aide svp",
    ]),
    ("help+", &[
        "help me", "I need help", "who is this?", "Who's this", "who are you", "what is this?", "¿Quién es?", "necesito ayuda",
        "qui est-ce ?", "c'est qui?", "aidez-moi",
    ]),
    ("yes", &[
        // German and Portuguese.
        "Ja", "ja bitte", "JA, danke", "Sim", "sim, obrigado",
        "Y", "y!", "Yes", "YES.", "yesss", "yes please", "Yes thanks", "yep", "yep see you then", "yeah", "yup", "ok", "OK!", "okay",
        "ok thank you", "k", "sure", "C", "c.", "confirm", "Confirmed", "I confirm", "yes I will be there", "Yes, I'll be there",
        "I will be there", "see you then", "See you tomorrow!", "sounds good", "yes that works", "no problem, see you then",
        "No worries, I'll be there", "👍", "👍🏽", "Yes 👍",
        "Liked “Lakeside: your session is tomorrow at 3. Reply Y to confirm, STOP to opt out.”", "si", "Sí", "¡Sí!", "sí, gracias",
        "claro que si", "ok gracias", "de acuerdo", "ahí estaré", "confirmo", "OUI", "oui.", "Oui merci", "d'accord", "je serai là",
        "j’y serai", "je confirme", "perfect", "Great", "Yes no problem", "Sí señora", "I'm coming", "got it, thanks", "of course", "Sí, voy a ir",
        "yes\nSent from my iPhone",
    ]),
    ("no", &[
        // German and Portuguese.
        "Nein", "Nein danke", "Não", "não, obrigada",
        "N", "no", "Non", "NO.", "nope", "no thanks", "no thank you", "No, sorry", "no I can't", "no I can't make it",
        "No, I can’t make it.", "cannot come", "can't come", "I cannot attend", "I can't make it", "sorry can't make it today",
        "I won't be there", "I will not be there", "not coming", "I'm not coming", "we won't be able to make it", "unable to attend",
        "no puedo", "no puedo ir", "No puedo asistir, lo siento", "no voy a poder ir", "no podré asistir", "je ne peux pas",
        "je ne peux pas venir", "je ne viendrai pas", "Non, je ne pourrai pas venir", "decline", "I won't be joining", "we will not join",
        "Can't make it tmrw sorry", "We will not be able to attend", "Lo siento no puedo asistir mañana", "Désolé je ne pourrai pas",
        "nope cant make it", "cant come tmr", "I can't join tomorrow", "sorry, cannot join today", "unable to join tonight", "I'm not able to join tomorrow, sorry",
    ]),
    ("no+", &[
        "I can't make it, can we do Friday?", "No, I can't make it. My car broke down", "can't come. Please call me",
        "No puedo ir, estoy enfermo",
    ]),
    ("staff", &[
        "", "  ", "🙏", "...", "1", "Can I come an hour later?", "I will be late", "I'm here", "thank you", "Thanks!", "hello",
        // The words, and no wish.
        "Can I stop by at 3?", "please stop by at 3", "stop by", "don't stop", "Don't stop texting me", "please don't stop the reminders",
        "I can't stop the video from freezing", "the video stops", "Where is the bus stop?", "why did you stop texting me?",
        "You guys don't text me anymore", "you never text me", "did you stop sending reminders", "I don't want to stop getting texts",
        "if you stop texting me I will be sad", "When does it end?", "the end", "end of session?", "please cancel my appointment",
        "cancel my appointment", "Cancel please", "can I cancel?", "I need to cancel", "cancel tomorrow", "I want to stop",
        "If the video freezes, stop, then restart", "Should I stop my medication?", "I stopped taking my meds", "I quit smoking",
        "stop sign", "no me escriba a las 3", "not interested", "I have to cancel", "I opted out of the recording",
        "I don't want to opt out", "remove me from the 3pm session", "take me off the waiting list", "unsubscribe my mother",
        "I didn't unsubscribe", "I gave you the wrong number", "is this the wrong number?", "I got no text", "I received no messages",
        "no message received", "Don't text me after 9pm", "don't text me at work", "please do not text me before 8",
        "stop texting me at night", "don't text me the code", "Reply STOP to opt out", "reply \"STOP\" to end",
        "Lakeside: You will get no more texts from us. To get them again, reply START.", "To get no more texts, reply STOP.",
        "Disliked “Lakeside: your session is tomorrow. Reply STOP to opt out.”", "When does it start?", "start time?",
        "can I start at 4?", "I can't start the video", "help I can't get in", "Can you help me reset my password", "info about parking",
        "It says wrong number when I enter the code", "It says incorrect number, what do I do?", "Sorry I called the wrong number earlier",
        "You have the wrong phone for my mother, it is 404-555-0177", "the form has the wrong contact for my pharmacy", "I have the wrong number",
        "I dialed the wrong number", "incorrect number", "your website says wrong number", "the wrong person joined", "you gave me the wrong number for the lab",
        "you called the wrong pharmacy", "Did you lose my number? Nobody called", "I want to revoke my consent for recording",
        "I withdraw my authorization to release records", "I revoke permission to talk to my ex", "What happens if you don't quit smoking?",
        "What happens if you don't stop?", "if you don't stop drinking it gets worse", "They always leave me alone in the waiting room",
        "my kids never leave me alone", "the dogs leave me alone", "please take my number", "take my info", "I want to opt out of group therapy",
        "unsubscribe from the group", "unsubscribe me from group therapy", "I want to unsubscribe from the newsletter", "I don't want reminders on weekends",
        "stop sending me the wrong link", "take me off speaker", "please remove my son from the group", "No more sessions please", "Do not call me, text me",
        "Don't call, text is fine", "end?", "quit?", "Should I desist?", "not interested", "I'm not interested in group",
        // Neither yes nor no.
        "Please confirm", "can you confirm the time", "will confirm later", "yes but later", "Yes, but later", "yes?", "ok?", "Is that ok?", "make it stop", "I can't do this anymore", "I can't go on", "end it", "I quit", "maybe", "I don't know", "yes and no", "no idea",
        "No one told me", "not sure", "Yes can we do it at 4", "ok but I will be late", "I can't make it until 3:15",
        "I can't make it on time", "I can't make it to the office, can it be by video?", "can't hear you", "I can't come but my wife can",
        "no hurry", "no problem", "👎", "y mi cita?",
        // They want to come, and cannot get in.
        "I can't join", "I can't join!!!", "cannot join the call", "unable to join", "I'm not able to join", "I couldn't join",
        "Can't join. The page is blank", "I can't join, it says the code is invalid", "I can't join from my phone",
        "I can't join because it asks for a password", "unable to join, error 500", "not joining, it says waiting for host",
        "no I can't join it keeps loading", "We can't join the session. Help", "I can't join today. The link shows an error",
        "I can't come in, the page is blank", "I can't attend, the link does not open", "No puedo asistir, el enlace no abre",
        "Je ne peux pas venir, le lien ne marche pas",
        // Spanish and French.
        "Me dice número incorrecto cuando pongo el código", "me dice número equivocado", "me equivoqué de número", "me he equivocado de persona",
        "Dejé de escribir en mi diario", "dejé de escribir un libro", "Sáquenme de la lista de espera", "Sáquenme de la cita del viernes",
        "¿Puede darme de baja del trabajo?", "necesito que me den de baja médica", "quiero darme de baja por enfermedad", "no me llamen, manden mensaje",
        "no me llamen", "Para?", "¿Fin?", "fin de semana?", "alta médica?", "basta con una sesión", "quítenme del grupo",
        "Laissez-moi en parler à ma femme", "laissez-moi en dehors", "laissez-moi la journée", "Je me suis trompé de numéro de dossier", "j'ai le mauvais numéro",
        "je me suis trompé de personne", "Désinscription du groupe de vendredi svp", "je veux me désinscrire du groupe", "enlevez-moi du groupe",
        "retirez-moi de la liste d'attente", "désabonnement de la piscine", "il dit mauvais numéro",
        "¿Puedo parar a las 3?", "no dejen de escribirme", "cancelar mi cita", "¿Cuándo termina?", "no me mande el enlace por aquí",
        "para mañana", "no puedo abrir el enlace", "sí pero más tarde", "L'arrêt de bus", "annuler mon rendez-vous", "n'arrêtez pas",
        "je n'arrête pas de tousser", "oui mais plus tard", "je ne peux pas ouvrir le lien", "ne m'envoyez pas le lien",
        "Para no recibir más mensajes, responda STOP.", "Pour ne plus recevoir de textos, répondez STOP.",
    ]),
];

fn read(text: &str) -> String {
    let understood = understand(text);
    match understood.word {
        Word::Other => "staff".to_owned(),
        word => format!("{}{}", word.as_str(), if understood.more { "+" } else { "" }),
    }
}

#[test]
fn what_people_write() {
    let rows: Vec<(&str, &str)> = TABLE.iter().flat_map(|(word, texts)| texts.iter().map(|text| (*word, *text))).collect();
    assert!(rows.len() > 300, "{}", rows.len());
    let wrong: Vec<String> = rows
        .iter()
        .filter(|(word, text)| read(text) != *word)
        .map(|(word, text)| format!("{text:?}: {}, not {word}", read(text)))
        .collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

/// Case, and what stands around a text, change nothing.
#[test]
fn what_does_not_count() {
    for (word, texts) in TABLE {
        for text in *texts {
            for other in [text.to_uppercase(), format!("\n  {text}\n\n"), text.replace('\'', "’"), format!("{text}\n\nSent from my iPhone")]
            {
                assert_eq!(read(&other), *word, "{other:?}");
            }
        }
    }
}

/// What is not wholly read is for staff, besides what was found in it.
#[test]
fn long_texts_are_bounded() {
    assert_eq!(read(&format!("{}stop", " ".repeat(1000))), "stop");
    assert_eq!(read(&format!("stop. {}", "thanks. ".repeat(400))), "stop+");
    assert_eq!(read(&"yes. ".repeat(500)), "yes+");
    assert_eq!(read(&"yes ".repeat(500)), "staff");
    assert_eq!(read(&"stop texting me i am not pat ".repeat(400)), "staff");
}

#[test]
fn a_word_tells_of_its_language() {
    for (text, language) in [
        ("Sí", Some(Language::Spanish)),
        ("no me escriban", Some(Language::Spanish)),
        ("arrêt", Some(Language::French)),
        ("Ja, danke", Some(Language::German)),
        ("Keine SMS mehr bitte", Some(Language::German)),
        ("Sim, obrigada!", Some(Language::Portuguese)),
        ("não quero mais mensagens", Some(Language::Portuguese)),
        ("je ne viendrai pas", Some(Language::French)),
        ("unsubscribe", Some(Language::English)),
        ("stop texting me", Some(Language::English)),
        ("STOP", None),
        ("yes", None),
        ("help", None),
    ] {
        assert_eq!(understand(text).language, language, "{text}");
    }
}
