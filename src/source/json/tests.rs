use super::*;
use crate::contact::Channel;
use crate::session::Standing;
use proptest::prelude::*;

const EXAMPLE: &str = include_str!("../../../tests/fixtures/sessions.json");

fn one(json: &str) -> Session {
    let mut snapshot = parse(json.as_bytes()).unwrap();
    assert_eq!(snapshot.faults, []);
    snapshot.sessions.pop().unwrap()
}

/// A session with one host and one participant whose fields are these.
fn with(fields: &str) -> String {
    let host = r#"{"ParticipationId":1,"ShouldAutoDeliverCode":"N"}"#;
    let person = r#"{"ParticipationId":2,"ShouldAutoDeliverCode":"E""#;
    let fields = if fields.is_empty() { String::new() } else { format!(",{fields}") };
    format!(r#"[{{"SessionId":7,"ScheduleTs":"2026-11-26T15:00:00","Participants":[{host},{person}{fields}}}]}}]"#)
}

fn person(fields: &str) -> Result<Participant, Fault> {
    let mut session = one(&with(fields));
    session.faults.pop().map_or_else(|| Ok(session.participants.pop().unwrap()), Err)
}

#[test]
fn the_vendors_example_is_read_whole() {
    let snapshot = parse(EXAMPLE.as_bytes()).unwrap();
    assert_eq!((snapshot.sessions.len(), snapshot.faults.len()), (3, 0));
    let [first, second, third] = &snapshot.sessions[..] else { panic!("three sessions") };
    assert_eq!((first.id, first.participants.len(), first.code.is_some()), (SessionId(9636), 2, true));
    assert_eq!((second.code.is_some(), second.participants[2].auto_deliver), (false, AutoDeliver::Nobody));
    assert_eq!(third.start.to_rfc3339(), "2014-04-17T20:30:00+00:00");
    assert!(snapshot.sessions.iter().all(|s| s.faults.is_empty() && s.participants[0].role == Role::Host));
    let ray = &third.participants[1];
    assert_eq!((ray.deposit, ray.code.map(ConnectCode::expose)), (Some(Decimal::new(2000, 2)), Some("347409115".to_owned())));
    assert_eq!((third.participants[3].auto_deliver, third.participants[3].rsvp), (AutoDeliver::Sms, Rsvp::Confirmed));
    assert_eq!(Channel::Sms.as_str(), "sms");
}

#[test]
fn only_the_key_fields_are_needed() {
    let session = one(
        r#"{"SessionId":"9636","ScheduleTs":"2014-04-16T15:00:00","Participants":[{"ParticipationId":"18619","ShouldAutoDeliverCode":"E"}]}"#,
    );
    assert_eq!((session.id.0, session.participants[0].id.0), (9636, 18619));
    assert_eq!(session.participants[0].path, "Participants[0]");
    for (key, path) in [
        ("SessionId", "[0].SessionId"),
        ("ScheduleTs", "[0].ScheduleTs"),
        ("Participants", "[0].Participants"),
        ("ParticipationId", "[0].Participants[0].ParticipationId"),
        ("ShouldAutoDeliverCode", "[0].Participants[0].ShouldAutoDeliverCode"),
    ] {
        for broken in
            [with("").replacen(key, "Other", 1), with("").replacen(&format!("\"{key}\":"), &format!("\"{key}\":null,\"Other\":"), 1)]
        {
            let snapshot = parse(broken.as_bytes()).unwrap();
            let faults: Vec<&Fault> = snapshot.faults.iter().chain(snapshot.sessions.iter().flat_map(|s| &s.faults)).collect();
            assert_eq!(faults.len(), 1, "{broken}");
            assert_eq!(faults[0].path, path);
            assert!(faults[0].reason.starts_with("is missing; expected "), "{}", faults[0].reason);
        }
        if key.ends_with("Id") {
            // What an exporter writes that has no number.
            let number = if key == "SessionId" { "7" } else { "1" };
            for zero in ["0", "\"0\"", "\"000\"", "-1"] {
                let snapshot =
                    parse(with("").replacen(&format!("\"{key}\":{number}"), &format!("\"{key}\":{zero}"), 1).as_bytes()).unwrap();
                let faults: Vec<&Fault> = snapshot.faults.iter().chain(snapshot.sessions.iter().flat_map(|s| &s.faults)).collect();
                assert_eq!(faults.iter().map(|f| f.path.as_str()).collect::<Vec<_>>(), [path], "{key} {zero}");
            }
        }
    }
}

#[test]
fn starts() {
    for (written, start) in [
        ("2014-04-16T15:00:00", "2014-04-16T15:00:00Z"),
        ("2014-04-16T15:00:00Z", "2014-04-16T15:00:00Z"),
        ("2014-04-16T11:00:00-04:00", "2014-04-16T15:00:00Z"),
        ("2014-04-16T15:07:00", "2014-04-16T15:07:00Z"),
        ("2014-04-16T15:00:09", "2014-04-16T15:00:09Z"),
        ("2014-04-16T15:00:00.5", "2014-04-16T15:00:00Z"),
        ("2199-12-31T23:59:00", "2199-12-31T23:59:00Z"),
    ] {
        let session = one(&with("").replace("2026-11-26T15:00:00", written));
        assert_eq!(session.start, start.parse::<DateTime<Utc>>().unwrap(), "{written}");
    }
    for written in [
        "2014-04-16",
        "2014-04-16 15:00",
        "2014-02-30T15:00:00",
        "2014-04-16T15:00:60",
        "1969-12-31T23:59:00",
        "1970-01-01T00:00:00",
        "9999-12-31T23:59:59",
        "4/16/2014 3:00 PM",
        "",
    ] {
        let snapshot = parse(with("").replace("2026-11-26T15:00:00", written).as_bytes()).unwrap();
        assert_eq!(snapshot.faults[0].path, "[0].ScheduleTs", "{written}");
        assert_eq!(snapshot.faults[0].session, Some(SessionId(7)));
    }
}

#[test]
fn fields_of_a_participant() {
    let code = |written: &str| person(&format!(r#""ConnectCode":{written}"#)).map(|p| p.code.map(ConnectCode::expose));
    for (written, nine) in
        [("701678455", "701678455"), ("\"701678455\"", "701678455"), ("12345678", "012345678"), ("\"012345678\"", "012345678")]
    {
        assert_eq!(code(written), Ok(Some(nine.to_owned())));
    }
    assert_eq!(code("null"), Ok(None));
    for written in [
        "0",
        "-701678455",
        "7016784551",
        "701678455.0",
        "7e8",
        "\"\"",
        "\"70167845x\"",
        "true",
        "[701678455]",
        "{}",
        "99999999999999999999",
    ] {
        let fault = code(written).unwrap_err();
        assert_eq!((fault.path.as_str(), fault.participation), ("[0].Participants[1].ConnectCode", Some(ParticipationId(2))), "{written}");
        assert!(!fault.reason.contains("70167845"), "{}", fault.reason);
    }
    let deposit = |written: &str| person(&format!(r#""DepositRequired":{written}"#)).map(|p| p.deposit.map(|d| d.to_string()));
    for (written, want) in [("20.00", Some("20.00")), ("\"7.5\"", Some("7.5")), ("0.1", Some("0.1")), ("null", None)] {
        assert_eq!(deposit(written), Ok(want.map(str::to_owned)));
    }
    assert!(deposit("-1").is_err() && deposit("\"much\"").is_err());
    for (fields, path) in [
        (r#""ParticipantFullName":17"#, "ParticipantFullName"),
        (r#""ParticipantEmailAddress":["a@example.com"]"#, "ParticipantEmailAddress"),
        (r#""ParticipantSmsNumber":4045550133"#, "ParticipantSmsNumber"),
        (r#""Passkey":"<script>""#, "Passkey"),
        (r#""ExpiresTs":"soon""#, "ExpiresTs"),
        (r#""ConnectCode":701678455,"ConnectCode":701678456"#, "ConnectCode"),
    ] {
        assert_eq!(person(fields).unwrap_err().path, format!("[0].Participants[1].{path}"));
    }
    assert_eq!(person(r#""RSVP":"Declined""#).unwrap().rsvp, Rsvp::Declined);
    for (key, values) in [
        ("Passkey", &["\"\"", "null"][..]),
        ("DepositRequired", &["\"\"", "\" \"", "null"]),
        ("ConnectionTs", &["\"\"", "null", "\"0001-01-01T00:00:00\"", "\"0001-01-01T00:00:00Z\""]),
        ("ExpiresTs", &["\"\"", "null", "\"0001-01-01T00:00:00\""]),
    ] {
        for unset in values {
            let read = person(&format!(r#""{key}":{unset}"#)).unwrap();
            let of_it = (read.passkey.is_none(), read.deposit, read.connected_at, read.expires_at);
            assert_eq!(of_it, (true, None, None, None), "{key}: {unset}");
        }
    }
    for word in ["\"e\"", "\"X\"", "\"\"", "1"] {
        let json = with("").replace(r#""ShouldAutoDeliverCode":"E""#, &format!(r#""ShouldAutoDeliverCode":{word}"#));
        assert_eq!(one(&json).faults[0].path, "[0].Participants[1].ShouldAutoDeliverCode", "{word}");
    }
}

#[test]
fn an_answer_that_nobody_understands_is_a_fault_and_stops_only_reminders() {
    for (written, shown) in [(r#""Maybe""#, true), ("7", false), (r#""Trevor Ohm 404-555-0133""#, false)] {
        let session = one(&with(&format!(r#""RSVP":{written}"#)));
        let person = &session.participants[1];
        assert_eq!((person.rsvp, person.rsvp_unknown), (Rsvp::Unknown, true), "{written}");
        let fault = &session.faults[0];
        assert_eq!((fault.path.as_str(), fault.participation), ("[0].Participants[1].RSVP", Some(ParticipationId(2))));
        assert_eq!(fault.reason.contains("Maybe"), shown, "{}", fault.reason);
        assert!(fault.is_word() && !fault.reason.contains("Trevor"), "{}", fault.reason);
    }
    for written in ["null", r#""""#, r#""tentative""#, r#""ACCEPTED""#] {
        assert!(person(&format!(r#""RSVP":{written}"#)).is_ok_and(|p| !p.rsvp_unknown), "{written}");
    }
    let fault = person(r#""RSVP":"Yes","RSVP":"No""#).unwrap_err();
    assert!(!fault.is_word(), "whoever has two answers cannot be read: {fault}");
}

#[test]
fn a_session_stands_as_its_word_says() {
    for (written, cancelled, standing) in [
        ("null", false, Standing::Live),
        (r#""Rescheduled""#, false, Standing::Live),
        (r#""CANCELED""#, true, Standing::Live),
        (r#""No Show""#, false, Standing::Over),
        (r#""On Hold""#, false, Standing::Unknown),
        ("3", false, Standing::Unknown),
        ("true", false, Standing::Unknown),
    ] {
        let session = one(&format!(r#"[{{"SessionId":7,"ScheduleTs":"2026-11-26T15:00:00","ScheduleType":{written},"Participants":[]}}]"#));
        assert_eq!((session.cancelled, session.standing), (cancelled, standing), "{written}");
    }
}

#[test]
fn one_bad_record_never_stops_another() {
    let bad = r#"{"SessionId":9,"ScheduleTs":"never","Participants":[]}"#;
    let json = format!(
        "[{},{bad},17,null,{}]",
        &with("")[1..with("").len() - 1],
        r#"{"SessionId":8,"ScheduleTs":"2026-11-26T15:00:00","Participants":[]}"#
    );
    let snapshot = parse(json.as_bytes()).unwrap();
    assert_eq!(snapshot.sessions.iter().map(|s| s.id.0).collect::<Vec<_>>(), [7, 8]);
    assert_eq!(snapshot.faults.iter().map(|f| f.path.as_str()).collect::<Vec<_>>(), ["[1].ScheduleTs", "[2]", "[3]"]);
}

#[test]
fn names_are_data() {
    let name = |written: &str| person(&format!(r#""ParticipantFullName":"{written}""#)).map(|p| p.name.expose().to_owned());
    assert_eq!(name(r"Eve\r\nBcc: x@example.com").unwrap(), "Eve Bcc: x@example.com");
    assert_eq!(name(r"\u202eTrevor").unwrap(), "Trevor");
    assert_eq!(name("<script>{{ 7*7 }}").unwrap(), "<script>{{ 7*7 }}");
    let fault = name(r"half \ud800").unwrap_err();
    assert_eq!(fault.path, "[0].Participants[1].ParticipantFullName");
    assert!(fault.reason.contains("surrogate"), "{}", fault.reason);
}

#[test]
fn bodies_that_are_no_session_json_are_refused_whole() {
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let snapshot = parse(deep.as_bytes()).unwrap();
    assert_eq!((snapshot.sessions.len(), snapshot.faults[0].path.as_str()), (0, "[0]"));
    let unclosed = "[".repeat(100_000);
    let big = vec![b' '; BODY_MAX + 1];
    let truncated = &EXAMPLE[..EXAMPLE.len() / 2];
    for (body, words) in [
        (&b""[..], "empty"),
        (b"  \r\n", "empty"),
        (b"<html>", "HTML"),
        (b"sessions", "neither"),
        (b"{\"Message\":\"User not found\"}", "error message"),
        (b"{}", "no session"),
        (b"[{\"SessionId\": 1,}]", "line 1, column 18"),
        (b"[1]\x00", "not JSON"),
        (b"[\"\xff\"]", "not UTF-8: byte 2"),
        (b"\xff\xfe[\x00", "UTF-16"),
        (b"{\"ZoomMeetingId: 260326794,\n\"SessionId\": 1}", "line 1, column 27"),
        (unclosed.as_bytes(), "ends too early"),
        (truncated.as_bytes(), "ends too early"),
        (&big, "32 MiB"),
    ] {
        let refusal = parse(body).expect_err("refused").to_string();
        assert!(refusal.contains(words), "{words}: {refusal}");
    }
    assert!(parse(&[b"\xEF\xBB\xBF", EXAMPLE.as_bytes()].concat()).is_ok(), "a byte order mark is no harm");
    let nested = with(&format!(r#""Notes":{deep}"#));
    assert_eq!(one(&nested).participants.len(), 2, "an unknown field may be as deep as it likes");
}

#[test]
fn another_layout_is_no_change() {
    let pretty = EXAMPLE.replace('\n', "\r\n").replace("\": ", "\" :   ");
    let records = |text: &str| parse(text.as_bytes()).unwrap().sessions.into_iter().map(|s| s.record).collect::<Vec<_>>();
    let bare = |text: &str| records(text).iter().map(|record| without_layout(&record.text).into_owned()).collect::<Vec<_>>();
    assert_eq!(bare(EXAMPLE), bare(&pretty));
    for text in [EXAMPLE, &pretty] {
        assert!(records(text).iter().all(|record| text.contains(&record.text)), "byte for byte");
    }
    assert_eq!(without_layout(r#"{ "a b" : "c \" d\\" , "e":[ 1, 2 ] }"#), r#"{"a b":"c \" d\\","e":[1,2]}"#);
    let again = parse(records(EXAMPLE)[0].text.as_bytes()).unwrap();
    assert_eq!(again.sessions[0].record, records(EXAMPLE)[0]);
}

#[test]
fn too_many_participants_and_too_long_strings() {
    let people = vec![r#"{"ParticipationId":1,"ShouldAutoDeliverCode":"N"}"#; PARTICIPANTS_MAX + 1].join(",");
    let json = format!(r#"[{{"SessionId":1,"ScheduleTs":"2026-11-26T15:00:00","Participants":[{people}]}}]"#);
    assert!(parse(json.as_bytes()).unwrap().faults[0].reason.contains("501 participants"));
    let fault = person(&format!(r#""ParticipantFullName":"{}""#, "x".repeat(70_000))).unwrap_err();
    assert!(fault.reason.contains("65536"), "{}", fault.reason);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse(&bytes);
    }

    /// A valid body with some bytes changed is read or refused, and never loses a session without saying so.
    #[test]
    fn a_mutated_body_accounts_for_every_record(at in 0..EXAMPLE.len(), to in any::<char>()) {
        let at = (0..=at).rev().find(|i| EXAMPLE.is_char_boundary(*i)).unwrap();
        let end = (at + 1..=EXAMPLE.len()).find(|i| EXAMPLE.is_char_boundary(*i)).unwrap();
        let mutated = format!("{}{to}{}", &EXAMPLE[..at], &EXAMPLE[end..]);
        if let Ok(snapshot) = parse(mutated.as_bytes()) {
            let people: usize = snapshot.sessions.iter().map(|s| s.participants.len() + s.faults.len()).sum();
            prop_assert!(snapshot.sessions.len() + snapshot.faults.len() >= 2);
            prop_assert!(people + 4 * snapshot.faults.len() >= 5);
        }
    }
}
