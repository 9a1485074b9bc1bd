//! A server of files, for repositories and registries of charts.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What is answered: a status, headers, a body.
pub(crate) type Answer = (u16, Vec<(String, String)>, Vec<u8>);

/// What is served, and what was asked for.
#[derive(Default)]
struct Shelf {
    answers: BTreeMap<String, Answer>,
    asked: Vec<String>,
}

/// Serves for as long as the test runs.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) address: String,
    shelf: Arc<Mutex<Shelf>>,
}

impl Server {
    /// Where a repository of it is.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Serves nothing yet.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shelf: Arc<Mutex<Shelf>> = Arc::default();
        let server = Self { address, shelf: Arc::clone(&shelf) };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shelf = Arc::clone(&shelf);
                std::thread::spawn(move || answer(stream, &shelf));
            }
        });
        server
    }

    /// Serves something at a path.
    pub(crate) fn put(&self, path: &str, body: &[u8]) {
        self.put_answer(path, (200, Vec::new(), body.to_vec()));
    }

    /// Answers so at a path.
    pub(crate) fn put_answer(&self, path: &str, answer: Answer) {
        self.shelf.lock().unwrap().answers.insert(path.to_owned(), answer);
    }

    /// The heads of the requests that came, without those before.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.shelf.lock().unwrap().asked)
    }
}

fn answer(mut stream: TcpStream, shelf: &Mutex<Shelf>) {
    let mut head = String::new();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while reader.read_line(&mut head).is_ok_and(|read| read > 2) {}
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let missing = (404, Vec::new(), Vec::new());
    let mut answered = {
        let mut shelf = shelf.lock().unwrap();
        shelf.asked.push(head.clone());
        shelf.answers.get(&path).cloned().unwrap_or(missing)
    };
    // A registry that wants a token says where anybody is given one.
    if answered.1.iter().any(|(name, _)| name == "www-authenticate") {
        let has_token = head.to_lowercase().contains("authorization: bearer anybodys");
        answered.0 = if has_token { 200 } else { 401 };
    }
    let (status, headers, body) = answered;
    let mut text = format!(
        "HTTP/1.1 {status} it is\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    headers.iter().for_each(|(name, value)| text += &format!("{name}: {value}\r\n"));
    let _ = stream.write_all(format!("{text}\r\n").as_bytes());
    let _ = stream.write_all(&body);
}
