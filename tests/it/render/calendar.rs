//! The calendar part: what it asks for, of whom, and that nothing can break out of a line.

use chrono::TimeDelta;
use mailparse::MailHeaderMap;
use punctual::contact::PersonName;
use punctual::notice::Occasion;
use punctual::render::{Renderer, Settings};

use super::{Case, at, bytes, settings};

/// The MIME method, and the calendar's lines, unfolded.
fn calendar(case: &Case, settings: Settings) -> (String, Vec<String>) {
    let rendered = case.render(&Renderer::new(settings).unwrap()).unwrap();
    let mail = mailparse::parse_mail(bytes(&rendered)).unwrap();
    let part = mail.subparts.iter().find(|p| p.ctype.mimetype == "text/calendar").unwrap();
    assert_eq!(part.get_headers().get_all_values("Content-Type").len(), 1);
    let body = part.get_body().unwrap();
    assert!(body.trim_end_matches("\r\n").split("\r\n").all(|line| line.len() <= 75 && !line.contains(['\r', '\n'])), "{body}");
    let lines = body.replace("\r\n ", "").trim_end().split("\r\n").map(str::to_owned).collect();
    (part.ctype.params["method"].clone(), lines)
}

/// The lines of that property, name and parameters included.
fn lines<'a>(calendar: &'a [String], key: &str) -> Vec<&'a str> {
    calendar.iter().filter(|l| l.starts_with(&format!("{key}:")) || l.starts_with(&format!("{key};"))).map(String::as_str).collect()
}

#[test]
fn a_request_for_one_person() {
    let (method, found) = calendar(&Case::new(Occasion::Invite, "en-US"), settings());
    assert_eq!(method, "REQUEST");
    for (key, line) in [
        ("METHOD", "METHOD:REQUEST"),
        ("VERSION", "VERSION:2.0"),
        ("DTSTART", "DTSTART:20140416T150000Z"),
        ("DTEND", "DTEND:20140416T155000Z"),
        ("DTSTAMP", "DTSTAMP:20140414T120000Z"),
        ("SEQUENCE", "SEQUENCE:0"),
        ("STATUS", "STATUS:CONFIRMED"),
        ("SUMMARY", "SUMMARY:Video session (Elm Street Counseling)"),
        ("URL", "URL:https://hub.securevideo.com/Pass/Join/378174671"),
        ("ORGANIZER", "ORGANIZER;CN=\"Elm Street Counseling\":mailto:sessions@elmstreet.example"),
        (
            "ATTENDEE",
            "ATTENDEE;CN=\"Trevor\";CUTYPE=INDIVIDUAL;PARTSTAT=NEEDS-ACTION;ROLE=REQ-PARTICIPANT;RSVP=FALSE:mailto:trevor@geemail.com",
        ),
    ] {
        assert_eq!(lines(&found, key), [line]);
    }
    for once in ["BEGIN:VCALENDAR", "END:VCALENDAR", "BEGIN:VEVENT", "END:VEVENT"] {
        assert_eq!(found.iter().filter(|l| *l == once).count(), 1);
    }
    assert_eq!(lines(&found, "PRODID").len(), 1);
    let text = found.join("\n");
    for stranger in ["MacGuffin", "Chalk", "mccoy", "anotheremail", "Topic"] {
        assert!(!text.contains(stranger), "{text}");
    }
}

#[test]
fn a_cancellation_takes_the_same_entry_out() {
    let (_, invited) = calendar(&Case::new(Occasion::Invite, "en-US"), settings());
    let (method, found) = calendar(&Case::new(Occasion::Cancelled, "en-US"), settings());
    assert_eq!(method, "CANCEL");
    assert_eq!(lines(&found, "METHOD"), ["METHOD:CANCEL"]);
    assert_eq!(lines(&found, "STATUS"), ["STATUS:CANCELLED"]);
    assert_eq!(lines(&found, "SEQUENCE"), ["SEQUENCE:1"]);
    assert_eq!(lines(&found, "UID"), lines(&invited, "UID"));
    assert_eq!(lines(&found, "ORGANIZER"), lines(&invited, "ORGANIZER"));
    assert!(lines(&found, "URL").is_empty());
}

#[test]
fn an_entry_is_one_persons_and_shows_no_id() {
    let (_, trevor) = calendar(&Case::new(Occasion::Invite, "en-US"), settings());
    let (_, ray) = calendar(&Case { participant: 18784, ..Case::new(Occasion::Invite, "en-US") }, settings());
    let (_, moved) = calendar(&Case { now: at("2014-04-15T09:00:00Z"), ..Case::new(Occasion::Rescheduled, "fr-CA") }, settings());
    assert_ne!(lines(&trevor, "UID"), lines(&ray, "UID"));
    assert_eq!(lines(&trevor, "UID"), lines(&moved, "UID"));
    let (_, elsewhere) = calendar(&Case::new(Occasion::Invite, "en-US"), Settings { reference_key: [8; 32], ..settings() });
    assert_ne!(lines(&trevor, "UID"), lines(&elsewhere, "UID"));
    assert!(!lines(&trevor, "UID")[0].contains("18620") && !lines(&trevor, "UID")[0].contains("9636"));
}

#[test]
fn the_planned_length_is_used_where_it_is_known() {
    let mut case = Case::new(Occasion::Invite, "en-US");
    case.session.duration = Some(TimeDelta::minutes(25));
    assert_eq!(lines(&calendar(&case, settings()).1, "DTEND"), ["DTEND:20140416T152500Z"]);
}

#[test]
fn nothing_breaks_out_of_a_line() {
    let mut case = Case::new(Occasion::Invite, "en-US");
    case.session.participants[1].name = PersonName::clean("Eve\r\nATTENDEE:mailto:x@example.com\";X=\"1;,:\\n 👩🏽‍🚀");
    let name = "Practice; of, many \\ signs\nEND:VEVENT ".repeat(4);
    let (_, found) = calendar(&case, Settings { practice_name: name.clone(), from_name: name, ..settings() });
    assert_eq!(lines(&found, "ATTENDEE").len(), 1);
    assert_eq!(found.iter().filter(|l| *l == "END:VEVENT").count(), 1);
    let summary = lines(&found, "SUMMARY")[0];
    assert!(summary.contains("Practice\\; of\\, many \\\\ signs END:VEVENT"), "{summary}");
    let attendee = lines(&found, "ATTENDEE")[0];
    assert_eq!(attendee.matches('"').count(), 2, "{attendee}");
}

/// `[email] calendar_code = false`: a calendar is shared, or lies open on a locked screen. No template puts them in.
#[test]
fn an_entry_without_code_and_link() {
    let folder = tempfile::tempdir().unwrap();
    let below = folder.path().join("en-US/calendar");
    std::fs::create_dir_all(&below).unwrap();
    std::fs::write(below.join("description.txt"), "{{ recipient.code }} or {{ recipient.join_url }} with {{ practice.name }}").unwrap();
    for template_dir in [None, Some(folder.path().to_path_buf())] {
        for locale in ["en-US", "es-US", "fr-CA"] {
            let case = Case::new(Occasion::Invite, locale);
            let holds = |calendar_code| {
                let (method, found) = calendar(&case, Settings { calendar_code, template_dir: template_dir.clone(), ..settings() });
                assert_eq!((method.as_str(), lines(&found, "SUMMARY").len()), ("REQUEST", 1));
                ["378174671", "378-174-671", "378 174 671", "securevideo"].iter().filter(|code| found.join("\n").contains(*code)).count()
            };
            assert_eq!(holds(false), 0, "{locale}");
            assert!(holds(true) > 0, "{locale}");
        }
    }
    // The letter itself has them.
    let rendered =
        Case::new(Occasion::Invite, "en-US").render(&Renderer::new(Settings { calendar_code: false, ..settings() }).unwrap()).unwrap();
    assert!(String::from_utf8_lossy(bytes(&rendered)).contains("378-174-671"));
}
