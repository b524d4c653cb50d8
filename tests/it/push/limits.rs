//! What a connection may cost: time for its head and its body, and a place among few.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use prometheus_client::registry::Registry;
use punctual::clock::WallClock;
use punctual::config;
use punctual::desk::Desk;
use punctual::feedback::{DeliveryReport, Reply};
use punctual::outbox::memory::MemoryOutbox;
use punctual::render::Renderer;
use punctual::source::push::PushedBody;
use punctual::web::{self, AppState, Declined, Intake, Limits, Settings, ShowNames, hook, push::Receipt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::TOKEN;

/// Takes everything, and takes a while for figures: how many are made at once is counted.
#[derive(Default)]
struct Yes {
    now: AtomicUsize,
    most: AtomicUsize,
}

#[async_trait]
impl Intake for Yes {
    async fn push(&self, _: &str, _: PushedBody) -> Result<Receipt, Declined> {
        Ok(Receipt { sessions: 0, planned: 0, added: 0, moved: 0, ended: 0, guarded: 0, faults: Vec::new() })
    }

    fn wake(&self) {}

    fn ask(&self) {}

    async fn unready(&self) -> Vec<String> {
        self.most.fetch_max(self.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(20)).await;
        self.now.fetch_sub(1, Ordering::SeqCst);
        Vec::new()
    }

    async fn metrics(&self) -> Option<Registry> {
        self.unready().await;
        Some(Registry::default())
    }

    async fn hook(&self, _: hook::HookEvent) -> Result<(), Declined> {
        Ok(())
    }

    async fn receipt(&self, _: DeliveryReport) -> Result<(), Declined> {
        Ok(())
    }

    async fn reply(&self, _: Reply) -> Result<(), Declined> {
        Ok(())
    }
}

/// Of a practice that knows nothing yet.
fn office() -> AppState {
    let config = config::parse("", None, &[]).unwrap_or_else(|m| panic!("{m}"));
    AppState {
        desk: Desk { outbox: Arc::new(MemoryOutbox::new([7; 32])), policy: Arc::new(config.policy), sources: Vec::new() },
        renderer: Arc::new(Renderer::new(config.render).unwrap()),
        clock: Arc::new(WallClock),
        practice: config.raw.practice.name,
        zone: config.time_zone,
        shadow: false,
        records: Arc::default(),
        stage: None,
    }
}

/// Serves with these limits, and gives the port.
async fn server(limits: Limits) -> (u16, watch::Sender<bool>) {
    serving(limits, Arc::<Yes>::default()).await
}

async fn serving(limits: Limits, intake: Arc<dyn Intake>) -> (u16, watch::Sender<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let push = vec![("desk".to_owned(), TOKEN.into())];
    let settings = Settings {
        listen: address,
        push,
        hook: None,
        callbacks: Vec::new(),
        users: None,
        show_names: ShowNames::All,
        public_url: None,
        trusted: Vec::new(),
        limits,
    };
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(web::serve(listener, settings, intake, office(), stopped));
    (address.port(), stop)
}

fn limits() -> Limits {
    let short = Duration::from_millis(200);
    Limits { head: short, body: short, ..Limits::default() }
}

async fn connect(port: u16, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

/// All that comes until the end.
async fn rest(mut stream: TcpStream) -> String {
    let mut said = Vec::new();
    stream.read_to_end(&mut said).await.ok();
    String::from_utf8(said).unwrap()
}

fn head(length: usize) -> String {
    format!(
        "PUT /api/v1/sources/desk/sessions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_and_bodies_that_do_not_come_are_not_waited_for() {
    let (port, _stop) = server(limits()).await;
    rest(connect(port, "").await).await;
    rest(connect(port, "PUT /api/v1/sour").await).await;
    let slow = rest(connect(port, &head(3)).await).await;
    assert!(slow.starts_with("HTTP/1.1 408 "), "{slow}");
    let whole = rest(connect(port, &(head(2) + "[]")).await).await;
    assert!(whole.starts_with("HTTP/1.1 200 ") && whole.to_ascii_lowercase().contains("connection: close"), "{whole}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_drips_has_one_limit_for_all_of_it() {
    let (port, _stop) = server(limits()).await;
    let (mut reading, mut writing) = connect(port, &head(1 << 20)).await.into_split();
    let dripping = tokio::spawn(async move { while writing.write_all(b" ").await.is_ok() && tick().await {} });
    let mut first = [0; 13];
    reading.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 408 ");
    dripping.abort();
}

async fn tick() -> bool {
    tokio::time::sleep(Duration::from_millis(20)).await;
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_without_end_is_refused() {
    let (port, _stop) = server(Limits::default()).await;
    let endless = connect(port, &format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(1 << 15))).await;
    let said = rest(endless).await;
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 431 "), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_dawdles_makes_room_for_the_next() {
    let (port, _stop) = server(Limits { connections: 1, ..Limits::default() }).await;
    for part in ["GET / HTTP/1.1\r\n", &head(3)] {
        let dawdling = connect(port, part).await;
        let second = connect(port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(rest(second).await.contains("404"));
        assert_eq!(rest(dawdling).await, "", "{part}");
    }
}

/// They read all rows of the store: many at once would leave no reader for whoever asks whether it lives.
#[tokio::test(flavor = "multi_thread")]
async fn figures_are_made_for_one_at_a_time_and_health_waits_for_none() {
    let counting = Arc::<Yes>::default();
    let (port, _stop) = serving(Limits::default(), Arc::clone(&counting) as Arc<dyn Intake>).await;
    let mut asked = Vec::new();
    for path in ["/metrics", "/readyz"].repeat(50) {
        asked.push(connect(port, &format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")).await);
    }
    let healthy = rest(connect(port, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await).await;
    assert!(healthy.starts_with("HTTP/1.1 200 "), "{healthy}");
    assert!(counting.now.load(Ordering::SeqCst) == 1, "the others still wait");
    for one in asked {
        assert!(rest(one).await.starts_with("HTTP/1.1 200 "));
    }
    assert_eq!(counting.most.load(Ordering::SeqCst), 1);
}

/// A page of somebody else's whose name leads here reads nothing; nor does whoever comes through a proxy.
#[tokio::test(flavor = "multi_thread")]
async fn it_answers_by_its_own_name_and_figures_to_the_machine_alone() {
    let (port, _stop) = named(Some("https://punctual.practice.example")).await;
    let get = async |head: &str| rest(connect(port, &format!("GET {head}\r\n\r\n")).await).await;
    let status = |said: &str| said.get(9..12).unwrap_or_default().to_owned();
    for (head, expected) in [
        ("/healthz HTTP/1.1\r\nHost: punctual.practice.example", "200"),
        ("/healthz HTTP/1.1\r\nHost: Punctual.Practice.Example:443", "200"),
        ("/healthz HTTP/1.1\r\nHost: localhost:8080", "200"),
        ("/healthz HTTP/1.1\r\nHost: [::1]:8080", "200"),
        ("/healthz HTTP/1.1\r\nHost: rebound.example", "421"),
        ("/healthz HTTP/1.1\r\nHost: punctual.practice.example.rebound.example", "421"),
        ("/healthz HTTP/1.0", "421"),
        ("/metrics HTTP/1.1\r\nHost: 127.0.0.1", "200"),
        ("/metrics HTTP/1.1\r\nHost: punctual.practice.example", "403"),
        ("/metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-For: 203.0.113.9", "403"),
        ("/readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nForwarded: for=203.0.113.9", "403"),
        ("/metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nVia: 1.1 proxy", "403"),
        ("/metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-Server: proxy", "403"),
        ("/metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nCF-Connecting-IP: 203.0.113.9", "403"),
        ("/readyz HTTP/1.1\r\nHost: localhost", "200"),
    ] {
        let said = get(head).await;
        assert_eq!(status(&said), expected, "{head:?}: {said}");
        let by_name = said.to_ascii_lowercase().contains("strict-transport-security: max-age=31536000");
        assert_eq!(by_name, head.to_ascii_lowercase().contains("host: punctual.practice.example") && expected != "421", "{head:?}");
    }
    let (port, _stop) = named(None).await;
    let said = rest(connect(port, "GET /metrics HTTP/1.1\r\nHost: rebound.example\r\n\r\n").await).await;
    assert_eq!(status(&said), "403", "{said}");
}

async fn named(public_url: Option<&str>) -> (u16, watch::Sender<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listen = listener.local_addr().unwrap();
    let public_url = public_url.map(|url| url.parse().unwrap());
    let (push, callbacks, trusted, limits) = (Vec::new(), Vec::new(), Vec::new(), Limits::default());
    let settings = Settings { listen, push, hook: None, callbacks, users: None, show_names: ShowNames::All, public_url, trusted, limits };
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(web::serve(listener, settings, Arc::<Yes>::default(), office(), stopped));
    (listen.port(), stop)
}
