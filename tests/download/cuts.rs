//! Connections that break, and servers that do not go on where they broke.

use std::{env, sync::Arc};

use tower_callback::download::DownloadErrorKind as Kind;

use crate::{
    server::{Server, answer, honest, video},
    support::{fails, succeeds},
};

/// A status, headers and a body.
type Wrong = (u16, Vec<(&'static str, &'static str)>, Vec<u8>);

const WHOLE: usize = usize::MAX;

pub(crate) async fn cuts_at_random_bytes_make_one_whole_file() {
    let seeds = env::var("SEEDS").map_or(8, |seeds| seeds.parse().unwrap());
    for seed in 0..seeds {
        let file = Arc::new(video(300_000, seed));
        let served = Arc::clone(&file);
        let server = Server::start(move |request| {
            let mut random = fastrand::Rng::with_seed(seed * 1000 + request.number as u64);
            honest(request, &served, "\"a\"", random.usize(..60_000))
        })
        .await;
        succeeds(&server, &file).await;
        let requests = server.requests();
        let froms: Vec<_> = requests
            .iter()
            .filter_map(|request| request.from())
            .collect();
        assert!(
            froms.len() >= 5 && froms.is_sorted(),
            "seed {seed}: {froms:?}"
        );
        let asked = |request: &crate::server::Request| request.header("if-range") == Some("\"a\"");
        assert!(
            requests
                .iter()
                .all(|request| request.from().is_none() || asked(request))
        );
    }
}

pub(crate) async fn a_server_that_ignores_ranges_is_asked_for_the_whole() {
    let file = Arc::new(video(200_000, 1));
    let served = Arc::clone(&file);
    let server = Server::start(move |request| {
        let mut whole = request.clone();
        whole.headers.retain(|(name, _)| name != "range");
        let cut = [50_000, 150_000, WHOLE][request.number];
        honest(&whole, &served, "\"a\"", cut)
    })
    .await;
    succeeds(&server, &file).await;
    assert_eq!(server.requests().len(), 3);
}

pub(crate) async fn a_file_that_changes_meanwhile_is_fetched_from_its_start() {
    let (old, new) = (Arc::new(video(200_000, 1)), Arc::new(video(200_000, 2)));
    let (first, second) = (Arc::clone(&old), Arc::clone(&new));
    let server = Server::start(move |request| match request.number {
        0 => honest(request, &first, "\"a\"", 100_000),
        _ => honest(request, &second, "\"b\"", WHOLE),
    })
    .await;
    succeeds(&server, &new).await;
}

pub(crate) async fn a_changed_file_sent_as_a_part_is_not_patched_together() {
    let (old, new) = (Arc::new(video(200_000, 1)), Arc::new(video(200_000, 2)));
    let (first, second) = (Arc::clone(&old), Arc::clone(&new));
    let server = Server::start(move |request| {
        // Regards no `If-Range`.
        let mut request = request.clone();
        request.headers.retain(|(name, _)| name != "if-range");
        match request.number {
            0 => honest(&request, &first, "\"a\"", 100_000),
            _ => honest(&request, &second, "\"b\"", WHOLE),
        }
    })
    .await;
    succeeds(&server, &new).await;
}

pub(crate) async fn wrong_parts_are_never_written() {
    let file = Arc::new(video(100_000, 3));
    let rest = |from: usize| video(100_000, 3)[from..].to_vec();
    let wrong: Vec<Wrong> = vec![
        // Another start than was asked for.
        (
            206,
            vec![
                ("content-range", "bytes 0-99999/100000"),
                ("content-length", "100000"),
            ],
            rest(0),
        ),
        (
            206,
            vec![
                ("content-range", "bytes 60000-99999/100000"),
                ("content-length", "40000"),
            ],
            rest(60_000),
        ),
        // Another whole.
        (
            206,
            vec![
                ("content-range", "bytes 50000-99999/100001"),
                ("content-length", "50000"),
            ],
            rest(50_000),
        ),
        // None that can be read.
        (
            206,
            vec![
                ("content-range", "bytes 50000-/100000"),
                ("content-length", "50000"),
            ],
            rest(50_000),
        ),
        (206, vec![("content-length", "50000")], rest(50_000)),
        (
            206,
            vec![
                ("content-type", "multipart/byteranges; boundary=x"),
                ("content-length", "3"),
            ],
            b"--x".to_vec(),
        ),
        // Another length than its range.
        (
            206,
            vec![
                ("content-range", "bytes 50000-99999/100000"),
                ("content-length", "3"),
            ],
            b"abc".to_vec(),
        ),
        // More bytes than its range.
        (
            206,
            vec![
                ("content-range", "bytes 50000-50001/100000"),
                ("transfer-encoding", "chunked"),
            ],
            b"3\r\nabc\r\n0\r\n\r\n".to_vec(),
        ),
        (
            416,
            vec![("content-range", "bytes */100000"), ("content-length", "0")],
            vec![],
        ),
        (
            416,
            vec![("content-range", "bytes */7"), ("content-length", "0")],
            vec![],
        ),
    ];
    for (status, headers, body) in wrong {
        let name = format!("{status} {headers:?}");
        let (served, headers) = (Arc::clone(&file), headers.clone());
        let server = Server::start(move |request| match request.number {
            0 => honest(request, &served, "\"a\"", 50_000),
            1 => vec![answer(status, &headers, &body)],
            _ => honest(request, &served, "\"a\"", WHOLE),
        })
        .await;
        succeeds(&server, &file).await;
        let froms: Vec<_> = server
            .requests()
            .iter()
            .map(|request| request.from())
            .collect();
        assert_eq!(froms, [None, Some(50_000), None], "{name}");
    }
}

pub(crate) async fn a_part_shorter_than_the_rest_is_taken_and_the_rest_asked_for() {
    let file = Arc::new(video(100_000, 3));
    let served = Arc::clone(&file);
    let server = Server::start(move |request| match request.number {
        0 => honest(request, &served, "\"a\"", 50_000),
        1 => {
            let headers = [
                ("content-range", "bytes 50000-69999/*"),
                ("content-length", "20000"),
            ];
            vec![answer(206, &headers, &served[50_000..70_000])]
        }
        _ => honest(request, &served, "\"a\"", WHOLE),
    })
    .await;
    succeeds(&server, &file).await;
    let froms: Vec<_> = server
        .requests()
        .iter()
        .map(|request| request.from())
        .collect();
    assert_eq!(froms, [None, Some(50_000), Some(70_000)]);
}

pub(crate) async fn what_does_not_identify_a_file_does_not_continue_it() {
    for etag in ["W/\"a\"", "a"] {
        let file = Arc::new(video(100_000, 3));
        let served = Arc::clone(&file);
        let server = Server::start(move |request| {
            honest(request, &served, etag, [50_000, WHOLE][request.number])
        })
        .await;
        succeeds(&server, &file).await;
        assert!(
            server
                .requests()
                .iter()
                .all(|request| request.from().is_none()),
            "{etag}"
        );
    }
}

pub(crate) async fn a_last_modified_of_another_second_continues_a_file() {
    let file = Arc::new(video(100_000, 3));
    let served = Arc::clone(&file);
    let server = Server::start(move |request| {
        let dates = [
            ("date", "Wed, 01 Jan 2025 00:00:09 GMT"),
            ("last-modified", "Wed, 01 Jan 2025 00:00:00 GMT"),
        ];
        match request.from() {
            None => vec![answer(
                200,
                &[dates[0], dates[1], ("content-length", "100000")],
                &served[..30_000],
            )],
            Some(from) => {
                assert_eq!(request.header("if-range"), Some(dates[1].1));
                let range = format!("bytes {from}-99999/100000");
                let headers = [dates[1], ("content-range", range.as_str())];
                vec![answer(206, &headers, &served[from..])]
            }
        }
    })
    .await;
    succeeds(&server, &file).await;
    assert_eq!(server.requests().len(), 2);
}

pub(crate) async fn a_part_of_a_file_of_another_or_no_date_is_not_patched_on() {
    const DATE: (&str, &str) = ("date", "Wed, 01 Jan 2025 00:00:09 GMT");
    const OLD: (&str, &str) = ("last-modified", "Wed, 01 Jan 2025 00:00:00 GMT");
    const NEW: (&str, &str) = ("last-modified", "Wed, 01 Jan 2025 00:00:07 GMT");
    for told in [vec![NEW], vec![]] {
        let new = Arc::new(video(100_000, 2));
        let replaced = Arc::clone(&new);
        // Regards no `If-Range`.
        let server = Server::start(move |request| match (request.number, request.from()) {
            (0, _) => {
                let headers = [DATE, OLD, ("content-length", "100000")];
                vec![answer(200, &headers, &video(30_000, 1))]
            }
            (_, None) => {
                let headers = [DATE, NEW, ("content-length", "100000")];
                vec![answer(200, &headers, &replaced)]
            }
            (_, Some(from)) => {
                let range = format!("bytes {from}-99999/100000");
                let mut headers = told.clone();
                headers.push(("content-range", &range));
                vec![answer(206, &headers, &replaced[from..])]
            }
        })
        .await;
        succeeds(&server, &new).await;
        let froms: Vec<_> = server.requests().iter().map(|it| it.from()).collect();
        assert_eq!(froms, [None, Some(30_000), None]);
    }
}

pub(crate) async fn a_server_with_another_file_each_time_is_left_in_the_end() {
    let server = Server::start(|request| {
        let file = video(100_000, request.number as u64);
        honest(request, &file, &format!("\"{}\"", request.number), 90_000)
    })
    .await;
    let directory = tempfile::tempdir().unwrap();
    let downloader = crate::support::into_directory(directory.path());
    let (at, url) = (directory.path(), server.url());
    let error = crate::support::fails_with(&downloader, at, &url, Kind::Inconsistent).await;
    assert!(error.is_retryable());
    assert!(server.requests().len() <= 8, "{}", server.requests().len());
}

pub(crate) async fn a_broken_connection_is_a_retryable_error_that_leaves_nothing() {
    let file = video(3_000_000, 1);
    let server = Server::start(move |request| honest(request, &file, "\"a\"", 2_500_000)).await;
    let error = fails(&server, Kind::Connection).await;
    assert!(error.is_retryable());
    assert_eq!(error.host(), Some(crate::server::HOST));
    assert_eq!(
        server.requests().len(),
        1,
        "the policy allows no other attempt"
    );
}
