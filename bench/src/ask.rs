//! Questions over HTTP by a client that costs little: it shares the processor with the server that it asks.

use std::time::Instant;

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
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

/// A connection that stays.
struct Asker {
    stream: BufReader<TcpStream>,
    head: String,
    line: String,
    answer: Vec<u8>,
}

impl Asker {
    async fn connect(access: &Access) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(&access.address).await?;
        stream.set_nodelay(true)?;
        let head = format!(
            "POST /graphql HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n",
            access.address, access.token
        );
        let stream = BufReader::new(stream);
        Ok(Self { stream, head, line: String::new(), answer: Vec::new() })
    }

    async fn ask(&mut self, body: &str) -> anyhow::Result<&str> {
        let request = format!("{}content-length: {}\r\n\r\n{body}", self.head, body.len());
        self.stream.write_all(request.as_bytes()).await?;
        let (mut length, mut first) = (0, true);
        loop {
            self.line.clear();
            anyhow::ensure!(self.stream.read_line(&mut self.line).await? > 0, "no answer");
            let line = self.line.trim_end().to_ascii_lowercase();
            if first {
                anyhow::ensure!(line.starts_with("http/1.1 200"), "{line}");
                first = false;
            } else if let Some(text) = line.strip_prefix("content-length:") {
                length = text.trim().parse()?;
            } else if line.is_empty() {
                break;
            }
        }
        self.answer.resize(length, 0);
        self.stream.read_exact(&mut self.answer).await?;
        std::str::from_utf8(&self.answer).context("an answer")
    }
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
        let each = count.div_ceil(connections);
        let connect = (0..connections).map(|_| Asker::connect(self));
        let askers = futures::future::try_join_all(connect).await?;
        let body = |number: u64| {
            let variables = (question.variables)(number);
            json!({ "query": question.query, "variables": variables }).to_string()
        };
        let bodies: Vec<Vec<String>> = (0..connections)
            .map(|number| (number * each..(number + 1) * each).map(body).collect())
            .collect();
        let proof = question.proof;
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
}
