//! Some traffic of every kind, and what `/metrics` tells of it then.

use std::{net::SocketAddr, time::Duration};

use http::StatusCode;
use tokio::time::{sleep, timeout};
use tower_callback::{
    BoxError, MusicVideo,
    metrics::{FAMILIES, FamilyKind},
};

use crate::{PATH, RETIRING, SECRET, support::send};

/// Plays the provider, a stranger, a probe, and Prometheus.
pub(crate) async fn show(address: SocketAddr) -> Result<(), BoxError> {
    let post = async |token: &str, body: &str| {
        let target = format!("{PATH}?token={token}");
        let (status, _) = send(address, "POST", &target, &[], body).await?;
        Ok::<_, BoxError>(status)
    };
    let success = |task: &str| {
        let url = format!("http://{address}/videos/{task}.mp4");
        let body = MusicVideo::succeeded(task, url).encode();
        String::from_utf8_lossy(&body).into_owned()
    };
    for task in ["task-1", "task-2", "fails-once", "gives-up"] {
        expect(post(SECRET, &success(task)).await?, StatusCode::OK)?;
    }
    expect(post(RETIRING, &success("task-1")).await?, StatusCode::OK)?;
    expect(
        post("guessed", &success("task-3")).await?,
        StatusCode::UNAUTHORIZED,
    )?;
    expect(post(SECRET, "{").await?, StatusCode::BAD_REQUEST)?;

    // Three are handled, one of them at its second attempt, and one is given up.
    let settled = [
        "deliveries_total{endpoint=\"music-video\",source=\"callback\",result=\"handled\"} 3",
        "inbox_records{endpoint=\"music-video\",queue=\"events\",state=\"done\"} 3",
        "inbox_records{endpoint=\"music-video\",queue=\"events\",state=\"dead\"} 1",
        "inbox_records{endpoint=\"music-video\",queue=\"quarantine\",state=\"pending\"} 1",
    ];
    let scraped = async {
        loop {
            let (_, text) = send(address, "GET", "/metrics", &[], "").await?;
            if settled.iter().all(|line| text.contains(line)) {
                return Ok::<_, BoxError>(text);
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    let text = timeout(Duration::from_secs(60), scraped).await??;
    let missing = print(&text);
    let (status, report) = send(address, "GET", "/ready", &[], "").await?;
    println!("\nGET /ready: {status} {report}");
    expect(status, StatusCode::OK)?;
    match missing.as_slice() {
        [] => Ok(()),
        missing => Err(format!("{missing:?} are not told of").into()),
    }
}

fn expect(status: StatusCode, expected: StatusCode) -> Result<(), BoxError> {
    match status == expected {
        true => Ok(()),
        false => Err(format!("{status} instead of {expected}").into()),
    }
}

/// Prints what was scraped, a family after the other, without the buckets. Answers which are missing that this
/// build has.
fn print(text: &str) -> Vec<&'static str> {
    let mut missing = Vec::new();
    for family in FAMILIES {
        let name = family.name;
        let is_of = |line: &&str| match family.kind {
            FamilyKind::Histogram => {
                let rest = line.strip_prefix(name);
                rest.is_some_and(|rest| rest.starts_with("_sum") || rest.starts_with("_count"))
            }
            _ => line.starts_with(&format!("{name}{{")) || line.starts_with(&format!("{name} ")),
        };
        let mut lines: Vec<&str> = text.lines().filter(is_of).collect();
        lines.sort_unstable();
        println!("\n{name}: {}", family.about);
        for line in &lines {
            println!("  {line}");
        }
        if lines.is_empty() {
            match feature_of(name) {
                Some(feature) => println!("  (with the feature {feature})"),
                None => missing.push(name),
            }
        }
    }
    missing
}

/// What a family needs, and this build lacks.
fn feature_of(name: &str) -> Option<&'static str> {
    let is_of = |part: &str| name.contains(part);
    if is_of("_download") && !cfg!(feature = "download") {
        return Some("download");
    }
    if is_of("_disk_") && !cfg!(any(feature = "download", feature = "sqlite")) {
        return Some("sqlite or download");
    }
    None
}
