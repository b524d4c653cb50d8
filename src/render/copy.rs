//! A copy of a message that was made before, held against the message that would be made now. Pure.

use mailparse::{MailHeaderMap, ParsedMail};

use crate::message::Content;
use crate::session::Session;

/// The copy calls somebody in the session by another name than they have by now: what would be made now has a word of their name that the copy does not
/// have. Texts shorten names to some of their words. A copy that cannot be read calls nobody by their name.
pub fn calls_by_another_name(copy: &Content, now: &Content, session: &Session) -> bool {
    let (copy, now) = (words(copy), words(now));
    let names = session.participants.iter().flat_map(|person| person.name.expose().split_whitespace());
    names.into_iter().any(|word| now.contains(word) && !copy.contains(word))
}

/// What somebody reads in it.
fn words(content: &Content) -> String {
    match content {
        Content::Email { bytes, .. } => {
            let mut read = String::new();
            if let Ok(mail) = mailparse::parse_mail(bytes) {
                read.extend(mail.headers.get_first_value("Subject"));
                gather(&mail, &mut read);
            }
            read
        }
        Content::Sms { text, .. } => text.to_string(),
    }
}

fn gather(part: &ParsedMail<'_>, read: &mut String) {
    if part.subparts.is_empty() && part.ctype.mimetype == "text/plain" {
        read.push('\n');
        read.extend(part.get_body());
    }
    part.subparts.iter().for_each(|part| gather(part, read));
}
