//! Relays and gateways: what they answer, in their words, at which phase; and what they take.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use async_trait::async_trait;
use punctual::contact::Channel;
use punctual::deliver::{PointOfNoReturn, Transport};
use punctual::message::{Content, Message};
use punctual::outcome::Outcome;
use punctual::suppression::Suppression;

use super::oracle::Fate;
use super::world::World;

/// How a server behaves, until it is told otherwise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Mood {
    Takes,
    /// It cannot be reached.
    Down,
    /// It says so to whoever is named: `None`, everybody. Before the dot, or after it.
    Says {
        words: usize,
        whom: Option<usize>,
        after_the_dot: bool,
    },
    /// It takes what it is given, and its answer is lost.
    LosesAnswers,
    /// So many seconds for each message.
    Slow(u64),
    /// It says nothing, until the time is out: before the dot, or after it.
    Hangs {
        after_the_dot: bool,
    },
    /// The process is killed while it speaks with this server: before the point of no return, or after it.
    Kills {
        after_the_dot: bool,
    },
}

/// Whom an answer is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    Mailbox,
    Message,
    Us,
    /// Not for ever.
    Later,
}

/// What relays say, and whom it is about.
pub(super) const RELAYS: [(&str, About); 16] = [
    ("550 5.1.1 The email account that you tried to reach does not exist", About::Mailbox),
    ("550 5.1.1 <recipient>: Recipient address rejected: User unknown in virtual mailbox table", About::Mailbox),
    ("550 5.2.1 The email account that you tried to reach is disabled", About::Mailbox),
    ("552 5.3.4 Message size exceeds fixed limit", About::Message),
    ("554 5.6.0 Message content rejected", About::Message),
    ("550 5.7.1 Sender address rejected: not owned by user", About::Us),
    ("550 Sender verify failed", About::Us),
    ("550 5.1.8 Sender address rejected: Domain not found", About::Us),
    ("554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.example.org", About::Us),
    ("550 5.7.26 This mail is unauthenticated: neither SPF nor DKIM", About::Us),
    ("550 5.4.5 Daily user sending quota exceeded", About::Us),
    ("550 5.7.1 Relaying denied", About::Us),
    ("530 5.7.0 Authentication required", About::Us),
    ("451 4.7.1 Greylisted, try again later", About::Later),
    ("452 4.2.2 The recipient's inbox is out of storage space", About::Later),
    ("421 4.3.2 Service not available, closing", About::Later),
];

/// What gateways say.
pub(super) const GATEWAYS: [(&str, About); 6] = [
    ("21211 invalid 'To' number", About::Mailbox),
    ("21610 unsubscribed recipient", About::Mailbox),
    ("401 authenticate", About::Us),
    ("402 no funds", About::Us),
    ("400 the message is too long", About::Message),
    ("408 try again", About::Later),
];

pub(super) struct Server {
    pub(super) name: &'static str,
    pub(super) channel: Channel,
    pub(super) mood: Mutex<Mood>,
    pub(super) world: Mutex<Weak<World>>,
    connections: usize,
}

impl Server {
    pub(super) fn new(name: &'static str, channel: Channel, connections: usize) -> Self {
        Self { name, channel, mood: Mutex::new(Mood::Takes), world: Mutex::default(), connections }
    }

    fn means(&self, words: usize, after_the_dot: bool) -> Outcome {
        if self.channel == Channel::Email {
            let (said, about) = RELAYS[words % RELAYS.len()];
            let _ = about;
            return super::engine::relay_says(said, after_the_dot);
        }
        let (said, about) = GATEWAYS[words % GATEWAYS.len()];
        let reply = said.to_owned();
        match about {
            About::Mailbox if said.starts_with("21610") => Outcome::Rejected { reply, remember: Some(Suppression::OptedOut) },
            About::Mailbox => Outcome::Rejected { reply, remember: Some(Suppression::Bounced) },
            About::Message => Outcome::Rejected { reply, remember: None },
            About::Us => Outcome::ChannelFault { why: reply, after: None },
            About::Later => Outcome::Retry { why: reply, after: None },
        }
    }

    pub(super) fn about(&self, words: usize) -> About {
        if self.channel == Channel::Email { RELAYS[words % RELAYS.len()].1 } else { GATEWAYS[words % GATEWAYS.len()].1 }
    }

    pub(super) fn words(&self, words: usize) -> &'static str {
        if self.channel == Channel::Email { RELAYS[words % RELAYS.len()].0 } else { GATEWAYS[words % GATEWAYS.len()].0 }
    }

    /// Past the point of no return: what leaves is looked at, and what becomes of it written down.
    async fn gives(&self, world: &Arc<World>, message: &Message, doubt: &dyn PointOfNoReturn) -> Option<usize> {
        if !doubt.pass().await {
            return None;
        }
        Some(world.left(self, message).await)
    }
}

#[async_trait]
impl Transport for Server {
    fn name(&self) -> &str {
        self.name
    }

    fn concurrency(&self) -> usize {
        self.connections
    }

    async fn deliver(&self, message: &Message, doubt: &dyn PointOfNoReturn) -> Outcome {
        let world = self.world.lock().unwrap().upgrade().expect("it lives as long as its servers");
        let mood = *self.mood.lock().unwrap();
        let letter_to = match &message.content {
            Content::Email { to, .. } => to.expose().to_lowercase(),
            Content::Sms { to, .. } => to.expose().to_owned(),
        };
        let accepted = |place: Option<usize>| match place {
            Some(place) => {
                world.ends(place, Fate::Accepted);
                Outcome::Accepted { reply: "250 2.0.0 Ok: queued".to_owned(), reference: Some(format!("id{place}")) }
            }
            None => Outcome::Fenced,
        };
        match mood {
            Mood::Down => {
                world.notes(format!("{} cannot be reached", self.name));
                Outcome::ChannelFault { why: "connect: refused".to_owned(), after: None }
            }
            Mood::Says { words, whom, after_the_dot } if whom.is_none_or(|whom| world.is_address_of(whom, &letter_to)) => {
                if after_the_dot {
                    let Some(place) = self.gives(&world, message, doubt).await else { return Outcome::Fenced };
                    world.ends(place, Fate::NotTaken);
                }
                world.refuses(self, words, &letter_to, after_the_dot);
                self.means(words, after_the_dot)
            }
            Mood::Hangs { after_the_dot: false } => {
                tokio::time::sleep(Duration::from_secs(300)).await;
                world.notes(format!("{} says nothing for five minutes", self.name));
                Outcome::Retry { why: "RCPT: no answer in time".to_owned(), after: None }
            }
            Mood::LosesAnswers | Mood::Hangs { .. } => {
                let Some(place) = self.gives(&world, message, doubt).await else { return Outcome::Fenced };
                if mood != Mood::LosesAnswers {
                    tokio::time::sleep(Duration::from_secs(600)).await;
                }
                world.ends(place, Fate::Doubt);
                Outcome::Unknown { why: "no answer to the dot".to_owned() }
            }
            Mood::Kills { after_the_dot } => {
                if after_the_dot {
                    let Some(place) = self.gives(&world, message, doubt).await else { return Outcome::Fenced };
                    world.ends(place, Fate::Doubt);
                }
                *self.mood.lock().unwrap() = Mood::Takes;
                world.kill();
                std::future::pending().await
            }
            Mood::Slow(seconds) => {
                tokio::time::sleep(Duration::from_secs(seconds / 2)).await;
                let place = self.gives(&world, message, doubt).await;
                tokio::time::sleep(Duration::from_secs(seconds.div_ceil(2))).await;
                accepted(place)
            }
            Mood::Takes | Mood::Says { .. } => accepted(self.gives(&world, message, doubt).await),
        }
    }

    async fn probe(&self) -> Result<String, String> {
        Ok("ready".to_owned())
    }
}
