//! Somebody who submits, asks and downloads, one connection for each request.

use http::{Method, Request, StatusCode, response::Parts};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::TcpStream, task::JoinSet, time::timeout};
use tower_callback::testing::provider::SimulatedProvider;

use crate::server::PATIENCE;

#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) base_url: String,
    pub(crate) key: String,
}

/// What came of a request, as far as it came.
pub(crate) struct Got {
    pub(crate) head: Parts,
    pub(crate) body: Vec<u8>,
    /// Whether the body came to its end.
    pub(crate) whole: bool,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.head
            .headers
            .get(name)
            .map_or("", |it| it.to_str().unwrap())
    }
}

impl Client {
    pub(crate) fn of(provider: &SimulatedProvider) -> Self {
        Self {
            base_url: provider.base_url().to_owned(),
            key: provider.api_key().to_owned(),
        }
    }

    /// The body of the answer, unless the connection ends before.
    pub(crate) async fn try_generate(&self, submission: &Value) -> Option<Value> {
        let path = "/api/v1/mp4/generate";
        let got = self
            .send(Method::POST, path, &[], submission.to_string())
            .await?;
        Some(result(&got))
    }

    /// Submits a track, called back at this URL.
    pub(crate) async fn submit(&self, audio: &str, callback_url: &str) -> Value {
        self.try_generate(&submission(audio, callback_url))
            .await
            .unwrap()
    }

    /// Submits a track, and gives the task that came of it.
    pub(crate) async fn task(&self, audio: &str, callback_url: &str) -> String {
        let answer = self.submit(audio, callback_url).await;
        assert_eq!(answer["code"], 200, "{answer}");
        answer["data"]["taskId"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn details(&self, task_id: &str) -> Value {
        let path = format!("/api/v1/mp4/record-info?taskId={task_id}");
        result(
            &self
                .send(Method::GET, &path, &[], String::new())
                .await
                .unwrap(),
        )
    }

    pub(crate) async fn get(&self, url: &str, headers: &[(&str, &str)]) -> Got {
        self.file(Method::GET, url, headers).await
    }

    pub(crate) async fn file(&self, method: Method, url: &str, headers: &[(&str, &str)]) -> Got {
        let path = url
            .strip_prefix(&self.base_url)
            .expect("a URL of the provider's");
        self.send(method, path, headers, String::new())
            .await
            .unwrap()
    }

    /// `None`, if the connection ends before there is an answer.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Option<Got> {
        let host = self.base_url.strip_prefix("http://").unwrap();
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", host)
            .header("authorization", format!("Bearer {}", self.key));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body))).unwrap();
        let exchange = async {
            let stream = TokioIo::new(TcpStream::connect(host).await.unwrap());
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(stream).await.unwrap();
            let mut driver = JoinSet::new();
            driver.spawn(connection);
            let (head, mut rest) = sender.send_request(request).await.ok()?.into_parts();
            let mut body = Vec::new();
            let whole = loop {
                match rest.frame().await {
                    Some(Ok(frame)) => body.extend(frame.into_data().unwrap()),
                    Some(Err(_)) => break false,
                    None => break true,
                }
            };
            Some(Got { head, body, whole })
        };
        timeout(PATIENCE, exchange)
            .await
            .expect("an answer, or none")
    }
}

pub(crate) fn submission(audio: &str, callback_url: &str) -> Value {
    json!({ "taskId": "music-1", "audioId": audio, "callBackUrl": callback_url })
}

fn result(got: &Got) -> Value {
    assert_eq!(got.head.status, StatusCode::OK, "the body is the result");
    assert_eq!(got.header("content-type"), "application/json");
    serde_json::from_slice(&got.body).unwrap()
}
