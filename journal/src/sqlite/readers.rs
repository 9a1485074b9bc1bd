//! Reading beside the writer: short reads at once, long ones on threads of their own.

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use rusqlite::Connection;
use tokio::sync::{Semaphore, oneshot};

use super::OpenError;
use super::open;
use crate::JournalError;

/// Reading is short, and the machine small: more threads would only share its cores.
const THREADS: usize = 2;
/// Connections for short reads: one for each core of a small machine. Who finds them busy asks a thread.
const CONNECTIONS: usize = 2;
/// The most reads that wait; whoever comes after them waits to queue.
const WAITING_MAX: usize = 1_024;

type Read = Box<dyn FnOnce(&Connection) + Send>;

/// The reading threads and connections. They end when the last clone is gone.
#[derive(Clone)]
pub(super) struct Readers {
    queue: Sender<Read>,
    room: Arc<Semaphore>,
    connections: Arc<[Mutex<Connection>]>,
}

impl Readers {
    pub(super) fn start(directory: &Path) -> Result<Self, OpenError> {
        let (queue, reads) = channel::<Read>();
        let reads = Arc::new(Mutex::new(reads));
        for number in 0..THREADS {
            let connection = open::reader(directory)?;
            let reads = Arc::clone(&reads);
            std::thread::Builder::new()
                .name(format!("journal-reader-{number}"))
                .spawn(move || work(&connection, &reads))
                .map_err(OpenError::Thread)?;
        }
        let connections = (0..CONNECTIONS).map(|_| open::reader(directory).map(Mutex::new));
        let connections = connections.collect::<Result<Vec<_>, _>>()?.into();
        Ok(Self { queue, room: Arc::new(Semaphore::new(WAITING_MAX)), connections })
    }

    /// Reads a few rows by an index, at once where that is possible: waking a thread takes longer than the read.
    pub(super) async fn read_few<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        for connection in &*self.connections {
            match connection.try_lock() {
                Ok(connection) => return read(&connection),
                Err(TryLockError::Poisoned(poisoned)) => return read(&poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        self.read(read).await
    }

    /// Has one of the threads do something that nobody waits for.
    pub(super) fn begin(&self, work: impl FnOnce(&Connection) + Send + 'static) {
        // Without the threads nobody reads any more.
        let _ = self.queue.send(Box::new(work));
    }

    /// Reads on one of the threads, so that a slow disk holds up no runtime.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        let place = Arc::clone(&self.room).acquire_owned().await;
        let place = place.map_err(|_| JournalError::Closed)?;
        let (answer, answered) = oneshot::channel();
        let read: Read = Box::new(move |connection| {
            // Whoever asked may be gone; then nobody is told. Its place is taken until here all the same.
            let _ = answer.send(read(connection));
            drop(place);
        });
        self.queue.send(read).map_err(|_| JournalError::Closed)?;
        answered.await.map_err(|_| JournalError::Closed)?
    }
}

fn work(connection: &Connection, reads: &Mutex<Receiver<Read>>) {
    loop {
        let next = reads.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match next {
            Ok(read) => read(connection),
            Err(_) => return,
        }
    }
}
