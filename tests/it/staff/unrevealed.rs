//! Who did not reveal sees no name, code, passkey or topic in a message, whatever a template does with them.

use reqwest::Method;
use serde_json::json;

use super::{Office, READ};
use crate::push::{Practice, said, session};

/// A template that writes everything in forms that no search for it knows.
const HOSTILE: &str = "{{ recipient.code | replace(from=\"-\", to=\" \") }} {{ recipient.code | reverse }} {{ recipient.name | upper }} \
                       {{ recipient.first_name | lower }} {{ recipient.join_url | replace(from=\"1\", to=\"i\") }} {{ session.topic | reverse }}";

#[tokio::test(flavor = "multi_thread")]
async fn no_template_shows_what_was_not_revealed() {
    let folder = tempfile::tempdir().unwrap();
    let below = folder.path().join("templates/en-US/invite");
    std::fs::create_dir_all(&below).unwrap();
    for file in ["subject.txt", "body.txt", "body.html"] {
        std::fs::write(below.join(file), HOSTILE).unwrap();
    }
    let practice = Practice::of(folder, &Practice::text("[templates]\ndir = \"templates\"\n")).await;
    let office = Office { practice };
    office.users(|_| {});
    let mut one = session(1, 123_456_798);
    one["Topic"] = json!("Grief counseling");
    one["Participants"][1]["ParticipantFullName"] = json!("Zebulon Quux");
    one["Participants"][1]["Passkey"] = json!("4f9a-77-secret");
    assert_eq!(office.practice.list(&[one]).await.0, 200);
    let key = office.entries().await.iter().find(|e| e.notice.rule.is_none() && e.notice.participation.0 == 11).unwrap().notice.key;
    let preview = format!("/api/v1/notices/{key}/preview");
    let (mut victor, mut jane) = (office.logged_in("victor").await, office.logged_in("jane").await);
    let mut all = vec![said(office.practice.ask(Method::GET, &preview, READ, String::new()).await).await.1.to_string()];
    for page in [format!("/notices/{key}"), format!("/notices/{key}/message")] {
        all.push(victor.page(&page).await.1);
        all.push(jane.page(&page).await.1);
    }
    let hidden = ["123 456 798", "897-654-321", "i23456798", "zebulon", "ZEBULON", "Quux", "gnilesnuoc", "secret"];
    for text in &all {
        let message = text.split("What was tried").next().unwrap();
        // The page says whom it is about, to whoever may see names; the message does not.
        let message = if message.contains("<iframe") { message.split("<iframe").nth(1).unwrap() } else { message };
        for hidden in hidden {
            assert!(!message.contains(hidden), "{hidden} in {message}");
        }
    }
    assert!(all.iter().any(|text| text.contains("(NAME)")), "{all:?}");
    assert_eq!(jane.submit("/sessions/1/11", "/sessions/1/11/reveal", &[]).await, 303);
    let revealed = jane.get(&format!("/notices/{key}")).await;
    let seconds: i64 = revealed.headers()["refresh"].to_str().unwrap().parse().unwrap();
    assert!((1..=301).contains(&seconds), "it is loaded anew when it is to be hidden: {seconds}");
    assert!(jane.page(&format!("/notices/{key}/message")).await.1.contains("123 456 798"));
    assert!(!victor.get(&format!("/notices/{key}")).await.headers().contains_key("refresh"));
    // The same password, and another role: what was revealed is so no more.
    let users = office.practice.folder.path().join("users.toml");
    let mut access = punctual::access::file::read(&users).unwrap();
    access.user[0].role = punctual::access::UserRole::Viewer;
    punctual::access::file::write(&users, &access).unwrap();
    for page in [format!("/notices/{key}"), format!("/notices/{key}/message"), "/sessions/1/11".to_owned()] {
        let text = jane.page(&page).await.1;
        assert!(!text.contains("123 456 798") && !text.contains("123-456-798"), "{page}: {text}");
    }
    office.close().await;
}
