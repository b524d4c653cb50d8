//! Plain words: what replies say besides that there is no such mailbox, and that puts nothing else in its place.
//!
//! Words alone, with neither the code for it nor the recipient's address, are believed only where each word of the reply is one of these: who does not
//! exist may be our own account. A word that is not here costs no message: the address is merely not remembered.

/// As [`folded`](super::text::folded) makes them.
const PLAIN: &str = "
abonne aborted about accept accepts according account accounts action active address addressee addresses adr adresse alias aliases an and
any anymore are as ask at au aucun aucune auf aux bad be been bekannt believe benutzer benutzername bitte boite box boxes buzon by caixa
call can cannot casella casilla ce cela cet cette check checking chkuser closed code codes com command company compte con conta correct
correio correo could courriel cuenta customer das dd de deactivated deaktiviert del deleted deliver delivered delivery dem den der des
desactivada desactivado desactive desactivee desativada desativado desconhecida desconhecido desconocida desconocido desculpe desole
destinataire destinataires destinatario destinatarios destination destined details di did die diese diesem diesen dieser dieses direccion
directory disabled discontinued do does domain domino done double du ein eine einer el electronico electronique eletronico email
emailadresse emails empfaenger empfanger empfangeradresse employed employee en encontrada encontrado endereco es ese esiste esmtp essa esse
est esta este et exist existant existe existent existente existiert existing exists exrecipnotfound failure favor ferme fermee final find
for found fr fur gefunden geloscht geschlossen gibt go good gsmtp has have help here hier his host href html http https ici id if il in
inactive inbox inconnu inconnue incorrect indirizzo inesistente inexistant inexistante inexistente info information invalid invalida
invalide invalido is ist it its jfe kein keine keinen known konto la later le learn left leider les lettres link list listed lives lo local
localpart located location longer look lookup los mail mailadresse mailbox mailboxes mailboxnotfound mais marked match matches matching mehr
mel message messagerie misspelled mit moins more moved mta mx name named namen namens names nao ne nenhum nenhuma net never nicht ningun
ninguna no nobody nom nombre nome non nonexistent nosuchuser not null nullmx numero nutzer oder of ofr on one or org os our out over page
part pas permanent permanently person phone please plus por portant possible possibly posta postal postfach postmaster practice prufen que
questa questo qui rcp rcpt reach reached recipient recipientnotfound recipients recipnotfound record ref refused rejected rejecting
rejection relay removed reply requested resolver response retired said sconosciuta sconosciuto se see seems server sie siento site smtp
solcher solches sorry spaces spelling subscriber subscribers such support supprime supprimee sur svp syntax table take taken takes
teilnehmer tell terminated tested that the their there these they think this to transaction tried trovato try trying typo typos um uma un
una unavailable unbekannt unbekannte unbekannter und undeliverable une ungultig ungultige unknown unnecessary unter url us use used user
userid usernotfound users usuario usuarios utente utilisateur utilizador valid valida valido verifiez virtual visit vorhanden want war was
we were which who with wrong wurde ya you zustellbar
";

/// Whether a word says nothing else: it is one of these, a mark, or holds a digit, as ids do.
pub(super) fn is_plain(word: &str) -> bool {
    let is_mark = word.starts_with('{') && word != "{from}" && word != "{list}";
    is_mark || word.bytes().any(|b| b.is_ascii_digit()) || word.len() == 1 || PLAIN.split_whitespace().any(|plain| plain == word)
}
