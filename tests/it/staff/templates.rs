//! The texts of messages, changed in the pages: shown before they are saved, checked, in force at once, and taken back.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::{Browser, Office};
use crate::push::{Practice, session};

const FILE: &str = "en-US/invite/subject.txt";
const SHIPPED: &str = include_str!("../../../templates/en-US/invite/subject.txt");
const PAGE: &str = "/templates/edit?file=en-US%2Finvite%2Fsubject.txt";
const OURS: &str = "Your Lakeside visit: {{ session.date_short }}, {{ session.time }} {{ session.zone_short }}\n";

async fn office(folder: tempfile::TempDir, own: &str) -> Office {
    fs::create_dir_all(folder.path().join(own)).unwrap();
    let practice = Practice::of(folder, &Practice::text(&format!("[templates]\ndir = \"{own}\"\n"))).await;
    let office = Office { practice };
    office.users(|_| {});
    office
}

fn value<'p>(page: &'p str, name: &str) -> &'p str {
    page.split(&format!("name=\"{name}\" value=\"")).nth(1).unwrap_or_else(|| panic!("no {name} in {page}")).split('"').next().unwrap()
}

/// The form of the page, with that text and that button.
async fn post(browser: &mut Browser<'_>, text: &str, act: &str) -> (u16, String) {
    let page = browser.page(PAGE).await.1;
    let (token, was) = (value(&page, "token").to_owned(), value(&page, "was").to_owned());
    let fields = [("token", token.as_str()), ("file", FILE), ("was", was.as_str()), ("text", text), ("act", act), ("reason", "they asked")];
    let answer = browser.post("/templates/edit", &fields).await;
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_is_shown_before_it_is_saved_and_in_force_at_once() {
    let office = office(tempfile::tempdir().unwrap(), "own").await;
    assert_eq!(office.practice.list(&[session(1, 111_111_111)]).await.0, 200);
    let invite = office.entries().await.into_iter().find(|e| e.notice.rule.is_none()).unwrap().notice.key;
    let letter = format!("/notices/{invite}");
    let mut jane = office.logged_in("jane").await;
    let file = office.practice.folder.path().join("own").join(FILE);
    assert!(jane.page("/templates").await.1.contains("None: all messages say what came with the program."));
    assert_eq!(post(&mut jane, &OURS.replace('\n', "\r\n"), "preview").await.0, 303);
    let page = jane.page(PAGE).await.1;
    assert!(page.contains("Your Lakeside visit: Wed, Sep 30, 12:30 PM EDT") && page.contains("not saved yet"), "{page}");
    assert!(!file.exists() && !jane.page(&letter).await.1.contains("Lakeside visit"), "nothing is changed by a look");
    assert!(jane.page("/templates/message?file=en-US%2Finvite%2Fsubject.txt").await.1.contains("<html"));
    assert_eq!(post(&mut jane, OURS, "save").await.0, 303);
    assert_eq!(fs::read_to_string(&file).unwrap(), OURS);
    assert!(jane.page(&letter).await.1.contains("Your Lakeside visit: "), "what waits is made of it");
    assert!(jane.page("/templates").await.1.contains("/templates/edit?file=en-US%2Finvite%2Fsubject.txt"));
    let told = office.ledger().await.into_iter().rfind(|row| row.event == "template").unwrap();
    assert_eq!(told.detail.as_deref(), Some("en-US/invite/subject.txt, by jane: they asked"));
    // Taken back, by what stands on the page.
    let page = jane.page(&format!("{PAGE}&saved=yes")).await.1;
    let (token, was, version) = (value(&page, "token").to_owned(), value(&page, "was").to_owned(), value(&page, "version").to_owned());
    let back = [("token", token.as_str()), ("file", FILE), ("was", was.as_str()), ("act", "back"), ("version", version.as_str())];
    assert_eq!(jane.post("/templates/edit", &back).await.status(), 303);
    assert!(!file.exists() && !jane.page(&letter).await.1.contains("Lakeside visit"), "as it came");
    // And forth again: what was taken back is a version, too.
    let page = jane.page(PAGE).await.1;
    assert_eq!(page.matches("Put it back").count(), 2);
    let (was, version) = (value(&page, "was").to_owned(), value(&page, "version").to_owned());
    let forth = [("token", token.as_str()), ("file", FILE), ("was", was.as_str()), ("act", "back"), ("version", version.as_str())];
    assert_eq!(jane.post("/templates/edit", &forth).await.status(), 303);
    assert_eq!(fs::read_to_string(&file).unwrap(), OURS);
    // A daemon that begins anew knows all of it.
    let other = self::office(tempfile::tempdir().unwrap(), &office.practice.folder.path().join("own").display().to_string()).await;
    let mut jane = other.logged_in("jane").await;
    let page = jane.page(PAGE).await.1;
    assert!(page.contains("Your own") && page.matches("Put it back").count() == 3, "{page}");
    assert_eq!(post(&mut jane, "", "shipped").await.0, 303);
    assert!(!file.exists());
    other.close().await;
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_check_would_refuse_is_not_saved() {
    let office = office(tempfile::tempdir().unwrap(), "own").await;
    let mut jane = office.logged_in("jane").await;
    for (text, says) in [
        ("{{ nonsense }}", "`nonsense` is not defined"),
        ("{{ recipient.code", "template en-US/invite/subject.txt:1: "),
        ("Your code: {{ recipient.code }}", "the subject shows the code, and subjects show on locked screens"),
        ("{{ session.topic }}", "the subject shows the topic"),
    ] {
        let (status, page) = post(&mut jane, text, "save").await;
        let page = html_escape::decode_html_entities(&page);
        assert!(status == 409 && page.contains("Not saved.") && page.contains(says), "{text}: {status} {page}");
        assert!(jane.page(PAGE).await.1.contains("not saved yet"), "what was typed is kept");
    }
    assert_eq!(post(&mut jane, &"x".repeat(200 << 10), "save").await.0, 409);
    assert_eq!(post(&mut jane, &"x".repeat(500 << 10), "save").await.0, 413);
    assert_eq!(post(&mut jane, "", "forget").await.0, 303);
    assert!(!jane.page(PAGE).await.1.contains("not saved yet"));
    assert_eq!(office.practice.folder.path().join("own").read_dir().unwrap().count(), 0, "nothing was written");
    assert!(office.ledger().await.iter().all(|row| row.event != "template"));
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_save_in_between_is_not_overwritten() {
    let office = office(tempfile::tempdir().unwrap(), "own").await;
    let mut jane = office.logged_in("jane").await;
    let page = jane.page(PAGE).await.1;
    let (token, was) = (value(&page, "token").to_owned(), value(&page, "was").to_owned());
    assert_eq!(post(&mut jane, OURS, "save").await.0, 303);
    let late = [("token", token.as_str()), ("file", FILE), ("was", was.as_str()), ("text", SHIPPED), ("act", "save")];
    let answer = jane.post("/templates/edit", &late).await;
    assert_eq!(answer.status(), 409);
    assert!(answer.text().await.unwrap().contains("Somebody else saved it meanwhile"));
    assert_eq!(fs::read_to_string(office.practice.folder.path().join("own").join(FILE)).unwrap(), OURS);
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_outside_the_folder() {
    let office = office(tempfile::tempdir().unwrap(), "own").await;
    let folder = office.practice.folder.path().to_owned();
    let mut jane = office.logged_in("jane").await;
    let page = jane.page(PAGE).await.1;
    let (token, was) = (value(&page, "token").to_owned(), value(&page, "was").to_owned());
    for file in [
        "../punctual.toml",
        "../invite/sms.txt",
        "/etc/hostname",
        "en-US/invite/../../../users.toml",
        ".versions/x",
        "en-US/invite/other.txt",
        "",
    ] {
        for act in ["save", "back", "shipped", "preview"] {
            let fields =
                [("token", token.as_str()), ("file", file), ("was", was.as_str()), ("text", "x"), ("act", act), ("version", "../../x")];
            let status = jane.post("/templates/edit", &fields).await.status().as_u16();
            assert!(status == 404 || (status == 303 && act == "preview"), "{file} {act}: {status}");
        }
        let asked = url::form_urlencoded::Serializer::new(String::new()).append_pair("file", file).finish();
        for path in ["edit", "message"] {
            assert_eq!(jane.page(&format!("/templates/{path}?{asked}")).await.0, 404, "{path} {file}");
        }
    }
    // A link that leads out is not followed.
    fs::create_dir(folder.join("elsewhere")).unwrap();
    symlink(folder.join("elsewhere"), folder.join("own/en-US")).unwrap();
    let (status, page) = post(&mut jane, OURS, "save").await;
    assert!(status == 409 && page.contains("leads to another folder"), "{status} {page}");
    assert_eq!(folder.join("elsewhere").read_dir().unwrap().flatten().filter(|entry| entry.path().is_file()).count(), 0);
    fs::remove_file(folder.join("own/en-US")).unwrap();
    // Nor is anything that others may read made where the folder is private.
    fs::set_permissions(folder.join("own"), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(post(&mut jane, OURS, "save").await.0, 303);
    let left: Vec<_> = folder.join("own/en-US/invite").read_dir().unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["subject.txt"], "no piece is left beside it");
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_folder_the_page_says_how_to_have_one() {
    let office = Office::open().await;
    let mut jane = office.logged_in("jane").await;
    let page = jane.page("/templates").await.1;
    assert!(page.contains("Set [templates] dir in the configuration to a folder that the service may write"), "{page}");
    let (status, page) = jane.page(PAGE).await;
    assert!(status == 409 && page.contains("Set [templates] dir"), "{status} {page}");
    office.close().await;
}
