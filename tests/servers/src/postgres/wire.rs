//! As much of PostgreSQL's protocol as tests need to look at a server from outside: one question at a time.
//!
//! The program under test has a real client; this one must not share its mistakes.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// The version of the protocol: 3.0.
const PROTOCOL: u32 = 196_608;
/// How long an answer may take. A frozen server gives none.
const ANSWER: Duration = Duration::from_secs(10);
/// The longest message that is read.
const MESSAGE_BYTES_MAX: u32 = 64 << 20;

/// The values of a row as text; none is NULL.
pub type Row = Vec<Option<String>>;

/// Connects, asks, and gives the rows.
pub(super) fn query(port: u16, user: &str, database: &str, sql: &str) -> Result<Vec<Row>, String> {
    let ask = || -> io::Result<Vec<Row>> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut stream = TcpStream::connect_timeout(&address, ANSWER)?;
        stream.set_read_timeout(Some(ANSWER))?;
        let mut hello = PROTOCOL.to_be_bytes().to_vec();
        for text in ["user", user, "database", database, ""] {
            hello.extend(text.as_bytes());
            hello.push(0);
        }
        stream.write_all(&frame(&hello))?;
        until_ready(&mut stream)?;
        let text = [sql.as_bytes(), &[0]].concat();
        stream.write_all(&[&b"Q"[..], &frame(&text)].concat())?;
        until_ready(&mut stream)
    };
    ask().map_err(|error| error.to_string())
}

/// A message's content with its length, which counts itself, before it.
fn frame(content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len() + 4).unwrap_or(u32::MAX);
    [&length.to_be_bytes()[..], content].concat()
}

/// Reads messages until the server waits for the next question; gives the rows among them.
fn until_ready(stream: &mut TcpStream) -> io::Result<Vec<Row>> {
    let (mut rows, mut error) = (Vec::new(), None);
    loop {
        let mut head = [0; 5];
        let ended = stream.read_exact(&mut head).err();
        if let Some(ended) = ended {
            return Err(error.unwrap_or(ended));
        }
        let [sort, length @ ..] = head;
        let length = u32::from_be_bytes(length).saturating_sub(4);
        if length > MESSAGE_BYTES_MAX {
            return Err(io::Error::other("not PostgreSQL"));
        }
        let mut content = vec![0; length as usize];
        stream.read_exact(&mut content)?;
        match sort {
            b'Z' => return error.map_or(Ok(rows), Err),
            b'D' => rows.push(row(&content).ok_or_else(|| io::Error::other("not a row"))?),
            b'E' => error = Some(io::Error::other(told(&content))),
            b'R' if content != [0; 4] => return Err(io::Error::other("it wants a password")),
            _ => {}
        }
    }
}

fn row(content: &[u8]) -> Option<Row> {
    let (count, mut rest) = content.split_first_chunk()?;
    let mut values = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let (length, after) = rest.split_first_chunk()?;
        // A length of -1 is NULL.
        let value = match usize::try_from(i32::from_be_bytes(*length)) {
            Err(_) => {
                rest = after;
                None
            }
            Ok(length) => {
                let (value, after) = after.split_at_checked(length)?;
                rest = after;
                Some(String::from_utf8_lossy(value).into_owned())
            }
        };
        values.push(value);
    }
    Some(values)
}

/// The fields of an error that say what it is: its code and its message.
fn told(content: &[u8]) -> String {
    let fields = content.split(|byte| *byte == 0).filter_map(|field| {
        let (sort, text) = field.split_first()?;
        matches!(sort, b'C' | b'M').then(|| String::from_utf8_lossy(text))
    });
    fields.collect::<Vec<_>>().join(" ")
}
