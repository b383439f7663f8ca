//! A provider on loopback that does what it is told, in a thread of its own: it survives the crashes of
//! whoever calls it.

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    thread,
};

use axum::{
    Router,
    body::Body,
    extract::{RawQuery, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};

/// How a submission is answered. All that is not told is [`Accept`](Answer::Accept).
#[derive(Clone, Debug)]
pub enum Answer {
    /// A new task, each time another one.
    Accept,
    /// A new task, and the connection breaks before that is said.
    AcceptAndCut,
    /// A new task, and the answer waits until [`Provider::release`].
    AcceptAndHold,
    /// 409 with the task that is there.
    Conflict(&'static str),
    /// Another code.
    Code(i64),
}

/// What is known of a task. Of all that is not told nothing is.
#[derive(Clone, Debug)]
pub enum View {
    Flag(&'static str, Option<&'static str>),
    Failed(i64),
    /// HTTP with a code: 200 means that of the body.
    Code(i64),
    /// HTTP 503 and no JSON.
    Down,
    /// That another task has succeeded.
    Other(&'static str),
}

pub const PENDING: View = View::Flag("PENDING", None);
pub const SUCCESS: View = View::Flag("SUCCESS", Some("https://example.com/v.mp4"));

#[derive(Clone)]
pub struct Provider {
    pub addr: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<Inner>,
    /// A permit for each held answer that is let go.
    released: Semaphore,
    acts: watch::Sender<usize>,
}

#[derive(Default)]
struct Inner {
    answers: VecDeque<Answer>,
    views: HashMap<String, View>,
    submitted: Vec<Value>,
    asked: Vec<String>,
    default: Option<View>,
}

impl Provider {
    pub fn start() -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            released: Semaphore::new(0),
            acts: watch::Sender::default(),
        });
        let app = Router::new()
            .route("/api/v1/mp4/generate", post(generate))
            .route("/api/v1/mp4/record-info", get(details))
            .with_state(Arc::clone(&shared));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let addr = listener.local_addr().unwrap();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                axum::serve(listener, app).await.unwrap();
            });
        });
        Self { addr, shared }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The next submissions are answered so.
    pub fn answer(&self, answers: impl IntoIterator<Item = Answer>) {
        self.inner().answers.extend(answers);
    }

    /// Lets go of one answer that is held.
    pub fn release(&self) {
        self.shared.released.add_permits(1);
    }

    pub fn show(&self, task: &str, view: View) {
        self.inner().views.insert(task.to_owned(), view);
    }

    /// Of every task that nothing else was told of.
    pub fn show_all(&self, view: View) {
        self.inner().default = Some(view);
    }

    /// The bodies of all submissions.
    pub fn submitted(&self) -> Vec<Value> {
        self.inner().submitted.clone()
    }

    /// The callback URL of a submission.
    pub fn callback_url(&self, at: usize) -> String {
        let url = &self.inner().submitted[at]["callBackUrl"];
        url.as_str().unwrap().to_owned()
    }

    /// How often the task was asked for.
    pub fn asked(&self, task: &str) -> usize {
        let inner = self.inner();
        inner.asked.iter().filter(|asked| *asked == task).count()
    }

    pub fn asked_at_all(&self) -> usize {
        self.inner().asked.len()
    }

    /// Changes each time the provider has taken a submission, before it answers.
    pub fn acts(&self) -> watch::Receiver<usize> {
        self.shared.acts.subscribe()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.shared.state.lock().unwrap()
    }
}

async fn generate(State(shared): State<Arc<Shared>>, body: String) -> Response {
    let (answer, number) = {
        let mut inner = shared.state.lock().unwrap();
        inner.submitted.push(serde_json::from_str(&body).unwrap());
        let answer = inner.answers.pop_front().unwrap_or(Answer::Accept);
        (answer, inner.submitted.len())
    };
    shared.acts.send_modify(|acts| *acts += 1);
    let task = |code, id: &str| answer_of(code, json!({ "taskId": id }));
    let new = format!("task-{number}");
    match answer {
        Answer::Accept => task(200, &new),
        Answer::Conflict(id) => task(409, id),
        Answer::Code(code) => answer_of(code, Value::Null),
        Answer::AcceptAndHold => {
            shared.released.acquire().await.unwrap().forget();
            task(200, &new)
        }
        Answer::AcceptAndCut => {
            let broken =
                futures_util::stream::iter([Err::<String, _>(std::io::Error::other("cut"))]);
            Body::from_stream(broken).into_response()
        }
    }
}

async fn details(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Response {
    // The ids of these tests need no percent-encoding.
    let id = query
        .as_deref()
        .and_then(|query| query.strip_prefix("taskId="));
    let id = id.unwrap();
    let view = {
        let mut inner = shared.state.lock().unwrap();
        inner.asked.push(id.to_owned());
        let view = inner.views.get(id).or(inner.default.as_ref());
        view.cloned()
    };
    let of_task = |id: &str, flag: &str, url: Option<&str>, code: Option<i64>| {
        let response = url.map(|url| json!({ "videoUrl": url }));
        let data = json!({
            "taskId": id, "successFlag": flag, "response": response,
            "errorCode": code, "errorMessage": code.map(|_| "no video"),
        });
        answer_of(200, data)
    };
    let of = |flag: &str, url, code| of_task(id, flag, url, code);
    match view {
        None => answer_of(200, Value::Null),
        Some(View::Other(id)) => of_task(id, "SUCCESS", Some("https://example.com/v.mp4"), None),
        Some(View::Flag(flag, url)) => of(flag, url, None),
        Some(View::Failed(code)) => of("GENERATE_MP4_FAILED", None, Some(code)),
        Some(View::Code(code)) => answer_of(code, Value::Null),
        Some(View::Down) => (http::StatusCode::SERVICE_UNAVAILABLE, "down").into_response(),
    }
}

fn answer_of(code: i64, data: Value) -> Response {
    let body = json!({ "code": code, "msg": "a word", "data": data });
    (
        [("content-type", "application/json")],
        serde_json::to_string(&body).unwrap(),
    )
        .into_response()
}
