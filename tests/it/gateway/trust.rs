//! A gateway with a private certificate: trusted by `ca_file`, and by nothing else.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use punctual::deliver::Transport;
use punctual::deliver::gateway::{http, kannel, twilio};
use punctual::message::SmsEncoding;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::{Open, any_settings, kind, message, twilio_settings};

/// A certificate of our own for localhost, in a file, and the server's side of it.
fn certificate(folder: &Path) -> (PathBuf, TlsAcceptor) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let ca = folder.join("ca.pem");
    std::fs::write(&ca, made.cert.pem()).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    (ca, TlsAcceptor::from(Arc::new(config)))
}

/// Says 201 with an id to each connection whose handshake succeeds.
async fn gateway(acceptor: TlsAcceptor) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let (mut request, mut chunk) = (Vec::new(), [0; 4096]);
                while !request.windows(5).any(|w| w == b"Hello") {
                    match stream.read(&mut chunk).await {
                        Ok(n) if n > 0 => request.extend_from_slice(&chunk[..n]),
                        _ => return,
                    }
                }
                let body = r#"{"sid":"SM1","data":[{"id":1}]}"#;
                let answer = format!("HTTP/1.1 201 Created\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
                stream.write_all(answer.as_bytes()).await.ok();
                stream.shutdown().await.ok();
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_ca_is_trusted_where_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (ca, acceptor) = certificate(folder.path());
    let port = gateway(acceptor).await;
    // Of Kannel's interface, what answers there has no word: it was reached.
    for (ca_file, want) in [(Some(ca), ["accepted with id", "unknown", "accepted with id"]), (None, ["channel"; 3])] {
        let twilio = twilio::Settings { url: format!("https://localhost:{port}"), ca_file: ca_file.clone(), ..twilio_settings(port) };
        let kannel = kannel::Settings {
            url: format!("https://localhost:{port}/cgi-bin/sendsms"),
            username: "punctual".to_owned(),
            password: "s3cret".into(),
            from: None,
            callback_url: None,
            ca_file: ca_file.clone(),
            connections: 1,
            timeout: twilio.timeout,
        };
        let any = http::Settings { url: format!("https://localhost:{port}/"), ca_file, ..any_settings(port, &[201]) };
        let transports: [Box<dyn Transport>; 3] = [
            Box::new(twilio::Twilio::new(twilio).unwrap()),
            Box::new(kannel::Kannel::new(kannel).unwrap()),
            Box::new(http::Http::new(any).unwrap()),
        ];
        for (transport, want) in transports.iter().zip(want) {
            let outcome = transport.deliver(&message("Hello", SmsEncoding::Gsm7), &Open(true)).await;
            assert_eq!(kind(&outcome), want, "{}: {outcome:?}", transport.name());
        }
    }
    let nowhere = twilio::Settings { ca_file: Some("/nowhere/ca.pem".into()), ..twilio_settings(port) };
    assert!(twilio::Twilio::new(nowhere).err().unwrap().contains("ca_file"));
}
