//! Reading one callback: with all tolerances, and beside it serde_json with all fields and none of
//! them.
//!
//! ```text
//! cargo bench --manifest-path benches/Cargo.toml --bench parse
//! ```

#[path = "../src/borrowed.rs"]
mod borrowed;

use std::time::SystemTime;

use divan::{Bencher, black_box};
use http::HeaderMap;
use tower_callback::{Callback, Event, MusicVideo};

use self::borrowed::Envelope;

const BODY: &[u8] = br#"{"code":200,"msg":"MP4 generated successfully.","data":{"task_id":"taskId_774b9aa0422f","video_url":"https://example.com/videos/video_847715e66259.mp4"}}"#;

fn main() {
    divan::main();
}

#[divan::bench]
fn music_video(bencher: Bencher<'_, '_>) {
    let headers = HeaderMap::new();
    let callback = Callback::new(BODY, SystemTime::UNIX_EPOCH, &headers);
    bencher.bench(|| MusicVideo::parse(black_box(&callback)));
}

#[divan::bench]
fn serde_json_borrowed(bencher: Bencher<'_, '_>) {
    bencher.bench(|| serde_json::from_slice::<Envelope<'_>>(black_box(BODY)));
}
