//! A relay that takes its time: for measurements of what is sent to it.
//!
//! `relay DELAY_MS` listens on a port of 127.0.0.1 that the system gives out, prints it, and speaks SMTP with PIPELINING; the answer to each
//! final dot comes so many milliseconds after it. `relay DELAY_MS http` is a gateway of text messages instead, which answers each request with 200
//! and a number of its own after as long. When its standard input ends it prints what it took, as JSON. One blocking thread for each
//! connection: an event loop's timers would round the delay up.

#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on fails")]

use std::collections::HashSet;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write, stdin};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

#[derive(Default)]
struct Taken {
    messages: usize,
    bytes: usize,
    recipients: HashSet<String>,
    first: Option<Instant>,
    last: Option<Instant>,
}

fn main() {
    let delay = Duration::from_millis(std::env::args().nth(1).map_or(0, |ms| ms.parse().unwrap()));
    let is_gateway = std::env::args().nth(2).is_some_and(|kind| kind == "http");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    let taken = Arc::new(Mutex::new(Taken::default()));
    let counted = Arc::clone(&taken);
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let taken = Arc::clone(&counted);
            // A client that goes away ends its thread, and nothing else.
            std::thread::spawn(move || {
                let connection = connection.unwrap();
                if is_gateway { answer(connection, delay, &taken).ok() } else { serve(connection, delay, &taken).ok() }
            });
        }
    });
    stdin().read_to_end(&mut Vec::new()).unwrap();
    let taken = taken.lock().unwrap();
    let span = taken.first.zip(taken.last).map_or(0.0, |(first, last)| (last - first).as_secs_f64());
    let (messages, bytes, recipients) = (taken.messages, taken.bytes, taken.recipients.len());
    println!(r#"{{"messages": {messages}, "bytes": {bytes}, "recipients": {recipients}, "seconds": {span:.3}}}"#);
}

fn serve(mut connection: TcpStream, delay: Duration, taken: &Mutex<Taken>) -> std::io::Result<()> {
    connection.set_nodelay(true)?;
    let mut heard = BufReader::with_capacity(64 * 1024, connection.try_clone()?);
    let (mut line, mut answers) = (Vec::new(), b"220 relay.example.com ESMTP\r\n".to_vec());
    loop {
        // What was asked at once is answered at once.
        if heard.buffer().is_empty() {
            connection.write_all(&std::mem::take(&mut answers))?;
        }
        line.clear();
        if heard.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        match line.get(..4).unwrap_or_default().to_ascii_uppercase().as_slice() {
            b"EHLO" => answers.extend(b"250-relay.example.com\r\n250 PIPELINING\r\n"),
            b"RCPT" => {
                let mut taken = taken.lock().unwrap();
                taken.first.get_or_insert_with(Instant::now);
                taken.recipients.insert(String::from_utf8_lossy(&line).trim().to_owned());
                answers.extend(b"250 2.1.5 Ok\r\n");
            }
            b"DATA" => {
                answers.extend(b"354 go on\r\n");
                connection.write_all(&std::mem::take(&mut answers))?;
                let bytes = body(&mut heard, &mut line)?;
                std::thread::sleep(delay);
                let mut taken = taken.lock().unwrap();
                taken.messages += 1;
                taken.bytes += bytes;
                taken.last = Some(Instant::now());
                answers.extend(b"250 2.0.0 Ok: queued as 4F1A22\r\n");
            }
            b"QUIT" => return connection.write_all(b"221 2.0.0 Bye\r\n"),
            _ => answers.extend(b"250 2.0.0 Ok\r\n"),
        }
    }
}

/// Requests with a length, one after another on one connection. Each body is taken for a recipient.
fn answer(mut connection: TcpStream, delay: Duration, taken: &Mutex<Taken>) -> std::io::Result<()> {
    connection.set_nodelay(true)?;
    let mut heard = BufReader::with_capacity(64 * 1024, connection.try_clone()?);
    let mut line = String::new();
    loop {
        let mut length = 0;
        loop {
            line.clear();
            if heard.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if line.trim().is_empty() {
                break;
            }
            if let Some((_, value)) = line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("content-length")) {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        heard.read_exact(&mut body)?;
        taken.lock().unwrap().first.get_or_insert_with(Instant::now);
        std::thread::sleep(delay);
        let mut all = taken.lock().unwrap();
        all.messages += 1;
        all.bytes += length;
        all.recipients.insert(String::from_utf8_lossy(&body).into_owned());
        all.last = Some(Instant::now());
        let said = format!(r#"{{"id": "m{}"}}"#, all.messages);
        drop(all);
        write!(connection, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{said}", said.len())?;
    }
}

/// Reads up to the final dot; how many bytes that were.
fn body(heard: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<usize> {
    let mut bytes = 0;
    loop {
        line.clear();
        bytes += heard.read_until(b'\n', line)?;
        if line == b".\r\n" {
            return Ok(bytes);
        }
        if line.is_empty() {
            // It closed before the final dot: that is no message.
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
}
