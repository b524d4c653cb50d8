//! What messages are made of besides a notice and its session, as one digest: several nodes that send for a practice send the same.
//!
//! In: the templates in force, whether they came with the program or lie in the practice's folder, and the settings. Out: SHA-256. Not in it: where
//! templates lie, remarks in them, the letter to the practice, and keys.

use sha2::{Digest, Sha256};

use super::{Renderer, Settings, look};

/// The letter to the practice: no participant sees it.
const STAFF: &str = "staff/";

impl Renderer {
    pub fn fingerprint(&self) -> [u8; 32] {
        if let Some(next) = self.successor() {
            return next.fingerprint();
        }
        let mut digest = Sha256::new();
        let mut add = |bytes: &[u8]| {
            digest.update((bytes.len() as u64).to_be_bytes());
            digest.update(bytes);
        };
        for (name, text) in self.library.said().filter(|(name, _)| !name.starts_with(STAFF)) {
            add(name.as_bytes());
            add(text.as_bytes());
        }
        said(&self.settings).iter().for_each(|text| add(text.as_bytes()));
        add(self.settings.look.logo.as_ref().map_or(&[][..], |logo| &logo.bytes));
        digest.finalize().into()
    }
}

/// What settings say in messages, each with its name: one that is new here has to be taken in, or left out on purpose.
fn said(settings: &Settings) -> Vec<String> {
    let Settings {
        practice_name,
        short_name,
        look: look::MailLook { logo: _, color, footer, camera_test },
        practice_contact,
        locale,
        join_url,
        account_join_url,
        from_name,
        from,
        reply_to,
        template_dir: _,
        show_participant_names_to_host,
        max_segments,
        rule_segments,
        replies_read,
        default_duration,
        calendar_code,
        return_path,
        reference_key: _,
        dkim: _,
    } = settings;
    let address = |name: &str, address: Option<&crate::contact::EmailAddress>| {
        format!("{name}={:?}", address.map(crate::contact::EmailAddress::expose))
    };
    vec![
        format!("practice={practice_name:?} {short_name:?} {practice_contact:?}"),
        format!("look={color:?} {footer:?} {camera_test:?}"),
        format!("locale={locale:?}"),
        format!("links={join_url:?} {account_join_url:?}"),
        format!("from={from_name:?}"),
        address("from", Some(from)),
        address("reply_to", reply_to.as_ref()),
        address("return_path", return_path.as_ref()),
        format!("host sees names={show_participant_names_to_host}"),
        format!("segments={max_segments} {rule_segments:?}"),
        format!("replies={replies_read}"),
        format!("length={default_duration}"),
        format!("calendar={calendar_code}"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn of(text: &str, templates: &[(&str, &str)]) -> [u8; 32] {
        let folder = tempfile::tempdir().unwrap();
        for (name, said) in templates {
            let file = folder.path().join("own").join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, said).unwrap();
        }
        let dir = if templates.is_empty() { "" } else { "[templates]\ndir = \"own\"\n" };
        let config =
            config::parse(&format!("{text}\n{dir}"), Some(&folder.path().join("punctual.toml")), &[]).unwrap_or_else(|m| panic!("{m}"));
        Renderer::new(config.render).unwrap_or_else(|m| panic!("{m:?}")).fingerprint()
    }

    #[test]
    fn it_is_another_one_as_soon_as_a_participant_could_see_it() {
        let plain = "[practice]\nname = \"Lakeside\"\n[email]\nfrom = \"desk@example.org\"";
        let shipped = |name: &str| super::super::shipped_templates().into_iter().find(|(file, _)| *file == name).unwrap().1;
        let (subject, letter) = (shipped("en-US/invite/subject.txt"), shipped("staff/subject.txt"));
        let first = of(plain, &[]);
        for (why, text, templates) in [
            ("a copy of what came with the program", plain.to_owned(), vec![("en-US/invite/subject.txt", subject.to_owned())]),
            ("a remark", plain.to_owned(), vec![("en-US/invite/subject.txt", format!("{{# ours #}}{subject}"))]),
            ("the letter to the practice", plain.to_owned(), vec![("staff/subject.txt", format!("{letter} of today"))]),
        ] {
            let templates: Vec<(&str, &str)> = templates.iter().map(|(name, said)| (*name, said.as_str())).collect();
            assert_eq!(of(&text, &templates), first, "{why}");
        }
        let changed = |from: &str, to: &str| plain.replace(from, to);
        for (why, text, templates) in [
            ("a template", plain.to_owned(), vec![("en-US/invite/subject.txt", "Your session")]),
            ("the name", changed("Lakeside", "Riverside"), vec![]),
            ("the contact", changed("[email]", "contact = \"555-0100\"\n[email]"), vec![]),
            ("the link", changed("[email]", "join_url = \"https://example.org/{{ code }}\"\n[email]"), vec![]),
            ("the language", changed("[email]", "locale = \"es-US\"\n[email]"), vec![]),
            ("the sender", changed("desk@", "hello@"), vec![]),
            ("Reply-To", format!("{plain}\nreply_to = \"front@example.org\""), vec![]),
            ("the footer", changed("[email]", "footer = \"1 Lake Road\"\n[email]"), vec![]),
        ] {
            assert_ne!(of(&text, &templates), first, "{why}");
        }
    }
}
