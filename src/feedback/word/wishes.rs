//! How people say it, in English, Spanish and French, and the plainest of it in German and Portuguese: patterns of whole clauses, and of what is a wish wherever it stands in one.
//!
//! A pattern is words with a space between them: `a|b` is either, `@class` any of a class; `*` after one: none or more, `?`: none or one.
//! A *whole* pattern must fit a clause from its first word to its last. An *open* one fits anywhere, unless what stands before it denies it ("don't
//! stop texting me"), or what follows it limits it ("don't text me after nine"): those are for a person to read. `^` before one: only courtesies
//! come before it; `!`: nobody is named who does it ("you don't text me" tells, and asks nothing); `$` after one: nothing comes after it; `~` and words: none of
//! those comes after it ("take me off the list *of* those who wait").

use super::Language::{self, English, French, German, Portuguese, Spanish};

/// What a clause is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClauseKind {
    /// A wish for no more texts that says so.
    Stop,
    /// "Stop", and courtesies.
    StopBare,
    /// "Cancel", and nothing else.
    StopAlone,
    /// We write to somebody else than we think.
    WrongNumber,
    /// Texts again.
    Start,
    /// HELP and INFO.
    Help,
    /// A call for help, or who that is, in a sentence.
    Plea,
    /// I am coming.
    Yes,
    No,
    /// I am not coming.
    Absent,
    /// Nothing that matters.
    Courtesy,
    /// Anything else.
    Else,
}

/// What a clause that fits is, the language that it tells of, and the words: see the module.
pub(super) struct Pattern(pub(super) ClauseKind, pub(super) Option<Language>, pub(super) &'static str);

const fn p(kind: ClauseKind, language: Option<Language>, text: &'static str) -> Pattern {
    Pattern(kind, language, text)
}

const EN: Option<Language> = Some(English);
pub(super) const ES: Option<Language> = Some(Spanish);
pub(super) const FR: Option<Language> = Some(French);
pub(super) const DE: Option<Language> = Some(German);
pub(super) const PT: Option<Language> = Some(Portuguese);

/// From the first word of a clause to its last. The first that fits counts.
pub(super) const WHOLE: [Pattern; 123] = [
    // What providers and carriers know by itself.
    p(ClauseKind::StopBare, None, "stop|stopall|stopp"),
    p(ClauseKind::StopBare, None, "stop all"),
    p(ClauseKind::StopBare, None, "stop 2|to end|stop"),
    p(ClauseKind::StopAlone, EN, "cancel"),
    p(ClauseKind::StopAlone, ES, "cancelar|terminar"),
    p(ClauseKind::StopAlone, FR, "annuler"),
    p(ClauseKind::StopBare, EN, "@polite* end @polite*"),
    p(ClauseKind::StopBare, None, "@polite* stop|stopp|stpo|sotp|stopall @polite*"),
    p(ClauseKind::StopBare, None, "stop stop stop* @polite*"),
    p(ClauseKind::StopBare, EN, "@polite* @stop @stop* me? @polite*"),
    p(ClauseKind::StopBare, EN, "can|could|would|will you|u please? just? @stop it|this|that|these|those|now? @polite*"),
    p(ClauseKind::StopBare, EN, "@polite* stop|quit it|this|that|these|those|sending|everything|all @polite*"),
    p(ClauseKind::StopBare, EN, "@polite* cease and desist @polite*"),
    p(ClauseKind::StopBare, EN, "@polite* stop|quit this|the|that nonsense|crap|bs|shit|spam @polite*"),
    p(ClauseKind::Stop, EN, "@lead* make? @fill* texts|messages|reminders|notifications|alerts|texting to? stop @polite*"),
    p(ClauseKind::Stop, EN, "@polite* turn off @fill* texts|text|messages|reminders|notifications|alerts @after*"),
    p(ClauseKind::Stop, EN, "@polite* dont|donot text|txt|message|contact @polite*"),
    p(ClauseKind::Stop, EN, "@polite* do not text|txt|message|contact @polite*"),
    p(ClauseKind::Stop, EN, "@lead* not text|txt|message|contact me|us|this @after*"),
    p(ClauseKind::StopBare, EN, "@polite* opt me|us? out @polite*"),
    p(ClauseKind::StopBare, EN, "@polite* no more @polite*"),
    p(
        ClauseKind::Stop,
        EN,
        "@polite* end|cancel|discontinue|terminate @fill* texts|text|texting|messages|messaging|msgs|sms|reminders|notifications|alerts|subscription @after*",
    ),
    p(ClauseKind::Stop, EN, "@polite* no text? texts|text|texting|messages|msgs|sms|contact @polite*"),
    p(
        ClauseKind::Stop,
        EN,
        "@lead* no more|further|longer @fill|automated* texts|text|messages|message|msgs|sms|reminders|notifications|alerts|texting|messaging @after*",
    ),
    p(ClauseKind::Stop, EN, "@lead* off|out of? @fill* list|lists|texts @after*"),
    p(ClauseKind::Stop, EN, "@lead* remove|delete|erase|drop me|us off|out? @after*"),
    p(ClauseKind::Stop, EN, "@lead* take|get|pull me|us off|out @after*"),
    p(ClauseKind::Stop, EN, "@lead* remove|delete|erase|drop|lose my|this|the phone|cell|mobile? number|info|name|contact off? @after*"),
    p(ClauseKind::Stop, EN, "@lead* take my|this|the phone|cell|mobile? number|info|name|contact off @after*"),
    p(ClauseKind::Stop, EN, "@lead* leave me|us alone @polite*"),
    p(ClauseKind::Stop, EN, "@who* not interested please|so|just? stop|unsubscribe|remove me? @polite*"),
    p(ClauseKind::StopBare, None, "@polite* stop|stopp|stopall|unsubscribe @polite* n thx|thanks|ty|tx @polite*"),
    p(ClauseKind::Stop, EN, "@polite* go|get away|lost @polite*"),
    p(ClauseKind::Stop, EN, "@polite* fuck|piss|f off @polite*"),
    // Spanish.
    p(ClauseKind::StopBare, ES, "@polite* alto|parar|pare|paren|para|detener|detenga|detengan|basta|baja|fin @polite*"),
    p(ClauseKind::StopBare, ES, "@polite* no mas @polite*"),
    p(ClauseKind::StopBare, ES, "@polite* no escriba|escriban|escribas|escribir @polite*"),
    // French.
    p(ClauseKind::StopBare, FR, "@polite* arret|arrete|arreter|arretez|arrett|cessez|cesser|stopper|stoppez|fin @polite*"),
    p(ClauseKind::StopBare, FR, "ca suffit @polite*"),
    p(ClauseKind::StopBare, FR, "@polite* veuillez? arretez|arrete|arreter|cessez|cesser ca|tout|cela|immediatement? @polite*"),
    p(ClauseKind::Stop, FR, "@polite* pas de textos|messages|sms @polite*"),
    p(ClauseKind::Stop, FR, "@polite* plus de|daucun messages|message|textos|texto|sms|rappels @polite*"),
    // Nobody but whoever says it of us: "it says wrong number" and "I called the wrong number" tell of something else.
    p(ClauseKind::WrongNumber, EN, "@polite* @guess* the|a? wrong number|person|phone @polite*"),
    p(
        ClauseKind::WrongNumber,
        EN,
        "@polite* @guess* this|that|its|thats|it is? the|a wrong|incorrect number|person|phone|contact @polite*",
    ),
    p(
        ClauseKind::WrongNumber,
        EN,
        "@polite* @guess* you|u|ya|youve|yall|youre|guys must|may|might|probably|all|are|just|have* have|has|got|had|texted|reached|messaged|called|dialed|contacted|texting|messaging|calling|contacting the|a|an wrong|incorrect number|person|phone|contact @polite*",
    ),
    p(
        ClauseKind::WrongNumber,
        ES,
        "@polite* creo|que|usted|ustedes|tiene|tienen|tienes|este|es|el|un|una|la|con|se|esta|escribe|escriben|a* numero|persona equivocado|equivocada @polite*",
    ),
    p(ClauseKind::WrongNumber, ES, "@polite* tiene|tienen|tienes el numero incorrecto @polite*"),
    p(
        ClauseKind::WrongNumber,
        ES,
        "@polite* creo|que|se|usted|ustedes|te|has|ha|han|esta|estan* equivoco|equivocaron|equivocaste|equivocado|equivocados de numero|persona @polite*",
    ),
    p(ClauseKind::WrongNumber, FR, "@polite* je|crois|pense|que|vous|avez|tu|as|cest|ce|est|le|un|la* mauvais|faux numero @polite*"),
    p(
        ClauseKind::WrongNumber,
        FR,
        "@polite* je|crois|pense|que|vous|etes|tu|tes|il|y|a|cest|une|faites* erreur|trompe|trompes|trompez de numero|personne @polite*",
    ),
    // Texts again.
    p(ClauseKind::Start, None, "@polite* start|unstop @polite*"),
    p(ClauseKind::Start, EN, "@polite* start|resume|restart|continue texting|sending|texts|messages|reminders|getting|receiving @again*"),
    p(ClauseKind::Start, EN, "@lead* start texting|sending @again*"),
    p(ClauseKind::Start, EN, "@polite* resume|resubscribe|subscribe @again*"),
    p(ClauseKind::Start, EN, "@polite* opt me? in @again*"),
    p(ClauseKind::Start, ES, "@polite* iniciar|comenzar|alta|empezar|reanudar|reanuden @polite*"),
    p(ClauseKind::Start, FR, "@polite* commencer|debut|reprendre|reprenez|recommencer|recommencez|reabonner @polite*"),
    p(ClauseKind::Start, FR, "@polite* reabonnez moi @polite*"),
    // Who is this?
    p(ClauseKind::Help, None, "@polite* help|info @polite*"),
    p(ClauseKind::Help, ES, "@polite* ayuda @polite*"),
    p(ClauseKind::Plea, ES, "@polite* ayudame|ayudeme @polite*"),
    p(ClauseKind::Help, FR, "@polite* aide @polite*"),
    p(ClauseKind::Plea, EN, "@polite* i? need|want some|more? help|info @polite*"),
    p(ClauseKind::Plea, EN, "@polite* help me @polite*"),
    p(ClauseKind::Plea, EN, "@polite* who is|are|was this|that|you|it @polite*"),
    p(ClauseKind::Plea, EN, "@polite* whos|whats this|that @polite*"),
    p(ClauseKind::Plea, EN, "@polite* who is texting|messaging|writing me? @polite*"),
    p(ClauseKind::Plea, EN, "@polite* what is this @polite*"),
    p(ClauseKind::Plea, ES, "@polite* quien|quienes es|eres|son|habla|escribe usted? @polite*"),
    p(ClauseKind::Plea, ES, "@polite* que es esto @polite*"),
    p(ClauseKind::Plea, ES, "@polite* necesito ayuda @polite*"),
    p(ClauseKind::Plea, FR, "@polite* qui est|etes ce|vous|la @polite*"),
    p(ClauseKind::Plea, FR, "@polite* cest qui|quoi @polite*"),
    p(ClauseKind::Plea, FR, "@polite* aidez moi @polite*"),
    p(ClauseKind::Plea, FR, "@polite* jai? besoin daide @polite*"),
    // Courtesies that begin with no.
    p(ClauseKind::Courtesy, None, "no problem|worries|prob|pb|problema @polite*"),
    p(ClauseKind::Courtesy, ES, "no hay problema @polite*"),
    p(ClauseKind::Courtesy, FR, "pas de probleme|souci @polite*"),
    // I am not coming.
    p(ClauseKind::Absent, EN, "@who* @no? @who* cant|cannot|couldnt|wont make it|the|my|this|our @absent*"),
    p(ClauseKind::Absent, EN, "@who* @no? @who* cant|cannot|wont come|attend|go @absent*"),
    p(ClauseKind::Absent, EN, "@who* @no? @who* can|will|could not make|come|attend|go it? @absent*"),
    // Whoever cannot join may stand before a page that does not open ("Join:" is what our texts say): it is a refusal only if it says which day.
    p(ClauseKind::Absent, EN, "@who* @no? @who* wont join @absent*"),
    p(ClauseKind::Absent, EN, "@who* @no? @who* will not join @absent*"),
    p(ClauseKind::Absent, EN, "@who* @no? @who* cant|cannot join @absent* today|tomorrow|tonight|then @absent*"),
    p(ClauseKind::Absent, EN, "@who* @no? @who* can not join @absent* today|tomorrow|tonight|then @absent*"),
    p(ClauseKind::Absent, EN, "@who* @no? @who* will? not|unable|wont be? able? to join @absent* today|tomorrow|tonight|then @absent*"),
    p(ClauseKind::Absent, EN, "@who* @no? @who* wont be there|coming|attending|joining @absent*"),
    p(
        ClauseKind::Absent,
        EN,
        "@who* @no? @who* will? not|unable|wont be? able? to? make|come|attend|coming|attending|joining|be it|there? @absent*",
    ),
    p(ClauseKind::Absent, EN, "@who* decline|declined|declining @absent*"),
    p(ClauseKind::Absent, ES, "@who* no? no puedo|podre|podemos|podremos ir|asistir|venir|estar|acudir? @absent*"),
    p(ClauseKind::Absent, ES, "@who* no? no voy|vamos a poder|ir|asistir ir|asistir|estar|venir? @absent*"),
    p(ClauseKind::Absent, ES, "@who* no? no voy|ire|asistire|estare|vendre @absent*"),
    p(ClauseKind::Absent, FR, "@who* non? @who* peux|pourrai|pouvons|pourrons pas venir|assister|etre|participer? @absent*"),
    p(ClauseKind::Absent, FR, "@who* non? @who* viendrai|viens|serai|viendrons pas @absent*"),
    // I am.
    p(ClauseKind::Yes, EN, "see you|u|ya then|there|tomorrow|today|soon|tonight @polite*"),
    p(ClauseKind::Yes, EN, "i? will|ill|well be there @coming*"),
    p(ClauseKind::Yes, EN, "sounds|looks good|great|perfect|fine @coming*"),
    p(ClauseKind::Yes, EN, "works for me @polite*"),
    p(ClauseKind::Yes, EN, "yes|yep|yeah|ok|okay|sure no problem|worries|prob @coming*"),
    p(ClauseKind::Yes, EN, "im|i|we am|are? coming @coming*"),
    p(ClauseKind::Yes, EN, "got|you|of|sure it|bet|course|thing @polite*"),
    p(ClauseKind::Yes, ES, "voy a? ir? @coming*"),
    p(ClauseKind::Yes, EN, "great|good|excellent|wonderful|awesome @polite*"),
    p(ClauseKind::Yes, ES, "de acuerdo @coming*"),
    p(ClauseKind::Yes, ES, "ahi|alli estare @coming*"),
    p(ClauseKind::Yes, ES, "nos vemos @coming*"),
    p(ClauseKind::Yes, FR, "je|jy serai la|present? @coming*"),
    // German.
    p(ClauseKind::StopBare, DE, "@polite* stoppen|aufhoren|abmelden|abbestellen|abbestellt|beenden @polite*"),
    p(ClauseKind::Stop, DE, "@polite* keine sms|nachrichten|textnachrichten|erinnerungen mehr @polite*"),
    p(ClauseKind::Stop, DE, "@polite* ich? mochte|will keine sms|nachrichten|erinnerungen mehr erhalten|bekommen|haben? @polite*"),
    p(ClauseKind::Start, DE, "@polite* starten|anmelden @polite*"),
    p(ClauseKind::Help, DE, "@polite* hilfe @polite*"),
    p(ClauseKind::Plea, DE, "@polite* wer ist|sind das|da|sie @polite*"),
    p(ClauseKind::Absent, DE, "@polite* @no? leider? ich kann|komme leider? nicht kommen|teilnehmen? @polite*"),
    p(ClauseKind::Yes, DE, "ich komme|bin|nehme gern|gerne|dabei|teil? @polite*"),
    // Portuguese, where it is not as Spanish.
    p(ClauseKind::StopBare, PT, "@polite* sair|descadastrar|descadastre|parem @polite*"),
    p(ClauseKind::Stop, PT, "@polite* nao quero|desejo receber? mais? mensagens|mensagem|sms|lembretes mais? @polite*"),
    p(ClauseKind::Stop, PT, "@polite* nao me? envie|enviem|mande|mandem mais? mensagens|mensagem|sms|lembretes|nada? mais? @polite*"),
    p(ClauseKind::Start, PT, "@polite* comecar|retomar|recomecar @polite*"),
    p(ClauseKind::Help, PT, "@polite* ajuda @polite*"),
    p(ClauseKind::Plea, PT, "@polite* quem e|eh voce|isso|isto|fala? @polite*"),
    p(ClauseKind::Absent, PT, "@polite* @no? eu? nao vou|posso|poderei|consigo poder? ir|participar|comparecer|estar? @polite*"),
    p(ClauseKind::Yes, PT, "eu? vou|estarei|irei sim|la? @polite*"),
];

/// Wherever they stand in a clause.
pub(super) const OPEN: [Pattern; 54] = [
    p(ClauseKind::Stop, EN, "stop|quit|cease|desist @fill* @msg @after*"),
    p(ClauseKind::Stop, EN, "stop|quit sending @after*"),
    p(ClauseKind::Stop, EN, "stop|quit receiving|getting these|this|them|those @after*"),
    p(ClauseKind::Stop, EN, "if you|u dont|donot stop|quit @fill* @msg @after*"),
    p(ClauseKind::Stop, EN, "if you|u dont|donot stop @polite* $"),
    p(ClauseKind::Stop, EN, "^ stop or i|ill|im|we"),
    p(ClauseKind::Stop, EN, "^ ! never ever|again* text|txt|message|msg|contact|bother|write me|us|this @after*"),
    p(
        ClauseKind::Stop,
        EN,
        "! @dont ever|you|please|again|call|email|phone|or|and* text|txt|message|msg|contact|bother|spam|sms|write|remind|txting|texting or|and|call|email|phone* me|us|this|here|anymore|again|to|ever @after*",
    ),
    p(
        ClauseKind::Stop,
        EN,
        "! do not ever|you|please|again|call|email|phone|or|and* text|txt|message|msg|contact|bother|spam|sms|write|remind or|and|call|email|phone* me|us|this|here|anymore|again|to|ever @after*",
    ),
    p(
        ClauseKind::Stop,
        EN,
        "! @dont ever|you|please* send @fill* texts|text|messages|message|msgs|sms|reminders|notifications|these|this|anything|more @after*",
    ),
    p(
        ClauseKind::Stop,
        EN,
        "! do not ever|you|please* send @fill* texts|text|messages|message|msgs|sms|reminders|notifications|these|this|anything|more @after*",
    ),
    p(
        ClauseKind::Stop,
        EN,
        "dont|donot|never|longer @want @fill|to|receive|get|be|for|kind|constant* texts|messages|msgs|sms|reminders|notifications|alerts|contacted|texted @after*",
    ),
    p(
        ClauseKind::Stop,
        EN,
        "do not @want @fill|to|receive|get|be|for|kind|constant* texts|messages|msgs|sms|reminders|notifications|alerts|contacted|texted @after*",
    ),
    p(ClauseKind::Stop, EN, "@gone me|us|this|my number? off|from|out of? @fill* @list @after*"),
    p(
        ClauseKind::Stop,
        EN,
        "unsubscribe|unsubcribe|unsuscribe|unsub|unsubscribed|unsubscribing me|us|please|pls|now|all|this|number|phone* ~ from|of|for|off|to|our|your",
    ),
    p(
        ClauseKind::Stop,
        EN,
        "unsubscribe|unsubcribe|unsuscribe|unsub|unsubscribed|unsubscribing me|us|please* from|of|to @fill|automated|mailing* @texts|you|this|these|here|it|all @after*",
    ),
    p(ClauseKind::Stop, EN, "opt|opting|opted me|us? out please|pls|now|thanks|here* ~ of|from|for|to|our|your"),
    p(ClauseKind::Stop, EN, "opt|opting|opted me|us? out of|from|to @fill|automated* @texts|this|these|it|all @after*"),
    p(ClauseKind::Stop, EN, "^ leave me|us alone"),
    p(ClauseKind::Stop, EN, "lose my|this number"),
    p(ClauseKind::Stop, EN, "revoke|withdraw|revoking|withdrawing my|all? consent|permission|authorization @polite* $"),
    p(
        ClauseKind::Stop,
        EN,
        "revoke|withdraw|revoking|withdrawing my|all? consent|permission|authorization to|for be|being|receive|receiving|get|getting|send|me|us|any|all|your|these|the|further|by* @texts @after* $",
    ),
    p(ClauseKind::Stop, EN, "you|u|yall|people to stop @polite* $"),
    p(ClauseKind::Stop, EN, "i said|say stop @polite* $"),
    p(ClauseKind::Stop, EN, "^ stop i|im|ive|we|you|youve|youre|its|he|she|they"),
    p(ClauseKind::Stop, EN, "^ stop this|it is"),
    p(
        ClauseKind::Stop,
        ES,
        "deja|deje|dejen|dejad|para|paren|pare|basta de escribirme|mandarme|enviarme|molestarme|contactarme|textearme|escribir|mandar|enviar|molestar|textear|llamarme",
    ),
    p(
        ClauseKind::Stop,
        ES,
        "no me|nos escriba|escriban|escribas|mande|manden|mandes|envie|envien|envies|contacte|contacten|contactes|moleste|molesten|molestes|texteen|textees mas|los|sus|estos|esos|nada|mensajes|textos|sms|nunca|por|favor|gracias* a? este|mi|ese? numero|celular|telefono?",
    ),
    p(
        ClauseKind::Stop,
        ES,
        "no quiero|deseo que me escriban|escriba|manden|mande|envien|envie|contacten|contacte mas|nada|mensajes|textos*",
    ),
    p(ClauseKind::Stop, ES, "eliminar|eliminen|elimine|borrar|borren|borre|quitar|quiten mi|este numero"),
    p(
        ClauseKind::Stop,
        ES,
        "no quiero|deseo|necesito recibir|mas|sus|estos|que|me|manden|envien|escriban* mensajes|textos|recordatorios|sms|notificaciones",
    ),
    p(ClauseKind::Stop, ES, "no mandar|enviar|escribir mas? mensajes|textos|sms"),
    p(ClauseKind::Stop, ES, "no mas mensajes|textos|sms|recordatorios|notificaciones"),
    p(
        ClauseKind::Stop,
        ES,
        "no me llamen|llame|llames ni|o|y|no|me|tampoco* escriban|escriba|escribas|texteen|contacten mas|por|favor|nunca*",
    ),
    p(
        ClauseKind::Stop,
        ES,
        "basta con|de los|estos|sus|tus|tantos|tanto|mas* mensajes|mensaje|textos|sms|recordatorios|notificaciones ~ de",
    ),
    // Whoever is on sick leave, or leaves a group, is "de baja", too.
    p(ClauseKind::Stop, ES, "darme|darse|denme|deme|dame|dar|dado|dada de baja ~ del|de|a|por|al|medica|laboral|mi|porque"),
    p(ClauseKind::Stop, ES, "darme|darse|denme|deme|dame|dar de baja por favor $"),
    p(
        ClauseKind::Stop,
        ES,
        "darme|darse|denme|deme|dame|dar de baja de|del los|las|su|sus|estos|estas|la|esta|este|el* lista|listas|sistema|mensajes|textos|sms|recordatorios|servicio|notificaciones ~ de|del",
    ),
    p(
        ClauseKind::Stop,
        ES,
        "quiteme|quitenme|quitame|borrenme|borreme|borrame|eliminenme|elimineme|eliminame|saquenme|saqueme|sacame de? su|la|sus|esta|tu? lista|listas ~ de|del",
    ),
    p(
        ClauseKind::Stop,
        ES,
        "quiteme|quitenme|quitame|borrenme|borreme|borrame|eliminenme|elimineme|eliminame|saquenme|saqueme|sacame de? su|la|sus|esta|tu? lista|listas de contactos|mensajes|textos|sms|difusion|distribucion|envio|envios",
    ),
    p(
        ClauseKind::Stop,
        ES,
        "quiteme|quitenme|quitame|borrenme|borreme|borrame|eliminenme|elimineme|eliminame|saquenme|saqueme|sacame de? aqui? @polite* $",
    ),
    p(ClauseKind::Stop, ES, "dejenme|dejeme|dejame en|tranquilo|tranquila|paz"),
    p(
        ClauseKind::Stop,
        ES,
        "cancelen|cancele|cancelar|detengan|detener|detenga|paren|pare|parar los|estos|sus|esos|mis|todos|las|estas|la|mi* mensajes|textos|notificaciones|recordatorios|suscripcion|sms",
    ),
    p(
        ClauseKind::Stop,
        FR,
        "arretez|arrete|arreter|cessez|cesser|cesse|stop de|d|des|aux|les|ces|vos|avec|tous|me|recevoir* mecrire|menvoyer|denvoyer|envoyer|contacter|texter|harceler|deranger|decrire|messages|textos|texto|sms|rappels|notifications",
    ),
    p(
        ClauseKind::Stop,
        FR,
        "mecrivez|mecris|menvoyez|menvoie|contactez|textez|derangez|ecrivez|envoyez pas|plus de|mes|vos|ces|aucun|rien|jamais|svp* messages|textos|sms|rappels|merci|jamais*",
    ),
    p(
        ClauseKind::Stop,
        FR,
        "veux|souhaite|desire plus|pas recevoir|de|vos|avoir|ces|daucun|aucun* messages|textos|sms|rappels|notifications",
    ),
    p(ClauseKind::Stop, FR, "ne? plus me|nous* mecrire|menvoyer|contacter|texter|deranger|ecrire|envoyer de|des|messages|textos|sms*"),
    p(
        ClauseKind::Stop,
        FR,
        "desabonner|desabonnez|desabonne|desabonnement|desinscrire|desinscription|desinscrivez|desinscris moi? ~ de|d|du|des|a|au|dun|dune|mon|ma|le|la|pour",
    ),
    p(
        ClauseKind::Stop,
        FR,
        "desabonner|desabonnez|desabonne|desabonnement|desinscrire|desinscription|desinscrivez|desinscris moi? de|du|des|a|aux votre|vos|la|cette|ces|les|ce? liste|listes|messages|textos|sms|rappels|service|notifications ~ de|dattente",
    ),
    p(ClauseKind::Stop, FR, "laissez|laisse|foutez|fichez moi la? tranquille|paix"),
    p(ClauseKind::Stop, FR, "laissez|laisse|foutez|fichez moi en paix"),
    p(ClauseKind::Stop, FR, "retirez|enlevez|supprimez|effacez|rayez|otez mon|ce numero ~ de"),
    p(
        ClauseKind::Stop,
        FR,
        "retirez|enlevez|supprimez|effacez|rayez|otez moi|mon|ce numero? de votre|la|vos|cette liste|listes ~ dattente|de|du|des",
    ),
    p(ClauseKind::Stop, FR, "retirez|enlevez|supprimez|effacez|rayez|otez moi @polite* $"),
];
