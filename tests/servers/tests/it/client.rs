//! As much of the NATS protocol as it takes to publish and to ask.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};
use servers::until;

/// How long an answer may take. A cluster that has just changed its leader may give none.
const ANSWER: Duration = Duration::from_secs(2);

/// A client of one connection, with a subject of its own for answers.
pub(crate) struct Client(BufReader<TcpStream>, String);

impl Client {
    pub(crate) fn connect(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(ANSWER))?;
        let answers = format!("answers.{}", stream.local_addr()?.port());
        let hello = format!("CONNECT {{\"verbose\":false}}\r\nSUB {answers} 1\r\n");
        let mut client = Self(BufReader::new(stream), answers);
        client.line()?;
        client.write(hello.as_bytes())?;
        Ok(client)
    }

    /// Sends a request and does not wait.
    pub(crate) fn send(&mut self, subject: &str, content: &str) -> io::Result<()> {
        let (answers, length) = (&self.1, content.len());
        let message = format!("PUB {subject} {answers} {length}\r\n{content}\r\n");
        self.write(message.as_bytes())
    }

    /// The next answer.
    pub(crate) fn answer(&mut self) -> io::Result<Value> {
        loop {
            let line = self.line()?;
            if line.starts_with("PING") {
                self.write(b"PONG\r\n")?;
            } else if let Some(message) = line.strip_prefix("MSG ") {
                let length: usize = message.rsplit(' ').next().unwrap().parse().unwrap();
                let mut content = vec![0; length + 2];
                self.0.read_exact(&mut content)?;
                return Ok(serde_json::from_slice(&content)?);
            }
        }
    }

    pub(crate) fn ask(&mut self, subject: &str, content: &str) -> Value {
        self.send(subject, content).unwrap();
        self.answer().unwrap()
    }

    /// Makes a JetStream stream `T` for `t.>`.
    pub(crate) fn create_stream(&mut self, replicas: usize) {
        let config =
            json!({"name": "T", "subjects": ["t.>"], "storage": "file", "num_replicas": replicas});
        let created = self.ask("$JS.API.STREAM.CREATE.T", &config.to_string());
        assert!(created.get("error").is_none(), "{created}");
    }

    /// Publishes to the stream; gives the sequence number that was acknowledged.
    pub(crate) fn publish(&mut self) -> u64 {
        let ack = self.ask("t.a", "x");
        ack["seq"].as_u64().unwrap_or_else(|| panic!("{ack}"))
    }

    /// How many messages are in the stream, as soon as somebody says it.
    pub(crate) fn messages(&mut self) -> u64 {
        until("an answer about the stream", || {
            self.send("$JS.API.STREAM.INFO.T", "").unwrap();
            self.answer().ok()?.pointer("/state/messages")?.as_u64()
        })
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.get_mut().write_all(bytes)
    }
}
