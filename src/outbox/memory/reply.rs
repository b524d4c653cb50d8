//! Replies and their answers, in memory.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::tables::Tables;
use crate::contact::{Address, PhoneNumber};
use crate::feedback::answer::Answer;
use crate::feedback::reply::{AcceptedReply, Changes, LATELY, OpenSession, Written, rsvp_word};
use crate::known::RsvpOverride;
use crate::ledger::{Event, LedgerRow};
use crate::notice::NoticeKey;
use crate::outbox::Outgoing;
use crate::outbox::words::by;
use crate::session::ParticipantRef;
use crate::suppression::{SaidBy, SuppressedAddress, Suppression, suppression_key};

impl Tables {
    pub(super) fn take_reply(&mut self, now: DateTime<Utc>, taken: &AcceptedReply) -> bool {
        if self.replies.contains_key(&taken.key) {
            return false;
        }
        self.replies.insert(taken.key, now);
        self.append(LedgerRow::new(now, Event::Reply, taken.word.as_str()));
        if let Some(said) = taken.for_staff.clone() {
            self.said.push((Written { key: taken.key, at: now, shown: taken.from.to_string(), word: taken.word, said }, false));
        }
        self.heard.insert(taken.from.clone(), now);
        let address = Address::Sms(taken.from.clone());
        let heard = match &taken.change {
            Changes::Nothing => true,
            Changes::OptOut => self.suppress(now, &address, Suppression::OptedOut, SaidBy::Reply),
            Changes::OptIn => {
                let key = suppression_key(&address);
                let theirs = |s: &SuppressedAddress| s.kind == Suppression::OptedOut && s.said_by != SaidBy::Person;
                self.suppressions.get(&key).is_some_and(theirs) && self.unsuppress(now, &key)
            }
            Changes::Rsvp(place, answered) => {
                self.put_rsvp(now, place, *answered);
                true
            }
        };
        if let Some((answer, locale)) = taken.answer.as_ref().filter(|(answer, _)| heard || !matches!(answer, Answer::Stopped)) {
            self.add_answer(taken.key, &taken.from, (*answer, locale), now);
        }
        true
    }

    fn put_rsvp(&mut self, now: DateTime<Utc>, place: &ParticipantRef, answered: RsvpOverride) {
        let session = (place.source.clone(), place.session);
        if let Some(known) = self.participants.get_mut(&(place.source.clone(), place.session, place.participation)) {
            (known.rsvp, known.answered_start) = (Some(answered), Some(known.start));
        }
        self.unsettle(&session);
        self.append(LedgerRow {
            session_id: Some(place.session),
            participation_id: Some(place.participation),
            ..LedgerRow::new(now, Event::Rsvp, rsvp_word(answered.says))
        });
    }

    pub(super) fn open_sessions(&self, number: &PhoneNumber, now: DateTime<Utc>) -> Vec<OpenSession> {
        let (address, since) = (Address::Sms(number.clone()), now - LATELY);
        let mut found: BTreeMap<_, (ParticipantRef, bool)> = BTreeMap::new();
        for row in self
            .rows
            .values()
            .filter(|row| row.entry.notice.address == address && (row.entry.state.may_have_been_sent() || row.doubt.is_some()))
        {
            let (notice, source) = (&row.entry.notice, row.entry.source.clone());
            let lately = row.entry.accepted_at.unwrap_or(notice.due_at) >= since;
            if notice.start > now || (notice.start > since && lately) {
                let place = ParticipantRef { source, session: notice.session, participation: notice.participation };
                let key = (place.source.clone(), place.session, place.participation);
                found.entry(key).or_insert((place, false)).1 |= lately;
            }
        }
        found.into_values().map(|(place, lately)| OpenSession { place, lately }).collect()
    }

    pub(super) fn unread(&self, limit: usize) -> Vec<Written> {
        let mut unread: Vec<Written> = self.said.iter().filter(|(_, read)| !read).map(|(said, _)| said.clone()).collect();
        unread.sort_by_key(|said| (said.at, said.key.to_string()));
        unread.truncate(limit);
        unread
    }

    pub(super) fn mark_read(&mut self, who: Option<&str>, key: NoticeKey, now: DateTime<Utc>) -> bool {
        let unread = self.said.iter_mut().find(|(said, read)| said.key == key && !read);
        let marked = unread.map(|(_, read)| *read = true).is_some();
        if marked {
            self.append(LedgerRow::new(now, Event::ReplyRead, &who.map(by).unwrap_or_default()));
        }
        marked
    }

    /// Answers go with the contents; what they answer stays for the history, so that it is known when it comes again.
    pub(super) fn purge_replies(&mut self, content_before: DateTime<Utc>, history_before: DateTime<Utc>) {
        self.answered.retain(|(_, _, at, _)| *at >= content_before);
        self.alone.retain(|_, row| {
            let before = if row.entry.what.kind() == Outgoing::Answer { content_before } else { history_before };
            row.entry.due_at >= before
        });
        self.said.retain(|(said, _)| said.at >= content_before);
        self.replies.retain(|_, at| *at >= history_before);
        self.heard.retain(|_, at| *at >= history_before);
    }
}
