//! What README and docs/security.md promise of the gate: no message shows another live participant's code, passkey, address, number or name, however
//! it is hidden in whatever field reaches a message; and nobody is held who hides nothing.
//!
//! Two generators, as many cases of each as `PUNCTUAL_GATE` says (tests/run: 50,000). A case that fails prints its number: `PUNCTUAL_GATE_FROM`
//! begins there.

use chrono::TimeDelta;
use punctual::contact::{ConnectCode, Passkey, PersonName, clean_line};
use punctual::notice::Occasion;
use punctual::render::{RenderError, Renderer, Settings};
use punctual::session::{ParticipationId, RawContact, Session, SessionId, Unread};
use punctual::zone::Resolved;

use super::{Case, LOCALES, look::own_look, templates::with_templates, zone};

fn cases() -> std::ops::Range<u64> {
    let set = |name: &str| std::env::var(name).ok().map(|n| n.parse::<u64>().expect("a number of cases"));
    let from = set("PUNCTUAL_GATE_FROM").unwrap_or(0);
    from..from + set("PUNCTUAL_GATE").unwrap_or(1500)
}

/// Steele, Lea, Flood: SplitMix64. Every case has its own, so that each can be run alone.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.roll() % n as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn of<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }

    fn digits(&mut self, n: usize) -> String {
        (0..n).map(|at| char::from(b'0' + (if at == 0 { 1 + self.below(9) } else { self.below(10) }) as u8)).collect()
    }

    fn code(&mut self) -> String {
        self.digits(9)
    }

    fn name(&mut self) -> String {
        let first = self.of(&["Alice", "Ben", "Zoë", "José", "Mary Ann", "Łukasz", "Øystein", "Mei", "Fatima", "D'Arcy"]);
        let last = self.of(&["Patient", "Quigley", "Núñez", "O'Brien", "van der Berg", "Smith-Jones", "Ångström", "Tanaka", "Okonkwo"]);
        format!("{first} {last}")
    }

    fn words(&mut self) -> String {
        let all = ["check-in", "with", "the", "team", "évaluation", "part", "two", "weekly", "Group", "follow up", "—", "Q&A"];
        (0..self.below(4)).map(|_| self.of(&all)).collect::<Vec<_>>().join(" ")
    }
}

/// What is hidden.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Code,
    Passkey,
    Address,
    Number,
    Name,
}

/// Files of a message that show their values, one renderer each: the others show nothing of them.
const FILES: [&str; 6] =
    ["invite/subject.txt", "invite/body.txt", "invite/body.html", "calendar/summary.txt", "calendar/description.txt", "invite/sms.txt"];

fn showing(file: &str) -> (tempfile::TempDir, Renderer) {
    const SHOWN: &str = "To {{ recipient.name }}: {{ session.host_name }} about {{ session.topic }}.";
    const NOTHING: &str = "Please come.";
    let logo = |f: &str| if f == "invite/body.html" { "<img src=\"{{ practice.logo }}\"> " } else { "" };
    let text = |f: &str| format!("{}{}", logo(f), if f == file { SHOWN } else { NOTHING });
    let files: Vec<(String, String)> = FILES.iter().map(|f| (format!("en-US/{f}"), text(f))).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let (dir, settings) = with_templates(&files);
    (dir, Renderer::new(Settings { max_segments: 30, look: own_look(), ..settings }).unwrap())
}

/// Every way to write the characters of a secret that is still its own: `what` says which.
fn spelled(kind: Kind, secret: &str, dice: &mut Dice) -> String {
    let digits = matches!(kind, Kind::Code | Kind::Number);
    let groups = |sign: &str, dice: &mut Dice| {
        let sizes = [[3, 3, 3], [2, 3, 4], [4, 3, 2], [1, 4, 4]][dice.below(4)];
        let mut out = String::new();
        let mut left = sizes.into_iter().cycle();
        let mut room = left.next().unwrap_or(3);
        for c in secret.chars() {
            if room == 0 {
                out.push_str(sign);
                room = left.next().unwrap_or(3);
            }
            out.push(c);
            room -= 1;
        }
        out
    };
    match (kind, dice.below(4)) {
        (Kind::Code, 0) => groups(dice.of(&["-", " ", ".", "\u{2011}", "\u{A0}", ") ", " - ", " / ", "\u{2063}"]), dice),
        (_, 1) if digits => {
            let zero =
                *[0x660u32, 0x6F0, 0x966, 0xE50, 0x1D7CE, 0xFF10, 0x104A0, 0x1E950, 0x16B50, 0x1FBF0, 0xA9D0].get(dice.below(11)).unwrap();
            let other = |c: char| c.to_digit(10).and_then(|digit| char::from_u32(zero + digit)).unwrap_or(c);
            secret.chars().map(other).collect()
        }
        (_, 2) if digits => {
            let circled = |c: char| match c.to_digit(10) {
                Some(0) => '⓿',
                Some(digit) => char::from_u32(0x2775 + digit).unwrap(),
                None => c,
            };
            let keycap = dice.one_in(2);
            secret
                .chars()
                .flat_map(|c| if keycap && c.is_ascii_digit() { vec![c, '\u{FE0F}', '\u{20E3}'] } else { vec![circled(c)] })
                .collect()
        }
        (Kind::Address, 0) => secret.to_uppercase(),
        (Kind::Address, 1) => secret.replace('@', dice.of(&["＠", " @ ", "@ ", "\u{200B}@"])),
        (Kind::Name, 0) => secret.to_uppercase(),
        (Kind::Name, 1) => {
            use unicode_normalization::UnicodeNormalization;
            secret.nfd().collect()
        }
        (Kind::Name, 2) => secret.replace(' ', dice.of(&["\n", "\u{A0}", "  ", "_", "+"])),
        (Kind::Passkey, 0) => secret.to_uppercase(),
        (Kind::Passkey, 1) => secret.replace('-', dice.of(&["", " ", ".", "\u{2011}"])),
        _ => secret.to_owned(),
    }
}

/// What nobody sees, or a program resolves.
fn disguised(secret: &str, dice: &mut Dice) -> String {
    let between = |sign: &str, dice: &mut Dice| {
        let at = 1 + dice.below(secret.chars().count().saturating_sub(1).max(1));
        secret.chars().enumerate().map(|(n, c)| if n == at { format!("{sign}{c}") } else { c.to_string() }).collect::<String>()
    };
    let each_byte = |make: fn(u8) -> String| secret.bytes().map(make).collect::<String>();
    let each_char = |make: fn(char) -> String| secret.chars().map(make).collect::<String>();
    let in_pieces = |text: &str, dice: &mut Dice| {
        let whole = data_encoding::BASE64_NOPAD.encode(text.as_bytes());
        // What has signs in it, has others between its pieces.
        let signs = if whole.contains(['+', '/']) { 0 } else { 2 };
        let sign = [" ", "\n", "<b></b>", "<wbr>", ".", ", ", "=\n", " - ", "/"][dice.below(7 + signs)].to_owned();
        let (every, first) = (3 + dice.below(5), 1 + dice.below(6));
        let mut out = String::new();
        for (at, c) in whole.char_indices() {
            if at >= first && (at - first).is_multiple_of(every) {
                out.push_str(&sign);
            }
            out.push(c);
        }
        out
    };
    match dice.below(20) {
        0 => between("\u{AD}", dice),
        1 => between("\u{200B}", dice),
        2 => between("\u{2060}", dice),
        3 => each_char(|c| format!("&#{};", u32::from(c))),
        4 => each_char(|c| format!("&#x{:x};", u32::from(c))),
        5 => each_char(|c| format!("&amp;#{};", u32::from(c))),
        6 => between("&shy;", dice),
        7 => each_byte(|b| format!("%{b:02X}")),
        8 => each_byte(|b| format!("%25{b:02x}")),
        9 => each_byte(|b| format!("={b:02X}")),
        10 => data_encoding::BASE64.encode(secret.as_bytes()),
        11 => data_encoding::BASE64URL_NOPAD.encode(secret.as_bytes()),
        12 => between("<b></b>", dice),
        13 => between("<!-- x -->", dice),
        14 => secret.chars().map(|c| if c.is_ascii_graphic() { char::from_u32(u32::from(c) + 0xFEE0).unwrap() } else { c }).collect(),
        15 => in_pieces(secret, dice),
        16 => format!("<i title=\"{}\"></i>", between(dice.of(&["&lt;b&gt;", "<b>", "<b></b>", "&lt;i&gt;&lt;/i&gt;"]), dice)),
        17 => format!("<p srcdoc=\"{}\">", between("&lt;b&gt;", dice)),
        18 => format!("<a href='data:text/html;base64,{}'>", data_encoding::BASE64.encode(between("<b></b>", dice).as_bytes())),
        _ => secret.to_owned(),
    }
}

/// A number as it is written at home and abroad: what the source has, and what the message would show.
fn number(dice: &mut Dice) -> (String, String) {
    let (code, trunk, national) = match dice.below(5) {
        0 => ("1", "", format!("312555{}", dice.digits(4))),
        1 => ("44", "0", format!("207946{}", dice.digits(4))),
        2 => ("33", "0", format!("6123{}", dice.digits(5))),
        3 => ("47", "", format!("412{}", dice.digits(5))),
        _ => ("61", "0", format!("4915{}", dice.digits(5))),
    };
    let (head, tail) = national.split_at(3);
    let forms = [
        format!("+{code}{national}"),
        format!("+{code} {head} {tail}"),
        format!("{trunk}{national}"),
        format!("{trunk}{head}-{tail}"),
        format!("({trunk}{head}) {tail}"),
        format!("00{code} {head} {tail}"),
        format!("+{code} (0){head} {tail}"),
    ];
    let source = if dice.one_in(2) { format!("+{code}{national}") } else { format!("{trunk}{national}") };
    (source, forms[dice.below(forms.len())].clone())
}

/// A session of four, with a secret of somebody in it; what is to be hidden.
fn secret(session: &mut Session, renderer: &Renderer, dice: &mut Dice) -> (Kind, String) {
    let whose = &mut session.participants[2];
    match dice.below(9) {
        0 => {
            let code = dice.code();
            whose.code = ConnectCode::parse(&code);
            (Kind::Code, code)
        }
        1 => {
            // Of another session.
            let code = dice.code();
            let mut other = super::sample();
            other.id = SessionId(200);
            other.participants[1].code = ConnectCode::parse(&code);
            other.participants[1].id = ParticipationId(2002);
            renderer.live_codes().put("other", &[other], session.start - TimeDelta::days(1));
            (Kind::Code, code)
        }
        2 => {
            let (code, (source, number)) = (dice.code(), number(dice));
            let (email, name) = (format!("faulty{}@example.org", dice.digits(3)), "Fay Faulty".to_owned());
            session.unread = vec![Unread {
                id: Some(ParticipationId(18999)),
                code: ConnectCode::parse(&code),
                passkey: None,
                email: RawContact(email.clone()),
                sms_number: RawContact(source),
                name: Some(PersonName::clean(&name)),
            }];
            [(Kind::Code, code), (Kind::Number, number), (Kind::Address, email), (Kind::Name, name)][dice.below(4)].clone()
        }
        3 | 4 => {
            let all = [
                format!("rc{}@anotheremail.com", dice.digits(3)),
                format!("o'brien+{}@mail.example.org", dice.digits(2)),
                format!("pat{}@bücher.example", dice.digits(2)),
                format!("pat{}@xn--bcher-kva.example", dice.digits(2)),
            ];
            let address = all[dice.below(4)].clone();
            whose.email = RawContact(address.clone());
            let other_form = match dice.below(3) {
                0 => address.replace("xn--bcher-kva", "bücher"),
                1 => address.replace("bücher", "xn--bcher-kva"),
                _ => address,
            };
            (Kind::Address, other_form)
        }
        5 | 6 => {
            let (source, number) = number(dice);
            whose.sms_number = RawContact(source);
            (Kind::Number, number)
        }
        7 => {
            let name = dice.name();
            whose.name = PersonName::clean(&name);
            let (first, last) = name.split_once(' ').unwrap();
            let reversed = if name.split(' ').count() == 2 { format!("{last}, {first}") } else { name.clone() };
            (Kind::Name, if dice.one_in(3) { reversed } else { name })
        }
        _ => {
            let all = [format!("9bff60df-2fe6-4c33-9b49-{}ab", dice.digits(10)), format!("Key{}x{}", dice.digits(3), dice.digits(4))];
            let passkey = all[dice.below(2)].clone();
            whose.passkey = Passkey::parse(&passkey).unwrap();
            (Kind::Passkey, passkey)
        }
    }
}

#[test]
fn nothing_of_anybody_else_passes_however_it_is_hidden() {
    let renderers: Vec<_> = FILES.map(showing).into();
    for n in cases() {
        let dice = &mut Dice(n);
        let at = dice.below(FILES.len());
        let renderer = &renderers[at].1;
        let mut case = Case::new(Occasion::Invite, "en-US");
        case.sms = FILES[at] == "invite/sms.txt";
        let (kind, plain) = secret(&mut case.session, renderer, dice);
        let spelt = spelled(kind, &plain, dice);
        let hidden = disguised(&spelt, dice);
        let (before, after) = (dice.words(), dice.words());
        let shown = format!("{before} {hidden} {after}");
        let fits = clean_line(&shown).chars().count() < 100;
        match dice.below(3) {
            // A host of that very name is another one, whom everybody meets, and so is one whose name is a part of it.
            0 if fits && !case.sms && (kind != Kind::Name || !format!("{before} {after}").split_whitespace().all(is_like_a_name)) => {
                case.session.participants[0].name = PersonName::clean(&shown);
            }
            // A name may be part of the reader's own one: a couple's.
            1 if fits && !case.sms && kind != Kind::Name => case.session.participants[1].name = PersonName::clean(&shown),
            _ => case.session.topic = shown.clone(),
        }
        let line = matches!(FILES[at], "invite/subject.txt" | "calendar/summary.txt");
        if clean_line(&shown).chars().count() > if line { 70 } else { 115 } {
            // It would be cut there: what is left is not the secret.
            continue;
        }
        let rendered = case.render(renderer);
        assert!(
            matches!(rendered, Err(RenderError::Leak { .. })),
            "case {n}: {kind:?} {plain:?}, written {spelt:?}, passed in {}: {shown:?}",
            FILES[at]
        );
    }
}

/// A word that may stand in somebody's name, or signs that add nothing to it: a host called `— Pat Doe` is called Pat Doe.
fn is_like_a_name(word: &str) -> bool {
    !word.contains(char::is_alphanumeric) || (word.starts_with(char::is_uppercase) && word.chars().all(char::is_alphabetic))
}

/// A practice like many: what it says of itself, and who comes to it.
fn innocent(dice: &mut Dice, zones: &[Resolved]) -> (Case, String) {
    let occasions = [Occasion::Invite, Occasion::Reminder, Occasion::Rescheduled, Occasion::Updated, Occasion::Cancelled];
    let mut case = Case::new(occasions[dice.below(occasions.len())], LOCALES[dice.below(LOCALES.len())]);
    case.sms = dice.one_in(3);
    case.zone = zones[dice.below(zones.len())].clone();
    let (start, said) = (case.session.start, case.session.start.format("%Y%m%d").to_string());
    let people = &mut case.session.participants;
    for person in people.iter_mut() {
        person.code = ConnectCode::parse(&dice.code());
        if dice.one_in(3) {
            person.passkey =
                Passkey::parse(dice.of(&["video", "appointment", "reminder", "join", "confirm", "9bff60df-2fe6-4c33-9b49-0123456789ab"]))
                    .unwrap();
        }
    }
    if dice.one_in(3) {
        people[0].name =
            PersonName::clean(dice.of(&["Dr. Kay of 1204 Elm Street", "Room 12, Suite 400", "Anna Maria Lopez Garcia", "Pat Doe"]));
    }
    match dice.below(10) {
        // A couple: one address and one number.
        0 => (people[2].email, people[2].sms_number) = (people[1].email.clone(), people[1].sms_number.clone()),
        // A host who is a patient, or writes the practice's number and sender into their own record.
        1 => (people[2].name, people[2].email) = (people[0].name.clone(), people[0].email.clone()),
        2 => people[0].email = RawContact("Sessions@elmstreet.example".to_owned()),
        3 => people[0].sms_number = RawContact("5555550142".to_owned()),
        // Parent and child of one name; and a name within a name.
        4 => people[2].name = people[1].name.clone(),
        5 => (people[1].name, people[2].name) = (PersonName::clean("Anna Maria Lopez Garcia"), PersonName::clean("Maria Lopez")),
        // One record for two.
        6 => (people[1].name, people[2].name) = (PersonName::clean("Ann & Bob Smith"), PersonName::clean("Bob Smith")),
        // A therapist who put herself in as a participant, without her degrees.
        8 => {
            let name = dice.of(&["Mary Ann Lopez", "Anna Maria", "John Smith"]);
            people[0].name =
                PersonName::clean(&format!("{}{name}{}", dice.of(&["", "Dr. ", "Prof. Dr. "]), dice.of(&["", ", PhD", " Jr., LCSW"])));
            people[2].name = PersonName::clean(name);
        }
        // A number that is a date, or a part of one.
        7 => {
            let forms = [
                said.clone(),
                start.format("%d%m%Y").to_string(),
                start.format("%-m%d%Y").to_string(),
                format!("{said}15"),
                start.format("%Y%m%d%H").to_string(),
            ];
            people[2].sms_number = RawContact(forms[dice.below(5)].clone());
        }
        // The practice's own number and name.
        _ => (people[2].sms_number, people[2].name) = (RawContact("(312) 555-0142".to_owned()), PersonName::clean("Video Session")),
    }
    let topic = match dice.below(7) {
        0 => format!("{} Main Street, Springfield, IL 6270{}", dice.digits(4), dice.below(10)),
        1 => format!("Group of {}", start.format("%Y-%m-%d %H:%M")),
        2 => format!("Invoice {}-{}", dice.digits(4), dice.digits(3)),
        3 => "1/2, 3/4 and 100%".to_owned(),
        4 => format!("Call (312) 555-0142, room {}", dice.digits(3)),
        5 => "write to desk@elmstreet.example, or to https://elmstreet.example/visit?id=12&x=%41".to_owned(),
        _ => dice.words(),
    };
    case.session.topic.clone_from(&topic);
    (case, topic)
}

#[test]
fn nobody_is_held_who_hides_nothing() {
    // Its own number and address stand in its templates; so does whatever else it likes to say.
    let signature = "{{ session.topic }} {{ session.host_name }} Call (312) 555-0142 or +1 312 555 0143. 1204 Elm Street, IL 62701. desk@elmstreet.example. A video session, with an appointment.";
    let html = format!("<p style=\"color:#555555;padding:20px 14px 04px\"><a href=\"tel:+13125550142\">{signature}</a></p>");
    let files: Vec<(String, &str)> = LOCALES
        .iter()
        .flat_map(|locale| [(format!("{locale}/invite/body.txt"), signature), (format!("{locale}/reminder/body.html"), html.as_str())])
        .collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
    let (_dir, templates) = with_templates(&files);
    let renderer = Renderer::new(Settings { max_segments: 9, ..templates }).unwrap();
    // Everybody else's codes.
    let dice = &mut Dice(u64::MAX);
    let others: Vec<Session> = (0..200)
        .map(|n| {
            let mut other = super::sample();
            other.id = SessionId(1000 + n);
            other.code = ConnectCode::parse(&dice.code());
            other.participants.iter_mut().for_each(|p| p.code = ConnectCode::parse(&dice.code()));
            other
        })
        .collect();
    renderer.live_codes().put("other", &others, super::at("2014-04-14T12:00:00Z"));
    let zones = ["Eastern Standard Time", "Pacific Standard Time", "Tokyo Standard Time", "GMT Standard Time"].map(zone);
    for n in cases() {
        let (case, topic) = innocent(&mut Dice(n), &zones);
        let rendered = case.render(&renderer);
        let called: Vec<&str> = case.session.participants.iter().map(|p| p.name.expose()).collect();
        assert!(rendered.is_ok(), "case {n}: {:?} of {topic:?}, {called:?}: {:?}", case.occasion, rendered.err());
    }
}
