//! What stands around a wish, and makes it none, or a narrower one.

/// Who does it, before what would otherwise be asked of us.
pub(super) const SOMEBODY: [&str; 9] = ["you", "u", "they", "guys", "people", "i", "he", "she", "we"];

/// Directly before a wish, with nothing but [`BETWEEN`] in between, they deny it.
pub(super) const DENIES: [&str; 23] = [
    "dont", "not", "never", "cant", "cannot", "couldnt", "wont", "wouldnt", "didnt", "doesnt", "shouldnt", "isnt", "wasnt", "havent",
    "hasnt", "doesn", "did", "does", "nunca", "jamais", "without", "sin", "sans",
];

/// Words that may stand between a denial and what it denies.
pub(super) const BETWEEN: [&str; 24] = [
    "to", "ever", "going", "gonna", "just", "you", "u", "i", "we", "want", "wanna", "need", "please", "be", "really", "would", "even",
    "have", "that", "like", "que", "de", "me", "my",
];

/// Anywhere before a wish, they make it a question, a condition, or a sentence of ours.
pub(super) const ASKS: [&str; 18] = [
    "why", "when", "if", "unless", "until", "did", "gave", "pourquoi", "quand", "cuando", "porque", "whether", "reply", "respond",
    "responda", "repondez", "happens", "pasa",
];

/// After a wish, they limit it.
pub(super) const LIMITS: [&str; 73] = [
    "at",
    "after",
    "before",
    "until",
    "till",
    "tonight",
    "today",
    "tomorrow",
    "while",
    "during",
    "when",
    "if",
    "unless",
    "so",
    "too",
    "than",
    "in",
    "between",
    "except",
    "the",
    "a",
    "an",
    "my",
    "her",
    "his",
    "about",
    "late",
    "early",
    "twice",
    "antes",
    "despues",
    "hasta",
    "hoy",
    "manana",
    "cuando",
    "si",
    "el",
    "las",
    "la",
    "al",
    "en",
    "tan",
    "durante",
    "mientras",
    "avant",
    "apres",
    "jusqua",
    "aujourdhui",
    "demain",
    "le",
    "pendant",
    "trop",
    "weekend",
    "weekends",
    "weekdays",
    "sunday",
    "sundays",
    "saturday",
    "saturdays",
    "monday",
    "mondays",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "fridays",
    "night",
    "nights",
    "evenings",
    "mornings",
    "un",
    "una",
    "mi",
];
