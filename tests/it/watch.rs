//! `templates watch`: what a browser sees while somebody changes a template.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use reqwest::Client;

use crate::push::no_trust;

const PROGRAM: &str = env!("CARGO_BIN_EXE_punctual");
const FILE: &str = "en-US/invite/sms.txt";

/// It ends with the test.
struct Watch {
    child: Child,
    /// What it prints: it writes more than is read.
    _out: BufReader<ChildStdout>,
    base: String,
    client: Client,
}

impl Watch {
    fn start(folder: &Path) -> Self {
        let mut child = Command::new(PROGRAM)
            .args(["templates", "watch", "own"])
            .current_dir(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (mut out, mut first) = (BufReader::new(child.stdout.take().unwrap()), String::new());
        out.read_line(&mut first).unwrap();
        let base = first.split("/ ").next().unwrap().to_owned();
        let client = Client::builder().no_proxy().tls_backend_preconfigured(no_trust()).build().unwrap();
        Self { child, _out: out, base, client }
    }

    async fn get(&self, path: &str) -> String {
        self.client.get(format!("{}{path}", self.base)).send().await.unwrap().text().await.unwrap()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_shows_each_message_and_what_is_wrong_once_a_file_is_saved() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("own").join(FILE);
    std::fs::create_dir_all(own.parent().unwrap()).unwrap();
    let copied = Command::new(PROGRAM).args(["templates", "copy", "own", FILE]).current_dir(folder.path()).output().unwrap();
    assert!(copied.status.success());
    let watch = Watch::start(folder.path());
    let page = watch.get("/").await;
    assert_eq!(page.matches("<section class=\"card\">").count(), 14, "seven kinds, two channels");
    assert!(page.contains("Your video session: ") && !page.contains("As punctual check says"), "{page}");
    assert!(watch.get("/?locale=de-DE").await.contains("Videotermin"));
    assert!(watch.get("/message?locale=en-US&kind=invite&to=host").await.contains("<html"));
    let seen = page.split("data-seen=\"").nth(1).unwrap().split('"').next().unwrap();
    let changed = format!("/changed?since={seen}");
    let waiting = watch.get(&changed);
    let text = std::fs::read_to_string(&own).unwrap();
    let saving = async { std::fs::write(&own, text.replace("{{ recipient.join_url }}", "Kiwis are green")).unwrap() };
    let (now, ()) = tokio::join!(waiting, saving);
    assert_ne!(now, seen, "the page hears of it");
    let page = watch.get("/").await;
    assert!(page.contains("Kiwis are green") && page.contains("As punctual check says"), "{page}");
    assert!(page.contains("en-US/invite, sms to a participant, a usual name: the text message does not show the join link"), "{page}");
    std::fs::write(&own, "{{ nonsense }").unwrap();
    assert!(watch.get("/").await.contains("template en-US/invite/sms.txt:1: "));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_answers_to_names_of_this_machine_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("own")).unwrap();
    let watch = Watch::start(folder.path());
    assert!(watch.base.starts_with("http://127.0.0.1:"));
    for (host, status) in [("127.0.0.1:1", 200), ("localhost", 200), ("rebound.example", 403)] {
        assert_eq!(watch.client.get(&watch.base).header("host", host).send().await.unwrap().status(), status, "{host}");
    }
    assert_eq!(watch.client.post(&watch.base).send().await.unwrap().status(), 403);
    assert_eq!(watch.client.get(format!("{}/../etc/passwd", watch.base)).send().await.unwrap().status(), 404);
}

#[test]
fn without_a_folder_it_says_how_to_make_one() {
    let folder = tempfile::tempdir().unwrap();
    let ended = Command::new(PROGRAM).args(["templates", "watch"]).current_dir(folder.path()).output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&ended.stderr).contains("punctual templates copy templates --locale en-US"));
}
