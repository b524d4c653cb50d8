//! The transport of tests: it follows a script, and notes what it was asked and what it sent.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use punctual::deliver::{PointOfNoReturn, Transport};
use punctual::message::{Content, Message};
use punctual::notice::NoticeKey;
use punctual::outcome::Outcome;

/// What becomes of one message.
#[derive(Clone)]
pub(crate) enum Answer {
    Accept,
    /// Accepts after a moment.
    Slow,
    /// "Later", before the point of no return.
    Later,
    /// The channel is at fault, and asks for a pause of so many seconds.
    Fault(Option<u64>),
    /// It takes the message, and its answer is lost.
    Lose,
    /// It says nothing, for as long as somebody waits.
    Hang,
    /// The process ends behind the point of no return.
    Die,
    /// This, before the point of no return.
    Before(Outcome),
    /// This, once it has the whole message.
    Behind(Outcome),
    /// Something happens while the connection is open; then it accepts.
    Meanwhile(Arc<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>),
}

pub(crate) fn accepted() -> Outcome {
    Outcome::Accepted { reply: "250 ok".to_owned(), reference: None }
}

/// A message that passed the point of no return.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) key: NoticeKey,
    pub(crate) to: String,
    pub(crate) reference: String,
    pub(crate) bytes: Vec<u8>,
}

/// How it answers whom.
type Answers = Box<dyn Fn(&str) -> Answer + Send>;

pub(crate) struct ScriptedTransport {
    name: &'static str,
    connections: usize,
    /// For the next messages, whoever they are for.
    script: Mutex<VecDeque<Answer>>,
    /// By recipient, when the script is over.
    answers: Mutex<Answers>,
    asked: Mutex<Vec<Asked>>,
    sent: Mutex<Vec<Sent>>,
    /// Attempts at this moment, and the most that there ever were.
    at_once: Mutex<(usize, usize)>,
    is_dead: AtomicBool,
    probed: AtomicUsize,
}

/// A message that it was asked to hand over.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) key: NoticeKey,
    pub(crate) to: String,
    pub(crate) at: Instant,
}

impl ScriptedTransport {
    /// It answers all alike.
    pub(crate) fn new(name: &'static str, connections: usize, answer: Answer) -> Arc<Self> {
        Self::by_recipient(name, connections, move |_| answer.clone())
    }

    /// It answers each recipient (an address, or a number) by itself.
    pub(crate) fn by_recipient(name: &'static str, connections: usize, answers: impl Fn(&str) -> Answer + Send + 'static) -> Arc<Self> {
        Arc::new(Self {
            name,
            connections,
            script: Mutex::default(),
            answers: Mutex::new(Box::new(answers)),
            asked: Mutex::default(),
            sent: Mutex::default(),
            at_once: Mutex::default(),
            is_dead: AtomicBool::default(),
            probed: AtomicUsize::default(),
        })
    }

    /// From here on it answers all so.
    pub(crate) fn answers(&self, answer: Answer) {
        self.answers_each(move |_| answer.clone());
    }

    pub(crate) fn answers_each(&self, answers: impl Fn(&str) -> Answer + Send + 'static) {
        *self.answers.lock().unwrap() = Box::new(answers);
    }

    /// The next messages meet these.
    pub(crate) fn script(&self, answers: impl IntoIterator<Item = Answer>) {
        *self.script.lock().unwrap() = answers.into_iter().collect();
    }

    /// Whether it says so when it is asked without a message.
    pub(crate) fn is_dead(&self, is_dead: bool) {
        self.is_dead.store(is_dead, Ordering::Relaxed);
    }

    /// How often it was asked without a message.
    pub(crate) fn probed(&self) -> usize {
        self.probed.load(Ordering::Relaxed)
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Those since the last call.
    pub(crate) fn take_asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap().clone()
    }

    pub(crate) fn most_at_once(&self) -> usize {
        self.at_once.lock().unwrap().1
    }

    async fn pass(&self, message: &Message, doubt: &dyn PointOfNoReturn) -> bool {
        let passed = doubt.pass().await;
        if passed {
            let (key, to, reference) = (message.key, recipient(message).to_owned(), message.reference.clone());
            self.sent.lock().unwrap().push(Sent { key, to, reference, bytes: message.content.bytes().to_vec() });
        }
        passed
    }
}

fn recipient(message: &Message) -> &str {
    match &message.content {
        Content::Email { to, .. } => to.expose(),
        Content::Sms { to, .. } => to.expose(),
    }
}

#[async_trait]
impl Transport for ScriptedTransport {
    fn name(&self) -> &str {
        self.name
    }

    fn concurrency(&self) -> usize {
        self.connections
    }

    async fn deliver(&self, message: &Message, doubt: &dyn PointOfNoReturn) -> Outcome {
        let to = recipient(message);
        self.asked.lock().unwrap().push(Asked { key: message.key, to: to.to_owned(), at: Instant::now() });
        let next = self.script.lock().unwrap().pop_front();
        let answer = next.unwrap_or_else(|| (self.answers.lock().unwrap())(to));
        match &answer {
            Answer::Before(outcome) => return outcome.clone(),
            Answer::Fault(seconds) => {
                return Outcome::ChannelFault { why: "421 busy".to_owned(), after: seconds.map(Duration::from_secs) };
            }
            Answer::Later => return Outcome::Retry { why: "DATA: 452 Insufficient system storage".to_owned(), after: None },
            Answer::Hang => match doubt.patience() {
                None => std::future::pending().await,
                Some(patience) => {
                    tokio::time::sleep(patience).await;
                    return Outcome::ChannelFault { why: "not ready in time".to_owned(), after: None };
                }
            },
            Answer::Slow => {
                {
                    let mut at_once = self.at_once.lock().unwrap();
                    *at_once = (at_once.0 + 1, at_once.1.max(at_once.0 + 1));
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
                self.at_once.lock().unwrap().0 -= 1;
            }
            Answer::Meanwhile(happens) => happens().await,
            Answer::Accept | Answer::Lose | Answer::Die | Answer::Behind(_) => {}
        }
        if !self.pass(message, doubt).await {
            return Outcome::Fenced;
        }
        match answer {
            Answer::Lose => Outcome::Unknown { why: "the connection was lost".to_owned() },
            Answer::Die => std::future::pending().await,
            Answer::Behind(outcome) => outcome,
            _ => accepted(),
        }
    }

    async fn probe(&self) -> Result<String, String> {
        self.probed.fetch_add(1, Ordering::Relaxed);
        if self.is_dead.load(Ordering::Relaxed) { Err("answers 503".to_owned()) } else { Ok("ready".to_owned()) }
    }
}
