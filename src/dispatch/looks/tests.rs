use chrono::{DateTime, TimeDelta, Utc};

use super::*;

/// Wall clock, uptime and time awake, in seconds.
struct Clocks(Mutex<(i64, i64, i64)>);

impl Clock for Clocks {
    fn now(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(1_800_000_000 + self.0.lock().unwrap().0)
    }

    fn uptime(&self) -> Option<TimeDelta> {
        Some(TimeDelta::seconds(self.0.lock().unwrap().1))
    }

    fn awake(&self) -> Option<TimeDelta> {
        Some(TimeDelta::seconds(self.0.lock().unwrap().2))
    }
}

fn practice(sources: &[&str]) -> (Arc<Clocks>, Arc<Looks>) {
    let clocks = Arc::new(Clocks(Mutex::new((0, 0, 0))));
    let looks = Looks::new(Arc::clone(&clocks) as Arc<dyn Clock>, sources.iter().map(|&s| s.to_owned()).collect());
    (clocks, Arc::new(looks))
}

fn ask(looks: &Looks, sources: &[&str]) {
    sources.iter().for_each(|source| looks.end_of(source, looks.begin()));
}

#[test]
fn nothing_leaves_before_each_source_was_asked() {
    let (_, looks) = practice(&["a", "b"]);
    assert!(!looks.are_done());
    ask(&looks, &["a", "a"]);
    assert!(!looks.are_done());
    ask(&looks, &["b"]);
    assert!(looks.are_done());
    assert!(practice(&[]).1.are_done(), "those that are pushed to are not asked");
}

#[tokio::test]
async fn after_a_sleep_and_a_jump_each_is_asked_again() {
    for (wall, uptime, awake, upset) in [
        (3600, 10, 10, Upset::Set(TimeDelta::seconds(3590))),
        (-3600, 10, 10, Upset::Set(TimeDelta::seconds(-3610))),
        (28_800, 28_800, 10, Upset::Slept(TimeDelta::seconds(28_790))),
    ] {
        let (clocks, looks) = practice(&["a", "b"]);
        let mut upsets = looks.upsets();
        ask(&looks, &["a", "b"]);
        let begun = looks.begin();
        *clocks.0.lock().unwrap() = (wall, uptime, awake);
        assert!(!looks.are_done(), "{upset:?}");
        assert_eq!(upsets.next().await, upset);
        looks.end_of("a", begun);
        ask(&looks, &["b"]);
        assert!(!looks.are_done(), "what was begun before it says nothing: {upset:?}");
        ask(&looks, &["a"]);
        looks.done().await;
        assert!(looks.are_done());
    }
}

#[test]
fn small_steps_add_up() {
    let (clocks, looks) = practice(&["a"]);
    ask(&looks, &["a"]);
    for step in 1..=7 {
        *clocks.0.lock().unwrap() = (step * 10, 0, 0);
        assert_eq!(looks.are_done(), step < 7, "{step}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_hangs_is_not_waited_for_for_ever() {
    let (_, looks) = practice(&["a", "hangs"]);
    ask(&looks, &["a"]);
    looks.done().await;
    assert!(looks.are_done());
}
