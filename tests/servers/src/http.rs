//! The little that is asked of a server by hand.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// How long an answer may take to a question that is asked again and again. A frozen server gives none.
const ANSWER: Duration = Duration::from_secs(2);

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Such as `GET`.
    pub method: &'a str,
    /// With its query.
    pub path: &'a str,
    /// Lines of the header, by name.
    pub headers: &'a [(&'a str, &'a str)],
    /// What is sent along.
    pub body: &'a [u8],
}

/// Asks a loopback port for a path; gives the status and the body.
///
/// # Errors
/// Where nobody listens or answers in time.
pub fn get(port: u16, path: &str) -> io::Result<(u16, String)> {
    let (status, body) =
        ask(port, &Request { method: "GET", path, headers: &[], body: &[] }, ANSWER)?;
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

/// Asks a loopback port, and waits so long for the answer; gives the status and the body.
///
/// # Errors
/// Where nobody listens or answers in time.
pub fn ask(port: u16, request: &Request<'_>, patience: Duration) -> io::Result<(u16, Vec<u8>)> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_read_timeout(Some(patience))?;
    // Version 1.0: the body ends with the connection.
    let Request { method, path, headers, body } = request;
    let mut head = format!("{method} {path} HTTP/1.0\r\nHost: localhost:{port}\r\n");
    for (name, value) in *headers {
        head += &format!("{name}: {value}\r\n");
    }
    write!(stream, "{head}Content-Length: {}\r\n\r\n", body.len())?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n");
    let body = end.map(|end| answer.split_off(end + 4)).unwrap_or_default();
    let status = String::from_utf8_lossy(&answer).split(' ').nth(1).map(str::parse);
    Ok((status.and_then(Result::ok).unwrap_or_default(), body))
}
