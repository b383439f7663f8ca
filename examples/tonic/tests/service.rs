//! One port, two kinds of callers: gRPC clients and the provider.

use std::{future::poll_fn, net::SocketAddr, time::Duration};

use http::Version;
use tokio::{
    net::TcpListener,
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tonic::{Code, Request, body::Body, client::Grpc, service::Routes, transport::Channel};
use tonic_example::{
    FindReply, FindRequest, SECRET, provider::succeed, serve, videos_client::VideosClient,
};
use tower::Service as _;
use tower_callback::BoxError;

struct Service {
    address: SocketAddr,
    stop: watch::Sender<()>,
    serving: JoinHandle<Result<(), BoxError>>,
}

impl Service {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(());
        let serving = tokio::spawn(serve(listener, stopped));
        Self {
            address,
            stop,
            serving,
        }
    }

    async fn callback(&self, version: Version, path: &str, task: &str) -> u16 {
        let status = succeed(self.address, version, path, task).await.unwrap();
        status.as_u16()
    }

    async fn client(&self) -> VideosClient<Channel> {
        VideosClient::connect(format!("http://{}", self.address))
            .await
            .unwrap()
    }

    /// What the gRPC method answers once the event was handled.
    async fn found(&self, task: &str) -> String {
        let mut client = self.client().await;
        let found = async {
            loop {
                let task_id = task.to_owned();
                match client.find(FindRequest { task_id }).await {
                    Ok(reply) => return reply.into_inner().video_url,
                    Err(status) => assert_eq!(status.code(), Code::NotFound),
                }
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(30), found).await.unwrap()
    }

    async fn stop(self) {
        drop(self.stop);
        timeout(Duration::from_secs(60), self.serving)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    }
}

fn url() -> String {
    format!("/music-video-callback?token={SECRET}")
}

#[tokio::test]
async fn the_grpc_method_answers_beside_the_callback() {
    let service = Service::start().await;
    let request = FindRequest {
        task_id: "unknown".to_owned(),
    };
    let status = service.client().await.find(request).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(status.message(), "no video yet");
    service.stop().await;
}

#[tokio::test]
async fn callbacks_arrive_over_http_1_and_http_2_and_reach_the_handler() {
    let service = Service::start().await;
    assert_eq!(service.callback(Version::HTTP_11, &url(), "one").await, 200);
    assert_eq!(service.callback(Version::HTTP_2, &url(), "two").await, 200);
    assert_eq!(service.found("one").await, "https://example.com/one.mp4");
    assert_eq!(service.found("two").await, "https://example.com/two.mp4");
    service.stop().await;
}

#[tokio::test]
async fn callbacks_without_the_token_are_refused() {
    let service = Service::start().await;
    for version in [Version::HTTP_11, Version::HTTP_2] {
        for path in [
            "/music-video-callback",
            "/music-video-callback?token=guessed",
        ] {
            assert_eq!(service.callback(version, path, "one").await, 401, "{path}");
        }
    }
    service.stop().await;
}

#[tokio::test]
async fn a_wrong_path_is_404_and_not_200() {
    let service = Service::start().await;
    for version in [Version::HTTP_11, Version::HTTP_2] {
        for path in ["/", "/music-video-callbacks", "/callback"] {
            let path = format!("{path}?token={SECRET}");
            assert_eq!(service.callback(version, &path, "one").await, 404, "{path}");
        }
    }
    service.stop().await;
}

/// Why the service is not mounted on these: the provider would take that for an acknowledgement.
#[tokio::test]
async fn plain_routes_of_tonic_answer_a_wrong_path_with_http_200_and_a_grpc_status() {
    let mut routes = Routes::default();
    poll_fn(|cx| tower::Service::<http::Request<Body>>::poll_ready(&mut routes, cx))
        .await
        .unwrap();
    let request = http::Request::post("/music-video-callbacks").body(Body::empty());
    let answer = routes.call(request.unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["grpc-status"], "12");
}

#[tokio::test]
async fn a_grpc_client_still_understands_the_404_of_an_unknown_service() {
    let service = Service::start().await;
    let channel = Channel::from_shared(format!("http://{}", service.address)).unwrap();
    let mut client = Grpc::new(channel.connect().await.unwrap());
    client.ready().await.unwrap();
    let answer = client
        .unary(
            Request::new(FindRequest::default()),
            http::uri::PathAndQuery::from_static("/example.v1.Other/Find"),
            tonic_prost::ProstCodec::<FindRequest, FindReply>::default(),
        )
        .await;
    assert_eq!(answer.unwrap_err().code(), Code::Unimplemented);
    service.stop().await;
}
