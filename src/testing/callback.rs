//! One callback, made by hand.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Method, Request, Response,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST},
    request,
};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tower::{Service, ServiceExt};

use super::provider::{Signer, Target, exchange};
use crate::{BoxError, Clock, music_video::MusicVideo};

/// One callback of a task, a success if nothing else is said.
///
/// It can be given to a [`CallbackService`](crate::CallbackService) in process, or sent to a URL.
///
/// ```
/// use tower::ServiceExt;
/// use tower_callback::{Callbacks, MemoryStore, MusicVideo, Token, testing::callback};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let secret = "a-secret-of-32-characters-or-so";
/// let service = Callbacks::<MusicVideo>::new("music-video", Token::query("token", secret))
///     .store(MemoryStore::new())
///     .build_front()?;
/// let request = callback("task-1")
///     .failed(451, "no audio")
///     .query("token", secret)
///     .request("/music-video-callback")?;
/// let response = service.oneshot(request).await?;
/// assert_eq!(response.status(), 200);
/// # Ok(())
/// # }
/// ```
pub fn callback(task_id: impl Into<String>) -> CallbackBuilder {
    let task_id = task_id.into();
    let url = format!("https://example.com/videos/{task_id}.mp4");
    let event = MusicVideo::succeeded(task_id.as_str(), url);
    CallbackBuilder {
        task_id,
        ..callback_of(event.encode())
    }
}

/// One callback with any body: of another event, or of none.
///
/// ```
/// # use tower_callback::testing::callback_of;
/// let lyrics = callback_of(r#"{"code":200,"msg":"success","data":{"taskId":"11dc8b0f","data":[]}}"#);
/// let nonsense = callback_of("<html>");
/// # drop((lyrics, nonsense));
/// ```
pub fn callback_of(body: impl Into<Bytes>) -> CallbackBuilder {
    CallbackBuilder {
        body: body.into(),
        task_id: String::new(),
        query: String::new(),
        signer: None,
        head: Request::builder()
            .method(Method::POST)
            .header(CONTENT_TYPE, "application/json"),
    }
}

/// Builds one callback: see [`callback`].
#[must_use = "a callback does nothing until it is sent"]
pub struct CallbackBuilder {
    task_id: String,
    body: Bytes,
    query: String,
    head: request::Builder,
    signer: Option<Signer>,
}

impl CallbackBuilder {
    /// A success with this URL.
    pub fn succeeded(self, video_url: impl Into<String>) -> Self {
        let event = MusicVideo::succeeded(self.task_id.as_str(), video_url);
        self.event(&event)
    }

    /// A failure with any code.
    pub fn failed(self, code: i64, msg: impl Into<String>) -> Self {
        let event = MusicVideo::failed(self.task_id.as_str(), code, msg);
        self.event(&event)
    }

    /// This event.
    pub fn event(self, event: &MusicVideo) -> Self {
        self.body(event.encode())
    }

    /// Any body at all.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// A parameter of the query, such as the token.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        let mark = if self.query.is_empty() { "" } else { "&" };
        self.query.push_str(&format!("{mark}{name}={value}"));
        self
    }

    /// A header.
    pub fn header(
        mut self,
        name: impl TryInto<HeaderName, Error: Into<http::Error>>,
        value: impl TryInto<HeaderValue, Error: Into<http::Error>>,
    ) -> Self {
        self.head = self.head.header(name, value);
        self
    }

    /// A bearer token.
    pub fn bearer(self, token: &str) -> Self {
        self.header(AUTHORIZATION, format!("Bearer {token}"))
    }

    /// What a server adds to a request, such as the peer's address. It is not sent over a socket.
    pub fn extension(mut self, extension: impl Clone + Send + Sync + 'static) -> Self {
        self.head = self.head.extension(extension);
        self
    }

    /// A signature, made when the callback is. Of [`callback_of`], it knows no id that could be signed.
    pub fn sign(mut self, signer: &Signer) -> Self {
        self.signer = Some(signer.clone());
        self
    }

    /// The request, for driving a service in process. The path may have a query of its own.
    ///
    /// # Errors
    ///
    /// When path, query or a header is not what HTTP allows.
    pub fn request(self, path: &str) -> http::Result<Request<Full<Bytes>>> {
        let mark = match (self.query.is_empty(), path.contains('?')) {
            (true, _) => "",
            (false, true) => "&",
            (false, false) => "?",
        };
        let signed = self
            .signer
            .map(|signer| signer.headers(&self.task_id, &self.body, SystemTime::now()));
        let mut request = self
            .head
            .uri(format!("{path}{mark}{}", self.query))
            .body(Full::new(self.body))?;
        request.headers_mut().extend(signed.unwrap_or_default());
        Ok(request)
    }

    /// Gives it to a service in process, a [`CallbackService`](crate::CallbackService) or a whole app
    /// in which one is mounted at `path`, and waits for the answer.
    ///
    /// # Panics
    ///
    /// When it is no HTTP request, or the service fails: a test has nothing to go on with then.
    pub async fn call<S, B>(self, service: S, path: &str) -> Response<Bytes>
    where
        S: Service<Request<Full<Bytes>>, Response = Response<B>, Error: fmt::Debug>,
        B: Body<Error: fmt::Debug>,
    {
        let request = self.request(path).expect("the callback is an HTTP request");
        let response = service.oneshot(request).await.expect("the service answers");
        let (head, body) = response.into_parts();
        let body = body.collect().await.expect("the answer has a whole body");
        Response::from_parts(head, body.to_bytes())
    }

    /// Sends it to a callback URL, `http://127.0.0.1:8080/…`, and waits up to 15 s for the answer. With the
    /// feature `cli` it may be `https://…` too.
    ///
    /// # Errors
    ///
    /// When it is no callback for that URL, or there is no whole answer. The error does not repeat
    /// the URL.
    pub async fn send(self, url: &str) -> Result<Response<Bytes>, BoxError> {
        let target = Target::parse(url)?;
        let mut request = self.request(&target.path.to_string())?;
        request.headers_mut().insert(HOST, target.authority.clone());
        let sending = async {
            let stream = target.connect().await?;
            exchange(stream, request, &mut None).await
        };
        Clock::system()
            .timeout(Duration::from_secs(15), sending)
            .await
            .ok_or("there was no answer within 15 s")?
    }
}

impl fmt::Debug for CallbackBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallbackBuilder")
            .field("task_id", &self.task_id)
            .finish_non_exhaustive()
    }
}
