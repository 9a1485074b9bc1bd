//! Questions over HTTP by a client that costs little: it shares the processor with the server that it asks.

use std::time::Instant;

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::TcpStream;

use crate::fleet::to_f64;

/// Where to ask, and as whom.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    /// `127.0.0.1:8080`.
    pub(crate) address: String,
    pub(crate) token: String,
}

/// A question, and what an answer says of itself when it is one.
#[derive(Clone, Copy)]
pub(crate) struct Question<V> {
    pub(crate) query: &'static str,
    /// By the number of the question.
    pub(crate) variables: V,
    pub(crate) proof: &'static str,
}

/// What is asked over: TCP, or TLS over it.
pub(crate) trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// A connection that stays.
pub(crate) struct Asker {
    stream: BufReader<Box<dyn Connection>>,
    head: String,
    line: String,
    answer: Vec<u8>,
}

/// How the end of an answer is told.
enum Length {
    Bytes(usize),
    Chunks,
}

impl Asker {
    async fn connect(access: &Access) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(&access.address).await?;
        stream.set_nodelay(true)?;
        Ok(Self::over(Box::new(stream), "/graphql", &access.address, &access.token))
    }

    /// Asks one path of one server, as somebody.
    pub(crate) fn over(stream: Box<dyn Connection>, path: &str, host: &str, token: &str) -> Self {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\n"
        );
        let stream = BufReader::new(stream);
        Self { stream, head, line: String::new(), answer: Vec::new() }
    }

    async fn ask(&mut self, body: &str) -> anyhow::Result<&str> {
        let request = format!("{}content-length: {}\r\n\r\n{body}", self.head, body.len());
        self.stream.write_all(request.as_bytes()).await?;
        self.stream.flush().await?;
        let (mut length, mut first) = (Length::Bytes(0), true);
        loop {
            let line = self.line().await?;
            if first {
                anyhow::ensure!(line.starts_with("http/1.1 20"), "{line}");
                first = false;
            } else if let Some(text) = line.strip_prefix("content-length:") {
                length = Length::Bytes(text.trim().parse()?);
            } else if line.starts_with("transfer-encoding: chunked") {
                length = Length::Chunks;
            } else if line.is_empty() {
                break;
            }
        }
        self.answer.clear();
        match length {
            Length::Bytes(bytes) => self.read(bytes).await?,
            Length::Chunks => loop {
                let bytes = usize::from_str_radix(&self.line().await?, 16)?;
                self.read(bytes).await?;
                self.line().await?;
                if bytes == 0 {
                    break;
                }
            },
        }
        std::str::from_utf8(&self.answer).context("an answer")
    }

    async fn line(&mut self) -> anyhow::Result<String> {
        self.line.clear();
        anyhow::ensure!(self.stream.read_line(&mut self.line).await? > 0, "no answer");
        Ok(self.line.trim_end().to_ascii_lowercase())
    }

    /// Reads so many bytes more of the answer.
    async fn read(&mut self, bytes: usize) -> anyhow::Result<()> {
        let read = self.answer.len();
        self.answer.resize(read + bytes, 0);
        let rest = self.answer.get_mut(read..).unwrap_or_default();
        self.stream.read_exact(rest).await?;
        Ok(())
    }
}

/// Asks so many questions by all connections at the same time, each answered before the next; gives how many a second.
pub(crate) async fn rate(
    askers: Vec<Asker>,
    count: u64,
    body: impl Fn(u64) -> String,
    proof: &'static str,
) -> anyhow::Result<f64> {
    let connections = u64::try_from(askers.len())?;
    let each = count.div_ceil(connections);
    let bodies: Vec<Vec<String>> = (0..connections)
        .map(|number| (number * each..(number + 1) * each).map(&body).collect())
        .collect();
    let mut asking = tokio::task::JoinSet::new();
    let start = Instant::now();
    for (mut asker, bodies) in askers.into_iter().zip(bodies) {
        asking.spawn(async move {
            for body in bodies {
                let answer = asker.ask(&body).await?;
                anyhow::ensure!(answer.contains(proof), "{answer}");
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = asking.join_next().await {
        ended??;
    }
    Ok(to_f64(each * connections) / start.elapsed().as_secs_f64())
}

impl Access {
    /// Asks so many questions by so many connections, each answered before the next; gives how many a second.
    pub(crate) async fn rate<V>(
        &self,
        connections: u64,
        count: u64,
        question: Question<V>,
    ) -> anyhow::Result<f64>
    where
        V: Fn(u64) -> Value,
    {
        let connect = (0..connections).map(|_| Asker::connect(self));
        let askers = futures::future::try_join_all(connect).await?;
        let body = |number: u64| {
            let variables = (question.variables)(number);
            json!({ "query": question.query, "variables": variables }).to_string()
        };
        rate(askers, count, body, question.proof).await
    }
}
