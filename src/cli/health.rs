//! `health`: asks the daemon on this machine whether it is well, as a container's HEALTHCHECK does.
//!
//! In: `[server] listen`. Out: the answer of `/readyz` or `/healthz`, in words. Failures: nothing listens, or it does not answer in time.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;

use super::Exit;
use crate::config::Config;

/// How long it may take to connect, and to answer: less than the time-out of the image's HEALTHCHECK.
const WITHIN: Duration = Duration::from_secs(4);
/// Most that is read of an answer.
const ANSWER_MAX: u64 = 64 << 10;

pub(super) fn health(config: &Config, alive: bool, json: bool) -> anyhow::Result<Exit> {
    let Some(server) = &config.server else { bail!("nothing can be asked: the daemon listens nowhere; set [server] listen") };
    let at = reached_at(server.listen);
    let (path, word) = if alive { ("/healthz", "healthy") } else { ("/readyz", "ready") };
    let says = ask(at, path)?;
    let well = says[word] == true;
    if json {
        out!("{says}");
        return Ok(if well { Exit::Done } else { Exit::Failed });
    }
    out!("{}{word}", if well { "" } else { "not " });
    for reason in ["reasons", "warnings"].iter().flat_map(|key| says[*key].as_array().into_iter().flatten()) {
        out!("{}", reason.as_str().unwrap_or_default());
    }
    Ok(if well { Exit::Done } else { Exit::Failed })
}

/// What the daemon on this machine warns of, as far as it can be asked: what only it knows, such as a source that it cannot read for now.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    let says = config.server.as_ref().and_then(|server| ask(reached_at(server.listen), "/readyz").ok()).unwrap_or_default();
    let warnings = says["warnings"].as_array().map(Vec::as_slice).unwrap_or_default();
    warnings.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Where a daemon that listens everywhere is reached from its own machine.
fn reached_at(listen: SocketAddr) -> SocketAddr {
    let here = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(here, listen.port())
}

fn ask(at: SocketAddr, path: &str) -> anyhow::Result<Value> {
    let mut stream = TcpStream::connect_timeout(&at, WITHIN).with_context(|| format!("the daemon does not listen at {at}"))?;
    stream.set_read_timeout(Some(WITHIN))?;
    stream.set_write_timeout(Some(WITHIN))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut answer).with_context(|| format!("{at} does not answer"))?;
    said(&String::from_utf8_lossy(&answer)).with_context(|| format!("what answers at {at} is not Punctual, or has another configuration"))
}

/// The facts of an answer. `None`: it has none of ours.
fn said(answer: &str) -> Option<Value> {
    let (_, body) = answer.split_once("\r\n\r\n")?;
    let says: Value = serde_json::from_str(body).ok()?;
    (says["ready"].is_boolean() || says["healthy"].is_boolean()).then_some(says)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_that_listens_everywhere_is_asked_on_its_own_machine() {
        for (listens, asked) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:8080", "[::1]:8080"),
            ("192.0.2.7:80", "192.0.2.7:80"),
            ("127.0.0.1:1", "127.0.0.1:1"),
        ] {
            assert_eq!(reached_at(listens.parse().unwrap()), asked.parse().unwrap());
        }
    }

    #[test]
    fn another_server_is_not_taken_for_ours() {
        assert!(said("HTTP/1.1 200 OK\r\n\r\n<html>").is_none());
        assert!(said("HTTP/1.1 200 OK\r\n\r\n{}").is_none());
        assert!(said("HTTP/1.1 403 Forbidden\r\n\r\n{\"title\":\"x\"}").is_none());
        assert_eq!(said("HTTP/1.1 200 OK\r\n\r\n{\"ready\":true}").unwrap()["ready"], true);
    }
}
