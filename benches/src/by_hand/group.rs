//! Group commit in its plainest form: a thread that takes whatever waits, and commits it.

use std::{io, thread};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

/// As many as ours takes at once.
const BATCH: usize = 1024;

#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) id: [u8; 24],
    pub(crate) body: Bytes,
}

/// Where records are kept.
pub(crate) trait Log: Send + 'static {
    /// Returns when all of them are durable.
    fn commit(&mut self, records: &[Record]) -> io::Result<()>;
}

type Waiting = (Record, oneshot::Sender<()>);

/// Hands records to the thread.
#[derive(Clone)]
pub(crate) struct Group(mpsc::UnboundedSender<Waiting>);

impl Group {
    pub(crate) fn start(mut log: impl Log) -> Self {
        let (sender, mut receiver) = mpsc::unbounded_channel::<Waiting>();
        thread::spawn(move || {
            let mut waiting = Vec::new();
            while receiver.blocking_recv_many(&mut waiting, BATCH) > 0 {
                let (records, waiters): (Vec<_>, Vec<_>) = waiting.drain(..).unzip();
                log.commit(&records).expect("it can be committed");
                for waiter in waiters {
                    // Who left does not want to know.
                    let _ = waiter.send(());
                }
            }
        });
        Self(sender)
    }

    /// Resolves when the record is durable.
    pub(crate) async fn insert(&self, record: Record) -> io::Result<()> {
        let (sender, receiver) = oneshot::channel();
        let gone = |_| io::Error::other("the thread has ended");
        self.0.send((record, sender)).map_err(|_| gone(()))?;
        receiver.await.map_err(|_| gone(()))
    }
}
