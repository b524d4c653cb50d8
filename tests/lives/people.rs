//! What happens: at the practice's list, its sources and servers, on the machine, by staff, and by the people who are written to.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::TimeDelta;
use punctual::daemon::{receipts, replies};
use punctual::entry::{Entry, State};
use punctual::feedback::{DeliveryReport, Reply};
use punctual::guard::Verdict;
use punctual::notice::NoticeKey;
use punctual::outbox::Action;
use punctual::receipt::DeliveryStatus as Arrival;
use punctual::suppression::{Suppression, suppression_key};

use super::engine::{self, CONFIGURED};
use super::event::{Deed, Event, length};
use super::oracle::restored;
use super::source::name;
use super::world::{Feed, World};

/// What somebody may mean by a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Means {
    Stop,
    Start,
    Else,
}

pub(super) const WORDS: [(&str, Means); 8] = [
    ("STOP", Means::Stop),
    ("stop.", Means::Stop),
    ("Unsubscribe", Means::Stop),
    ("START", Means::Start),
    ("Y", Means::Else),
    ("N", Means::Else),
    ("HELP", Means::Else),
    ("I will be there, thank you", Means::Else),
];

impl World {
    pub(super) async fn happens(self: &Arc<Self>, event: &Event) {
        match event {
            Event::Wait(minutes) => {
                self.round().await;
                self.pass(TimeDelta::minutes(*minutes)).await;
            }
            Event::Does(deed) => self.does(*deed).await,
            Event::Meanwhile(point, deed) => {
                let mut armed = self.armed.lock().unwrap();
                if armed.len() < 4 {
                    armed.push((*point, *deed));
                }
            }
            Event::SourceIs(source, feed) => {
                let mut sources = self.sources.lock().unwrap();
                let n = *source % sources.len();
                sources[n].feed = *feed;
                self.notes(format!("{} {}", engine::name(n), feed_words(*feed)));
            }
            Event::ServerIs(server, mood) => {
                self.notes(format!("{} from now on: {mood:?}", self.servers[*server % self.servers.len()].name));
                self.mood(*server, *mood);
            }
            Event::Restart => {
                self.notes("the daemon is restarted");
                self.restart(false);
            }
            Event::Kill => {
                self.notes("the daemon is killed, and starts again");
                self.restart(true);
            }
            Event::BacksUp(bare) => self.backs_up(*bare),
            Event::PutsBack(with_mark) => self.puts_back(*with_mark).await,
            Event::Jump(minutes) => {
                self.notes(format!("the clock is set {} by {}", if *minutes < 0 { "back" } else { "forward" }, length(*minutes)));
                self.set(TimeDelta::minutes(*minutes)).await;
            }
            Event::Sleep(minutes) => {
                self.notes(format!("the machine sleeps for {}", length(*minutes)));
                tokio::time::sleep(TimeDelta::minutes(*minutes).to_std().unwrap()).await;
                self.asked.store(false, Ordering::Relaxed);
            }
            Event::Configured(n) => {
                self.notes("the configuration is another one, and the daemon is reloaded");
                self.configured.store(*n % CONFIGURED.len(), Ordering::Relaxed);
                let mut oracle = self.oracle.lock().unwrap();
                // Rules of other names are other reminders.
                let before = oracle.terms;
                oracle.terms = self.configured().terms;
                oracle.terms.rules += before.rules;
                oracle.terms.at_once = oracle.terms.at_once.max(before.at_once);
                drop(oracle);
                self.process_ends();
            }
            _ => {
                // No two things are at the same moment.
                tokio::time::sleep(Duration::from_secs(1)).await;
                self.is_listed(event);
            }
        }
    }

    /// The practice's list changes; the sources tell of it when they are asked next.
    fn is_listed(&self, event: &Event) {
        let mut practice = self.practice.lock().unwrap();
        practice.version += 1;
        let sources = self.sources.lock().unwrap().len();
        let start = |which| practice.start(which);
        match *event {
            Event::Book(home, which, channels) => {
                let start = start(which);
                if practice.sessions.len() < 8 && start > self.now() {
                    practice.book(home % sources, start, channels);
                    self.notes(format!("session {} is booked, for {}", practice.sessions.len(), start.format("%-d %b %H:%M UTC")));
                }
            }
            Event::Slips(column) => {
                practice.slip(column);
                self.notes(format!("the column {column:?} slips by one row"));
            }
            Event::Swaps(column, a, b) => {
                practice.swap(column, a, b);
                self.notes(format!("two people have each other's {column:?}"));
            }
            Event::Spelling(n) => {
                practice.sessions.iter_mut().flat_map(|s| &mut s.people).for_each(|p| p.spelling = n);
                self.notes("contacts are spelt in another way");
            }
            Event::Move(s, which) => {
                let start = start(which);
                let Some(session) = practice.session(s) else { return };
                session.start = start;
                self.notes(format!("session {} moves to {}", session.id, start.format("%-d %b %H:%M UTC")));
            }
            _ => self.is_changed(&mut practice, event, sources),
        }
    }

    fn is_changed(&self, practice: &mut super::source::Practice, event: &Event, sources: usize) {
        let said = match *event {
            Event::Status(s, status) => practice.session(s).map(|x| {
                x.status = status;
                format!("session {} is \"{status}\"", x.id)
            }),
            Event::List(s, is) => practice.session(s).map(|x| {
                x.listed = is;
                format!("session {} is {}", x.id, if is { "listed" } else { "not listed any more" })
            }),
            Event::SessionFault(s, fault) => practice.session(s).map(|x| {
                x.fault = fault;
                format!("the record of session {}: {}", x.id, fault.map_or("can be read".to_owned(), |f| format!("{f:?}")))
            }),
            // Not both: for one poll a session that went to a source which lists it twice counts as the second of the two records says.
            Event::Twice(s, is) => practice.session(s).filter(|x| !x.went).map(|x| {
                x.twice = is;
                format!("session {} stands {}", x.id, if is { "twice, with two starts" } else { "once" })
            }),
            Event::GoesTo(s, to) => practice.session(s).filter(|x| !x.twice).map(|x| {
                (x.home, x.also, x.went) = (to % sources, None, true);
                format!("session {} is listed by {}", x.id, engine::name(x.home))
            }),
            Event::Also(s, also) => practice.session(s).map(|x| {
                x.also = also.map(|(source, same)| (source % sources, same));
                format!("session {} stands in another source too: {:?}", x.id, x.also)
            }),
            Event::ListPerson(s, p, is) => practice.person(s, p).map(|x| {
                x.listed = is;
                format!("{} is {}", x.id, if is { "listed" } else { "not listed any more" })
            }),
            Event::Code(s, p, version) => practice.person(s, p).map(|x| {
                x.code = super::source::code(x.id, version);
                format!("{} has the code {}", x.id, x.code)
            }),
            Event::Address(s, p, version) => practice.person(s, p).map(|x| {
                (x.email, x.number) = (super::source::email(x.id, version), super::source::number(x.id, version));
                format!("{} has the address {} and the number {}", x.id, x.email, x.number)
            }),
            Event::Channel(s, p, channel) => practice.person(s, p).map(|x| {
                x.channel = channel;
                format!("{} is told by {channel}", x.id)
            }),
            Event::Zone(s, p, zone) => practice.person(s, p).map(|x| {
                x.zone = zone % super::source::ZONES.len();
                format!("{} is in {}", x.id, super::source::ZONES[x.zone].1)
            }),
            Event::Name(s, p, version) => practice.person(s, p).map(|x| {
                x.name = (x.id as usize + version * 16) % 64;
                format!("{} is called {}", x.id, name(x.name))
            }),
            Event::Rsvp(s, p, rsvp) => practice.person(s, p).map(|x| {
                x.rsvp = rsvp;
                format!("{} is {rsvp}", x.id)
            }),
            Event::PersonFault(s, p, fault) => practice.person(s, p).map(|x| {
                x.fault = fault;
                format!("the record of {}: {}", x.id, fault.map_or("can be read".to_owned(), |f| format!("its {f:?} is at fault")))
            }),
            _ => None,
        };
        if let Some(said) = said {
            self.notes(said);
        }
    }

    pub(super) async fn does(self: &Arc<Self>, deed: Deed) {
        match deed {
            Deed::HandOver => {
                self.hand_over().await;
            }
            Deed::Poll => self.poll_all().await,
            Deed::Cancel(n) => self.acts(n, Action::Cancel, |e| matches!(e.state, State::Waiting | State::Held | State::Unknown)).await,
            Deed::Hold(n) => self.acts(n, Action::Hold, |e| e.state == State::Waiting).await,
            Deed::Release(n) => self.acts(n, Action::Release, |e| e.state == State::Held).await,
            Deed::Accept => {
                self.notes("an operator lets pass what waits");
                self.oracle.lock().unwrap().word.decided();
                self.outbox().accept_guard(None, self.now()).await.unwrap();
            }
            Deed::Reject => {
                self.notes("an operator says that what waits is wrong");
                self.oracle.lock().unwrap().word.rejected();
                self.outbox().decide_guard(Verdict::Reject, None, None, self.now()).await.unwrap();
            }
            Deed::AsksTheLog => self.asks_the_log().await,
            Deed::Remind(n, at_night) => self.reminds(n, at_night).await,
            Deed::Resend(n, named) => self.sends_again(n, named).await,
            Deed::Suppress(n) => {
                let Some(address) = self.address_of(n) else { return };
                self.notes(format!("staff puts {address} on the list"));
                self.oracle.lock().unwrap().may_be_suppressed.insert(address.clone());
                self.outbox().suppress(self.now(), &restored(&address), Suppression::Bounced, None).await.unwrap();
                self.plan_again().await;
            }
            Deed::Unsuppress(n) => {
                let Some(address) = self.address_of(n) else { return };
                self.notes(format!("staff takes {address} off the list"));
                self.oracle.lock().unwrap().stopped.remove(&address);
                self.outbox().unsuppress(self.now(), &suppression_key(&restored(&address)), None).await.unwrap();
                self.plan_again().await;
            }
            Deed::Text(n, words) => self.writes(n, words).await,
            Deed::Receipt(n, arrived) => self.is_received(n, arrived).await,
        }
    }

    pub(super) async fn plan_again(&self) {
        let sources = self.sources.lock().unwrap().len();
        engine::plan_again(&*self.outbox(), sources, &self.configured().policy, self.now()).await;
    }

    /// The address of somebody, as the practice has it.
    fn address_of(&self, n: usize) -> Option<String> {
        let practice = self.practice.lock().unwrap();
        let people: Vec<_> = practice.sessions.iter().flat_map(|s| s.people.iter().skip(1)).collect();
        let person = people.get(n % people.len().max(1))?;
        Some(if person.channel == 'S' { person.number.clone() } else { person.email.clone() })
    }

    async fn acts(&self, n: usize, act: Action, may: impl Fn(&Entry) -> bool) {
        let entries: Vec<Entry> = self.entries().await.into_iter().filter(|e| may(e)).collect();
        let Some(entry) = entries.get(n % entries.len().max(1)) else { return };
        let key: NoticeKey = entry.notice.key;
        self.notes(format!("staff: {act:?} the {} of {}", entry.notice.occasion, entry.notice.participation));
        {
            let mut oracle = self.oracle.lock().unwrap();
            oracle.by_staff.insert(key);
            oracle.staff_acted_on.insert(entry.notice.participation.0);
        }
        self.outbox().act(&[key], act, self.now()).await.unwrap();
    }

    async fn writes(&self, n: usize, words: usize) {
        let (id, number) = {
            let practice = self.practice.lock().unwrap();
            let people: Vec<_> = practice.sessions.iter().flat_map(|s| s.people.iter().skip(1)).collect();
            let Some(person) = people.get(n % people.len().max(1)) else { return };
            (person.id, person.number.clone())
        };
        let (text, means) = WORDS[words % WORDS.len()];
        self.notes(format!("{number} writes: {text}"));
        {
            let mut oracle = self.oracle.lock().unwrap();
            // Whose number it is by the practice's list, and by what a source said of it last.
            let told_there = oracle.word.last.iter().filter(|(_, said)| said.contacts.1 == number).map(|(id, _)| *id);
            let kept_there = oracle.word.waiting.iter().filter(|(_, waits)| waits.before.contacts.1 == number).map(|(id, _)| *id);
            let whose: Vec<i64> = told_there.chain(kept_there).chain([id]).collect();
            match text {
                "N" => oracle.said_no.extend(whose),
                "Y" | "I will be there, thank you" => oracle.said_yes.extend(whose),
                _ => {}
            }
        }
        let id = format!("{} {n} {words}", self.now().timestamp_micros());
        let reply = Reply { gateway: "http", origin: String::new(), id, from: number.clone(), text: text.to_owned(), answered: false };
        if means == Means::Stop {
            self.oracle.lock().unwrap().may_be_suppressed.insert(number.clone());
        }
        let heard = replies::take(&*self.outbox(), &reply, &self.configured().policy, "en-US", self.now()).await.unwrap();
        {
            let mut oracle = self.oracle.lock().unwrap();
            match means {
                Means::Stop => drop(oracle.stopped.insert(number)),
                Means::Start => drop(oracle.stopped.remove(&number)),
                Means::Else => {}
            }
        }
        if heard.replans {
            self.plan_again().await;
        }
    }

    async fn is_received(&self, n: usize, arrived: bool) {
        let found = { self.ids.lock().unwrap().iter().nth(n).map(|(id, place)| (id.clone(), *place)) };
        let Some((id, place)) = found else { return };
        {
            let mut oracle = self.oracle.lock().unwrap();
            let key = oracle.told[place].key;
            if !oracle.told[place].letter.by_text {
                return;
            }
            if !arrived {
                oracle.not_arrived.insert(key);
            }
        }
        self.notes(format!("a receipt of {id}: {}", if arrived { "delivered" } else { "not delivered" }));
        let status = if arrived { Arrival::Delivered } else { Arrival::Undelivered };
        let report = DeliveryReport { reference: Some(id), ours: None, status, detail: None, remember: None, recipient: None };
        receipts::take(&*self.outbox(), report, self.now()).await.unwrap();
    }
}

fn feed_words(feed: Feed) -> String {
    match feed {
        Feed::Good => "says what is".to_owned(),
        Feed::Empty => "says nothing at all: an empty list".to_owned(),
        Feed::Part(n) => format!("can be read in part: its first {n} records"),
        Feed::Silent => "cannot be read".to_owned(),
        Feed::Late(n) => format!("says what it said {n} lists ago"),
    }
}
