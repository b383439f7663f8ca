//! What is printed and counted: by the service on the way out, and by the handler.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::extract::Request;
use http::Response;
use tokio::sync::{Mutex, MutexGuard, mpsc};
use tower::{Service, ServiceBuilder};
use tower_callback::{CallbackService, Disposition, front::ReplyBody};

/// Prints whole lines, in turn. Clones are the same report.
#[derive(Clone)]
pub(crate) struct Report {
    turn: Arc<Mutex<()>>,
    handled: Arc<AtomicU64>,
    answers: mpsc::UnboundedSender<Disposition>,
}

impl Report {
    /// A report, and what became of each callback.
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Disposition>) {
        let (answers, answered) = mpsc::unbounded_channel();
        let report = Self {
            turn: Arc::default(),
            handled: Arc::default(),
            answers,
        };
        (report, answered)
    }

    /// The same service, and the report learns what becomes of each callback. The caller learns only
    /// the status; the rest stands in the response's extensions, for middleware such as this.
    pub(crate) fn watch(
        &self,
        callback: CallbackService,
    ) -> impl Service<Request, Response = Response<ReplyBody>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + Sync
    + 'static {
        let answers = self.answers.clone();
        ServiceBuilder::new()
            .map_response(move |response: Response<ReplyBody>| {
                if let Some(disposition) = response.extensions().get() {
                    let _ = answers.send(*disposition);
                }
                response
            })
            .service(callback)
    }

    /// Nobody else prints until the guard is dropped.
    pub(crate) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// The handler was called. It waits for its turn, so that its line stands below that of the
    /// callback which brought the event.
    pub(crate) async fn handled(&self, line: &str, attempt: u32) {
        let _turn = self.turn().await;
        if attempt == 1 {
            println!("handler   {line}");
        } else {
            println!("handler   {line}  (attempt {attempt})");
        }
        self.handled.fetch_add(1, Ordering::Relaxed);
    }

    /// How often the handler was called.
    pub(crate) fn handler_calls(&self) -> u64 {
        self.handled.load(Ordering::Relaxed)
    }
}
