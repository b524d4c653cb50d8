//! Random lives of a practice on the real engine: sources that err, servers that refuse, clocks that jump, staff who act and people who answer.
//! An oracle that knows the promises of the design and nothing of the planner looks at each message that leaves, and at what is left at the end.
//!
//! The same lives each time; PUNCTUAL_LIVES asks for another number of them, PUNCTUAL_LIVES_SEED for others, PUNCTUAL_LIFE for one alone. Some have
//! their store in a file, where a backup may be put back; with PUNCTUAL_LIVES_STORE=sqlite all of them. With the URL of an
//! empty database in it (tests/lab/with_database) all are practices there, and none puts back a backup. One that fails is made shorter as long as it fails in the same way, and told in plain words.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use chrono::TimeDelta;
use punctual::clock::Clock;

mod backup;
mod engine;
mod event;
mod left;
mod list;
mod oracle;
mod others;
mod passes;
mod people;
mod read;
mod said;
mod servers;
mod source;
mod staff;
mod store;
mod waits;
mod word;
mod world;

use event::{Deed, Dice, Event, Setup};
use servers::Mood;
use world::{Feed, World};

/// Lives in the usual run; tests/run asks for 20,000.
const LIVES: u64 = 500;
/// Attempts to make a failing life shorter.
const SHORTER: usize = 600;

/// One life: what is wrong with it, and its story if it is asked for.
fn live(setup: &Setup, events: &[Event], telling: bool) -> (Vec<String>, Vec<String>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let lived = std::panic::catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            let world = World::new(setup, telling);
            world.round().await;
            for event in events {
                world.happens(event).await;
            }
            ends_well(&world).await;
            let story = world.story.as_ref().map(|story| story.lock().unwrap().clone()).unwrap_or_default();
            let wrong = std::mem::take(&mut world.oracle.lock().unwrap().wrong);
            (wrong, story)
        })
    }));
    lived.unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
        (vec![format!("it panicked: {}", said.unwrap_or_default())], Vec::new())
    })
}

/// The world calms down, and everybody knows what is true; at last everything has ended.
async fn ends_well(world: &std::sync::Arc<World>) {
    world.notes("from here on nothing is in the way of anything");
    world.armed.lock().unwrap().clear();
    world.sources.lock().unwrap().iter_mut().for_each(|s| s.feed = Feed::Good);
    (0..world.servers.len()).for_each(|n| world.mood(n, Mood::Takes));
    for minutes in [40, 30] {
        world.round().await;
        world.pass(TimeDelta::minutes(minutes)).await;
        if world.guards().await {
            world.does(Deed::Accept).await;
        }
    }
    for hours in [3, 26] {
        world.round().await;
        world.pass(TimeDelta::hours(hours)).await;
    }
    world.costs_nothing().await;
    let (entries, omissions, now) = (world.entries().await, world.omissions().await, world.hands.now());
    world.oracle.lock().unwrap().everybody_knows(now, &entries, &omissions);
    let last = world.practice.lock().unwrap().sessions.iter().map(|s| s.start).max();
    if let Some(last) = last.filter(|last| *last > now) {
        world.pass(last - now + TimeDelta::hours(1)).await;
    }
    let since = now;
    world.pass(TimeDelta::hours(1)).await;
    let (entries, omissions, now) = (world.entries().await, world.omissions().await, world.hands.now());
    world.oracle.lock().unwrap().everybody_was_reminded(since, now, &entries, &omissions);
}

/// What is wrong with a life, without whom and when: two lives that fail in the same way have the same.
fn kind(wrong: &[String]) -> Option<String> {
    let first = wrong.first()?;
    let (whose, what) = first.split_once(": ").unwrap_or(("", first));
    let what = format!("{} {what}", whose.split(" for ").next().unwrap_or_default());
    let mut kind = String::new();
    for c in what.chars().take(90) {
        match c {
            _ if c.is_ascii_digit() && kind.ends_with('#') => {}
            _ if c.is_ascii_digit() => kind.push('#'),
            _ => kind.push(c),
        }
    }
    Some(kind)
}

/// The shortest life that fails in that way, as far as it is found.
fn shortest(setup: &Setup, events: &[Event], way: &str) -> (Setup, Vec<Event>) {
    let (mut setup, mut events) = (setup.clone(), events.to_vec());
    let mut left = SHORTER;
    let mut fails = |setup: &Setup, events: &[Event]| {
        left = left.saturating_sub(1);
        left > 0 && live(setup, events, false).0.iter().any(|w| kind(std::slice::from_ref(w)).as_deref() == Some(way))
    };
    let mut size = events.len().div_ceil(2).max(1);
    loop {
        let mut n = 0;
        while n < events.len() {
            let mut fewer = events.clone();
            fewer.drain(n..(n + size).min(fewer.len()));
            if fails(&setup, &fewer) { events = fewer } else { n += size }
        }
        if size == 1 {
            break;
        }
        size /= 2;
    }
    while setup.sessions.len() > 1 {
        let fewer = Setup { sessions: setup.sessions[..setup.sessions.len() - 1].to_vec(), ..setup.clone() };
        if fails(&fewer, &events) { setup = fewer } else { break }
    }
    for simpler in [Setup { sources: 1, ..setup.clone() }, Setup { configured: 1, ..setup.clone() }, Setup { file: false, ..setup.clone() }]
    {
        if fails(&simpler, &events) {
            setup = simpler;
        }
    }
    (setup, events)
}

fn drawn(seed: u64, life: u64) -> (Setup, Vec<Event>) {
    let mut dice = Dice::new(seed, life);
    let mut setup = event::setup(&mut dice);
    setup.file |= std::env::var("PUNCTUAL_LIVES_STORE").is_ok_and(|store| store == "sqlite");
    let events = event::events(&mut dice, setup.file);
    (setup, events)
}

/// The story of a failing life.
fn story(seed: u64, life: u64, setup: &Setup, events: &[Event], way: &str) -> String {
    let (setup, events) = shortest(setup, events, way);
    let (wrong, told) = live(&setup, &events, true);
    format!(
        "Life {life} of seed {seed} (PUNCTUAL_LIVES_SEED={seed} PUNCTUAL_LIFE={life}):\n{}\n\nWhat happened:\n  {setup:?}\n  {events:?}\n  {}",
        wrong.iter().map(|w| format!("  WRONG {w}")).collect::<Vec<_>>().join("\n"),
        told.join("\n  ")
    )
}

fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[test]
fn lives_keep_every_promise() {
    let (lives, seed) = (asked("PUNCTUAL_LIVES").unwrap_or(LIVES), asked("PUNCTUAL_LIVES_SEED").unwrap_or(1));
    let (next, failed) = (AtomicU64::new(0), Mutex::new(std::collections::BTreeMap::new()));
    let began = Instant::now();
    if let Some(one) = asked("PUNCTUAL_LIFE") {
        let (setup, events) = drawn(seed, one);
        let (wrong, told) = live(&setup, &events, true);
        if let Some(way) = kind(&wrong) {
            panic!("{}\n\nThe whole of it:\n  {}", story(seed, one, &setup, &events, &way), told.join("\n  "));
        }
        return;
    }
    // Each in one thread: panics are told by the story.
    std::panic::set_hook(Box::new(|_| {}));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let life = next.fetch_add(1, Ordering::Relaxed);
                    if life >= lives {
                        break;
                    }
                    let (setup, events) = drawn(seed, life);
                    if let Some(way) = kind(&live(&setup, &events, false).0) {
                        failed.lock().unwrap().entry(way).or_insert_with(Vec::new).push(life);
                        if asked("PUNCTUAL_LIVES_ALL").is_none() {
                            next.store(lives, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    drop(std::panic::take_hook());
    let failed = failed.into_inner().unwrap();
    println!("{lives} lives in {:.1} s", began.elapsed().as_secs_f64());
    for (way, which) in &failed {
        println!("{:6}  {way}  {:?}", which.len(), &which[..which.len().min(20)]);
    }
    if let Some((way, which)) = failed.iter().max_by_key(|(_, which)| which.len()) {
        let (setup, events) = drawn(seed, which[0]);
        panic!("{}", story(seed, which[0], &setup, &events, way));
    }
}
