//! The video files: whole, in parts, and only what is asked for.

use http::{Method, StatusCode};
use tower_callback::{
    Clock,
    testing::provider::{SimulatedProvider, TaskFault, TaskPlan, Video},
};

use crate::{
    client::{Client, Got},
    server::PATIENCE,
};

/// A provider with one video that is ready.
struct Shop {
    provider: SimulatedProvider,
    client: Client,
    url: String,
}

impl Shop {
    async fn open(seed: u64, plan: TaskPlan) -> Self {
        let provider = SimulatedProvider::builder()
            .seed(seed)
            .clock(Clock::scaled(1000))
            .task(plan.with(TaskFault::Silent))
            .start()
            .await
            .unwrap();
        let client = Client::of(&provider);
        let task = client.task("audio-1", "http://127.0.0.1:9/").await;
        tokio::time::timeout(PATIENCE, provider.until_idle())
            .await
            .unwrap();
        let details = client.details(&task).await;
        let url = details["data"]["response"]["videoUrl"].as_str().unwrap();
        Self {
            provider,
            client,
            url: url.to_owned(),
        }
    }

    fn video(&self) -> Video {
        self.provider.report().tasks()[0].video.unwrap()
    }

    async fn get(&self, headers: &[(&str, &str)]) -> Got {
        self.client.get(&self.url, headers).await
    }
}

#[tokio::test]
async fn a_whole_video_is_an_mp4_with_its_length_and_a_strong_validator() {
    let shop = Shop::open(7, TaskPlan::new()).await;
    let got = shop.get(&[]).await;
    assert_eq!(got.head.status, StatusCode::OK);
    assert!(got.whole);
    assert_eq!(&got.body[4..8], b"ftyp");
    assert_eq!(got.body, shop.video().bytes());
    assert!((64 * 1024..=256 * 1024).contains(&got.body.len()));
    assert_eq!(got.header("content-length"), got.body.len().to_string());
    assert_eq!(got.header("content-type"), "video/mp4");
    assert_eq!(got.header("accept-ranges"), "bytes");
    assert!(got.header("etag").starts_with('"') && got.header("etag").ends_with('"'));
    assert_eq!(shop.get(&[]).await.header("etag"), got.header("etag"));
}

#[tokio::test]
async fn a_range_is_answered_with_its_part_and_what_is_not_there_with_416() {
    let shop = Shop::open(7, TaskPlan::new().video_bytes(1000)).await;
    let whole = shop.video().bytes();
    let cases = [
        ("bytes=0-0", 206, "bytes 0-0/1000", 0..1),
        ("bytes=100-299", 206, "bytes 100-299/1000", 100..300),
        ("bytes=900-", 206, "bytes 900-999/1000", 900..1000),
        ("bytes=900-2000", 206, "bytes 900-999/1000", 900..1000),
        ("bytes=-10", 206, "bytes 990-999/1000", 990..1000),
        ("bytes=-2000", 206, "bytes 0-999/1000", 0..1000),
        ("bytes=1000-", 416, "bytes */1000", 0..0),
        ("bytes=-0", 416, "bytes */1000", 0..0),
        ("bytes=0-1,4-5", 200, "", 0..1000),
        ("items=0-1", 200, "", 0..1000),
    ];
    for (range, status, content_range, part) in cases {
        let got = shop.get(&[("range", range)]).await;
        assert_eq!(got.head.status, status, "{range}");
        assert_eq!(got.header("content-range"), content_range, "{range}");
        assert_eq!(
            got.header("content-length"),
            part.len().to_string(),
            "{range}"
        );
        assert_eq!(got.body, whole[part], "{range}");
    }
}

#[tokio::test]
async fn a_range_of_another_file_gives_the_whole_of_this_one() {
    let shop = Shop::open(7, TaskPlan::new().video_bytes(1000)).await;
    let etag = shop.get(&[]).await.header("etag").to_owned();
    let range = ("range", "bytes=10-19");
    let same = shop.get(&[range, ("if-range", &etag)]).await;
    assert_eq!((same.head.status.as_u16(), same.body.len()), (206, 10));
    let weak = format!("W/{etag}");
    let date = "Wed, 21 Oct 2015 07:28:00 GMT";
    for other in ["\"other\"", &weak, date] {
        let got = shop.get(&[range, ("if-range", other)]).await;
        assert_eq!(
            (got.head.status.as_u16(), got.body.len()),
            (200, 1000),
            "{other}"
        );
    }
}

#[tokio::test]
async fn a_head_says_what_a_get_would_and_brings_and_counts_nothing() {
    let shop = Shop::open(7, TaskPlan::new().with(TaskFault::VideoCut)).await;
    let head = shop
        .client
        .file(Method::HEAD, &shop.url, &[("range", "bytes=0-1")])
        .await;
    assert_eq!(head.head.status, StatusCode::OK);
    assert!(head.body.is_empty());
    assert_eq!(shop.provider.report().tasks()[0].downloads, 0);
    let get = shop.get(&[]).await;
    assert!(!get.whole, "the head did not take the fault away");
    for name in ["content-length", "content-type", "etag", "accept-ranges"] {
        assert_eq!(head.header(name), get.header(name), "{name}");
    }
    let post = shop.client.file(Method::POST, &shop.url, &[]).await;
    assert_eq!(post.head.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(post.header("allow"), "GET, HEAD");
}

#[tokio::test]
async fn the_end_of_a_file_that_fits_in_no_memory_is_there_at_once() {
    let terabyte = 1 << 40;
    let shop = Shop::open(7, TaskPlan::new().video_bytes(terabyte)).await;
    let got = shop.get(&[("range", "bytes=-5")]).await;
    assert_eq!(
        got.header("content-range"),
        "bytes 1099511627771-1099511627775/1099511627776"
    );
    assert_eq!(got.body, shop.video().part(terabyte - 5..terabyte));
}

#[tokio::test]
async fn a_seed_means_the_same_file_and_another_seed_another() {
    let plan = || TaskPlan::new().video_bytes(1000);
    let [first, same, other] = [7, 7, 8].map(|seed| Shop::open(seed, plan()));
    let (first, same, other) = tokio::join!(first, same, other);
    let (first, same, other) = (
        first.get(&[]).await,
        same.get(&[]).await,
        other.get(&[]).await,
    );
    assert_eq!(first.body, same.body);
    assert_eq!(first.header("etag"), same.header("etag"));
    assert_ne!(first.body, other.body);
    assert_ne!(first.header("etag"), other.header("etag"));
}

#[tokio::test]
async fn what_is_no_video_is_not_found() {
    let shop = Shop::open(7, TaskPlan::new()).await;
    let good = shop.url.strip_suffix("0.mp4").unwrap();
    for wrong in ["1.mp4", "0", "x.mp4", "-1.mp4", "99999999999999999999.mp4"] {
        let got = shop.client.get(&format!("{good}{wrong}"), &[]).await;
        assert_eq!(got.head.status, StatusCode::NOT_FOUND, "{wrong}");
    }
}
