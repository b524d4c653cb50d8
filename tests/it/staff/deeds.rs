//! The crawler acts: it posts each form of each page, first as somebody who may only look, then as an operator, follows where it is led, and looks at
//! what is answered.

use std::collections::{BTreeSet, VecDeque};

use punctual::clock::{Clock, WallClock};
use punctual::contact::PhoneNumber;
use punctual::feedback::reply::{AcceptedReply, Changes, ForStaff, reply_key};
use punctual::feedback::word::Word;
use punctual::session::{ParticipantRef, ParticipationId, SessionId};
use serde_json::Value;

use super::crawler::{Crawler, filled, links, of_headers, shape};
use super::roles::{For, TABLE};
use super::{Browser, Office, token_of};
use crate::push::session;

/// A form that is posted: where to, and with what.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Form {
    action: String,
    fields: Vec<(String, String)>,
}

impl Form {
    /// Those of a page, but for the search and the way out.
    fn of(page: &str) -> Vec<Self> {
        let forms = page.split("<form ").skip(1).map(|rest| rest.split("</form>").next().unwrap());
        let posted = forms.filter(|form| attribute(form, "method").as_deref() == Some("post"));
        let read = posted.map(|form| Self {
            action: attribute(form, "action").unwrap(),
            fields: form.split("<input ").skip(1).map(|input| input.split('>').next().unwrap()).filter_map(field).collect(),
        });
        read.filter(|form| !["/search", "/logout", "/login", "/password"].contains(&form.action.as_str())).collect()
    }

    /// The row of the table that it is for.
    fn route(&self) -> &'static str {
        let of_path = |path: &str| path.split('/').map(str::to_owned).collect::<Vec<_>>();
        let asked = of_path(&self.action);
        let fits = |path: &&str| {
            let row = of_path(path);
            row.len() == asked.len() && row.iter().zip(&asked).all(|(row, asked)| row.starts_with('{') || row == asked)
        };
        // `/notices/{key}/resend` before `/notices/{key}/{act}`.
        let mut rows: Vec<&str> = TABLE.iter().filter(|(method, ..)| *method == "POST").map(|(_, path, _)| *path).filter(fits).collect();
        rows.sort_by_key(|row| row.matches('{').count());
        rows.first().copied().unwrap_or_else(|| panic!("no route is {}", self.action))
    }

    /// With the token of somebody's own pages.
    fn with<'f>(&'f self, token: &'f str) -> Vec<(&'f str, &'f str)> {
        let others = self.fields.iter().filter(|(name, _)| name != "token").map(|(name, value)| (name.as_str(), value.as_str()));
        std::iter::once(("token", token)).chain(others).collect()
    }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let rest = tag.split(&format!("{name}=\"")).nth(1)?;
    Some(html_escape::decode_html_entities(rest.split('"').next()?).into_owned())
}

/// What is typed there: a reason, an address, nothing; what is hidden goes back as it came.
fn field(input: &str) -> Option<(String, String)> {
    let typed = match attribute(input, "type").as_deref() {
        Some("hidden" | "checkbox") => attribute(input, "value").unwrap_or_default(),
        Some("email") => "corrected@example.org".to_owned(),
        Some("tel") => "404-555-0199".to_owned(),
        _ => "they asked".to_owned(),
    };
    Some((attribute(input, "name")?, typed))
}

/// Something to decide for the guard, and a text to read.
async fn decisions(office: &Office, sessions: &[Value]) {
    let more: Vec<Value> = (21..=28).map(|id| session(id, 300_000_000 + id)).collect();
    assert_eq!(office.practice.list(&[sessions, &more].concat()).await.0, 200);
    assert_ne!(office.practice.list(sessions).await.1["guarded"], 0, "the guard holds what vanished");
    let about = vec![ParticipantRef { source: "front desk".to_owned(), session: SessionId(1), participation: ParticipationId(11) }];
    let for_staff = Some(ForStaff { text: "Can I come later?".to_owned(), about });
    let (key, from) = (reply_key("twilio", "", "SM1"), PhoneNumber::parse("+14045550123", "US").unwrap());
    let taken = AcceptedReply { key, from, word: Word::Other, change: Changes::Nothing, answer: None, for_staff };
    assert!(office.practice.engine.outbox().reply(WallClock.now(), taken).await.unwrap());
}

impl Crawler<'_> {
    /// Each form, by both. Afterwards each deed of the table was tried.
    pub(super) async fn deeds(&mut self, sessions: &[Value], key: &str, secrets: &[&[&str]]) {
        decisions(self.office, sessions).await;
        let (mut victor, mut jane) = (self.office.logged_in("victor").await, self.office.logged_in("jane").await);
        let victors = token_of(&victor.page("/").await.1);
        let janes = token_of(&jane.page("/").await.1);
        // A reveal comes last: it changes what the others show.
        let (reveals, mut forms): (VecDeque<Form>, VecDeque<Form>) =
            self.forms(&mut jane, key).await.into_iter().partition(|form| form.action.ends_with("/reveal"));
        // Whoever was told a moment ago has no form to be reminded by.
        let asked = vec![("reason".to_owned(), "they asked".to_owned())];
        forms.push_back(Form { action: "/sessions/3/31/remind".to_owned(), fields: asked });
        let (mut posted, mut done) = (BTreeSet::new(), BTreeSet::new());
        let mut reveals = reveals.into_iter();
        while let Some(form) = forms.pop_front().or_else(|| reveals.next()) {
            if !posted.insert((form.action.clone(), form.fields.len())) {
                continue;
            }
            let refused = victor.post(&form.action, &form.with(&victors)).await;
            assert_eq!(refused.status(), 403, "a viewer posts {}", form.action);
            self.look("victor", &form.action, &refused.text().await.unwrap(), secrets);
            // By the operator's own rules: done, or too late by now.
            let answer = jane.post(&form.action, &form.with(&janes)).await;
            let (status, headers) = (answer.status().as_u16(), of_headers(answer.headers()));
            let to = answer.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
            let text = answer.text().await.unwrap();
            assert!(matches!(status, 200 | 303 | 409), "{}: {status}, {text}", form.action);
            self.look("jane", &form.action, &format!("{headers}\n{text}"), secrets);
            done.insert(form.route());
            if let Some(to) = to.filter(|_| !form.action.ends_with("/reveal")) {
                let page = jane.page(&to).await.1;
                self.look("jane", &to, &page, secrets);
                forms.extend(Form::of(&page).into_iter().filter(|form| !form.action.ends_with("/reveal")));
            }
        }
        let deeds: BTreeSet<&str> =
            TABLE.iter().filter(|(method, _, who)| *method == "POST" && *who == For::Operators).map(|(_, path, _)| *path).collect();
        assert_eq!(done, deeds, "each deed was tried");
    }

    /// The forms of all pages.
    async fn forms(&mut self, jane: &mut Browser<'_>, key: &str) -> BTreeSet<Form> {
        let routes = TABLE.iter().filter(|(method, path, _)| *method == "GET" && !path.starts_with("/api") && !path.starts_with("/hooks"));
        let mut next: VecDeque<String> = routes.map(|(_, path, _)| filled(path, key)).collect();
        let mut seen: BTreeSet<String> = next.iter().map(|path| shape(path)).collect();
        let mut forms = BTreeSet::new();
        while let Some(path) = next.pop_front() {
            let page = jane.page(&path).await.1;
            forms.extend(Form::of(&page));
            next.extend(links(&page).into_iter().filter(|link| seen.insert(shape(link))));
        }
        forms
    }
}
