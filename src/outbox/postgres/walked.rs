//! The sessions of a walk, written together: in a few statements, however many they are.

use std::collections::{BTreeMap, HashMap};

use super::columns::{get, ids, ms, number, opt_ms, role_word, session};
use super::db::{Tx, Values};
use super::error::Res;
use super::place::name;
use super::query;
use crate::contact::Channel;
use crate::feedback::reply::rsvp_word;
use crate::known::Known;
use crate::notice::{Occasion, Omission};
use crate::outbox::WalkedSession;
use crate::session::stored::{Departed, Touch};
use crate::session::{ParticipantRef, ParticipationId, SessionId, TakenFor};

/// A session of a walk, and the source that it stands under from now on.
#[derive(Clone, Copy)]
pub(super) struct Placed<'a> {
    pub(super) source: &'a str,
    pub(super) session: &'a WalkedSession,
}

/// What the store has of the sessions of a walk.
pub(super) struct Before {
    touches: HashMap<SessionId, i64>,
    sessions: HashMap<SessionId, Stood>,
    departed: HashMap<SessionId, Vec<Departed>>,
}

struct Stood {
    again: u32,
    digest: String,
    presence: String,
}

impl Before {
    pub(super) async fn of(tx: &Tx<'_>, sessions: &[WalkedSession]) -> Res<Self> {
        let these: Vec<SessionId> = sessions.iter().map(|s| s.id).collect();
        let sql = "SELECT source, s.id, replan, digest, presence FROM (SELECT $1::integer AS practice, * FROM unnest($2::bigint[]) AS u (id) OFFSET 0) AS w
                   JOIN session AS s ON s.practice = w.practice AND s.id = w.id";
        let (mut stood, mut of_source) = (HashMap::new(), BTreeMap::<String, Vec<SessionId>>::new());
        for row in tx.query(sql, &[&tx.practice, &ids(&these)]).await? {
            let (source, id): (String, _) = (get(&row, 0)?, session(&row, 1)?);
            let digest = tx.sealer.open("digest", name(&source, id), get(&row, 3)?)?;
            stood.insert(id, Stood { again: number(&row, 2)?, digest, presence: get(&row, 4)? });
            of_source.entry(source).or_default().push(id);
        }
        let mut departed = HashMap::new();
        for (source, ids) in of_source {
            departed.extend(query::departed(tx, &source, Some(&ids)).await?);
        }
        Ok(Self { touches: query::last_touches(tx, &these).await?, sessions: stood, departed })
    }

    /// Something happened to the session since it was read.
    pub(super) fn was_touched(&self, session: &WalkedSession) -> bool {
        let last = self.touches.get(&session.id).copied().unwrap_or(0);
        let again = self.sessions.get(&session.id).map_or(0, |stood| stood.again);
        session.was.is_some_and(|was| was != Touch { last, again })
    }

    /// Others depart than did.
    fn departs(&self, session: &WalkedSession) -> bool {
        self.departed.get(&session.id).map_or(&[][..], Vec::as_slice) != session.departed
    }

    /// Another digest or presence raises the revision, which fences the attempts that were rendered from the one before; so does somebody's departure.
    fn raises(&self, session: &WalkedSession) -> bool {
        let differs = |stood: &Stood| stood.digest != session.digest || stood.presence != session.presence.as_str();
        self.sessions.get(&session.id).is_some_and(|stood| self.departs(session) || differs(stood))
    }
}

/// The sessions, their people, and what is left out.
pub(super) async fn put(tx: &Tx<'_>, all: &[Placed<'_>], before: &Before) -> Res<()> {
    if all.is_empty() {
        return Ok(());
    }
    put_sessions(tx, all, before).await?;
    put_lately(tx, all).await?;
    put_participants(tx, all).await?;
    for placed in all.iter().filter(|placed| before.departs(placed.session)) {
        put_departed(tx, placed).await?;
    }
    replace_omissions(tx, all).await
}

/// One value of each.
fn each<'a, T>(all: &'a [Placed<'a>], value: impl Fn(&Placed<'a>) -> T) -> Vec<T> {
    all.iter().map(value).collect()
}

async fn put_sessions(tx: &Tx<'_>, all: &[Placed<'_>], before: &Before) -> Res<()> {
    let sql = "INSERT INTO session AS s (practice, source, id, revision, digest, start_at, ambiguous, record, presence, replan, taken_for, walks)
               SELECT $1, d.*, (SELECT walks FROM practice WHERE id = $1) FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::bigint[], $7::text[], $8::text[], $9::text[], $10::bigint[],
                   $11::text[]) AS d
               ON CONFLICT (practice, source, id) DO UPDATE SET revision = s.revision + excluded.revision - 1, digest = excluded.digest,
                   start_at = excluded.start_at, ambiguous = excluded.ambiguous, record = excluded.record, presence = excluded.presence,
                   replan = excluded.replan, taken_for = excluded.taken_for, walks = excluded.walks";
    let sealed = |placed: &Placed<'_>, place: &str, text: &str| tx.sealer.seal(place, name(placed.source, placed.session.id), text);
    let ambiguous = |session: &WalkedSession| serde_json::to_string(&session.ambiguous).expect("numbers and strings are always JSON");
    let values: Values<'_> = &[
        &tx.practice,
        &each(all, |p| p.source),
        &each(all, |p| p.session.id.0),
        // A new one begins with 1; one that is there is raised by what is above that.
        &each(all, |p| 1 + i64::from(before.raises(p.session))),
        &each(all, |p| sealed(p, "digest", &p.session.digest)).into_iter().collect::<Res<Vec<_>>>()?,
        &each(all, |p| ms(p.session.start)),
        &each(all, |p| ambiguous(p.session)),
        &each(all, |p| sealed(p, "record", &p.session.record.text)).into_iter().collect::<Res<Vec<_>>>()?,
        &each(all, |p| p.session.presence.as_str()),
        &each(all, |p| i64::from(p.session.replan)),
        &each(all, |p| p.session.record.taken_for.map(TakenFor::as_str)),
    ];
    tx.execute(sql, values).await?;
    Ok(())
}

/// Takes out what stands there of these sessions.
async fn delete(tx: &Tx<'_>, table: &str, all: &[Placed<'_>]) -> Res<()> {
    let sql = format!(
        "DELETE FROM {table} AS t USING (SELECT $1::integer AS practice, * FROM unnest($2::text[], $3::bigint[]) AS u (source, session) OFFSET 0) AS w
         WHERE t.practice = w.practice AND t.source = w.source AND t.session_id = w.session"
    );
    tx.execute(&sql, &[&tx.practice, &each(all, |p| p.source), &each(all, |p| p.session.id.0)]).await.map(drop)
}

async fn put_lately(tx: &Tx<'_>, all: &[Placed<'_>]) -> Res<()> {
    delete(tx, "lately", all).await?;
    let noted: Vec<Placed<'_>> = all.iter().copied().filter(|p| !p.session.lately.is_empty()).collect();
    if noted.is_empty() {
        return Ok(());
    }
    let sealed = |p: &Placed<'_>| {
        let text = serde_json::to_string(&p.session.lately).expect("text and times are always JSON");
        tx.sealer.seal("lately", p.session.id.to_string(), &text)
    };
    let until = |p: &Placed<'_>| opt_ms(p.session.lately.iter().map(|one| one.until).max());
    let sql = "INSERT INTO lately (practice, source, session_id, until, items)
               SELECT $1, d.* FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::text[]) AS d";
    let values: Values<'_> = &[
        &tx.practice,
        &each(&noted, |p| p.source),
        &each(&noted, |p| p.session.id.0),
        &each(&noted, until),
        &each(&noted, sealed).into_iter().collect::<Res<Vec<_>>>()?,
    ];
    tx.execute(sql, values).await?;
    Ok(())
}

async fn put_participants(tx: &Tx<'_>, all: &[Placed<'_>]) -> Res<()> {
    let people: Vec<(ParticipantRef, &Known)> =
        all.iter().flat_map(|p| p.session.known.iter().map(|(id, known)| (of(p, *id), known))).collect();
    // Somebody who stands there twice is written as the last one says, as one after the other would be.
    let last: BTreeMap<&ParticipantRef, &Known> = people.iter().map(|(place, known)| (place, *known)).collect();
    if last.is_empty() {
        return Ok(());
    }
    let (places, known): (Vec<&ParticipantRef>, Vec<&Known>) = last.into_iter().unzip();
    let sql = "INSERT INTO participant (practice, source, session_id, participation_id, first_seen, start_at, start_known_at, adopted, facts, facts_known_at,
                                        cancelled, absent_since, absences, said, said_of, person, session_seen)
               SELECT $1, d.* FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::boolean[], $9::text[],
                   $10::bigint[], $11::boolean[], $12::bigint[], $13::bigint[], $14::text[], $15::bigint[], $16::text[], $17::bigint[]) AS d
               ON CONFLICT (practice, source, session_id, participation_id) DO UPDATE SET first_seen = excluded.first_seen,
                   start_at = excluded.start_at, start_known_at = excluded.start_known_at, adopted = excluded.adopted,
                   facts = excluded.facts, facts_known_at = excluded.facts_known_at, cancelled = excluded.cancelled,
                   absent_since = excluded.absent_since, absences = excluded.absences, said = excluded.said, said_of = excluded.said_of,
                   person = excluded.person, session_seen = excluded.session_seen";
    let facts = places.iter().zip(&known).map(|(place, known)| tx.sealer.seal("facts", place.name(), &known.facts));
    let who = known.iter().map(|known| known.person.as_deref().map(|person| tx.sealer.seal_alike("who", person)).transpose());
    let values: Values<'_> = &[
        &tx.practice,
        &places.iter().map(|p| p.source.as_str()).collect::<Vec<_>>(),
        &places.iter().map(|p| p.session.0).collect::<Vec<_>>(),
        &places.iter().map(|p| p.participation.0).collect::<Vec<_>>(),
        &known.iter().map(|k| ms(k.first_seen)).collect::<Vec<_>>(),
        &known.iter().map(|k| ms(k.start)).collect::<Vec<_>>(),
        &known.iter().map(|k| ms(k.start_known_at)).collect::<Vec<_>>(),
        &known.iter().map(|k| k.adopted).collect::<Vec<_>>(),
        &facts.collect::<Res<Vec<_>>>()?,
        &known.iter().map(|k| ms(k.facts_known_at)).collect::<Vec<_>>(),
        &known.iter().map(|k| k.cancelled).collect::<Vec<_>>(),
        &known.iter().map(|k| opt_ms(k.absent_since)).collect::<Vec<_>>(),
        &known.iter().map(|k| i64::from(k.absences)).collect::<Vec<_>>(),
        &known.iter().map(|k| k.said.map(|said| rsvp_word(said.rsvp))).collect::<Vec<_>>(),
        &known.iter().map(|k| opt_ms(k.said.map(|said| said.start))).collect::<Vec<_>>(),
        &who.collect::<Res<Vec<_>>>()?,
        &known.iter().map(|k| ms(k.session_seen)).collect::<Vec<_>>(),
    ];
    tx.execute(sql, values).await?;
    Ok(())
}

fn of(placed: &Placed<'_>, id: ParticipationId) -> ParticipantRef {
    ParticipantRef { source: placed.source.to_owned(), session: placed.session.id, participation: id }
}

/// Whom the source lists no more, in place of the last ones.
async fn put_departed(tx: &Tx<'_>, placed: &Placed<'_>) -> Res<()> {
    let sql = "UPDATE participant SET presence = 'listed', role = NULL, record = NULL
               WHERE practice = $1 AND source = $2 AND session_id = $3 AND record IS NOT NULL";
    let session = placed.session.id.0;
    tx.execute(sql, &[&tx.practice, &placed.source, &session]).await?;
    for Departed { id, role, presence, record } in &placed.session.departed {
        let sealed = tx.sealer.seal("person", of(placed, *id).name(), record)?;
        let sql = "UPDATE participant SET presence = $5, role = $6, record = $7
                   WHERE practice = $1 AND source = $2 AND session_id = $3 AND participation_id = $4";
        let values: Values<'_> = &[&tx.practice, &placed.source, &session, &id.0, &presence.as_str(), &role_word(*role), &sealed];
        tx.execute(sql, values).await?;
    }
    Ok(())
}

async fn replace_omissions(tx: &Tx<'_>, all: &[Placed<'_>]) -> Res<()> {
    delete(tx, "omission", all).await?;
    let left_out: Vec<(&Placed<'_>, i64, &Omission)> =
        all.iter().flat_map(|p| (0..).zip(&p.session.omissions).map(move |(position, omission)| (p, position, omission))).collect();
    if left_out.is_empty() {
        return Ok(());
    }
    let omissions: Vec<&Omission> = left_out.iter().map(|(_, _, omission)| *omission).collect();
    let sql = "INSERT INTO omission (practice, source, session_id, position, participation_id, role, occasion, rule, channel, due_at, reason, detail)
               SELECT $1, d.* FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::text[], $8::text[], $9::text[],
                   $10::bigint[], $11::text[], $12::text[]) AS d";
    let values: Values<'_> = &[
        &tx.practice,
        &left_out.iter().map(|(p, ..)| p.source).collect::<Vec<_>>(),
        &left_out.iter().map(|(p, ..)| p.session.id.0).collect::<Vec<_>>(),
        &left_out.iter().map(|(_, position, _)| *position).collect::<Vec<_>>(),
        &omissions.iter().map(|o| o.participation.map(|p| p.0)).collect::<Vec<_>>(),
        &omissions.iter().map(|o| o.role.map(role_word)).collect::<Vec<_>>(),
        &omissions.iter().map(|o| o.occasion.map(Occasion::as_str)).collect::<Vec<_>>(),
        &omissions.iter().map(|o| o.rule.as_deref()).collect::<Vec<_>>(),
        &omissions.iter().map(|o| o.channel.map(Channel::as_str)).collect::<Vec<_>>(),
        &omissions.iter().map(|o| opt_ms(o.due_at)).collect::<Vec<_>>(),
        &omissions.iter().map(|o| o.reason.as_str()).collect::<Vec<_>>(),
        &omissions.iter().map(|o| o.detail.as_deref()).collect::<Vec<_>>(),
    ];
    tx.execute(sql, values).await?;
    Ok(())
}
