//! Where a download goes, and where it does not go.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tower_callback::download::{DownloadErrorKind as Kind, Downloader};

use crate::{
    server::{Server, honest, redirect, video},
    support::{fails, fails_at, fails_with, impatient, relaxed, succeeds},
};

/// Somebody at an address that is not public here.
async fn victim() -> Server {
    let file = video(1000, 1);
    Server::start_at("127.0.0.2", move |request| {
        honest(request, &file, "\"a\"", usize::MAX)
    })
    .await
}

pub(crate) async fn a_redirect_is_followed_and_only_so_many() {
    let file = Arc::new(video(1000, 1));
    let served = Arc::clone(&file);
    let server = Server::start(move |request| match request.number {
        0 => redirect("/elsewhere.mp4"),
        1 => redirect("other.mp4?x=1"),
        _ => honest(request, &served, "\"a\"", usize::MAX),
    })
    .await;
    succeeds(&server, &file).await;
    let targets: Vec<_> = server
        .requests()
        .into_iter()
        .map(|request| request.target)
        .collect();
    assert_eq!(targets[1..], ["/elsewhere.mp4", "/other.mp4?x=1"]);

    let around = Server::start(|_| redirect("/again")).await;
    assert!(!fails(&around, Kind::Redirect).await.is_retryable());
    assert_eq!(around.requests().len(), 6);
}

pub(crate) async fn a_redirect_to_nowhere_is_refused() {
    for to in [
        "file:///etc/passwd",
        "ftp://video.test/v.mp4",
        "data:video/mp4;base64,AAAA",
        "gopher://video.test/",
        "http://user:secret@video.test/",
        "http://",
        "//[",
    ] {
        let server = Server::start(move |_| redirect(to)).await;
        fails(&server, Kind::Redirect).await;
        assert_eq!(server.requests().len(), 1, "{to}");
    }
    let silent =
        Server::start(|_| vec![crate::server::answer(302, &[("content-length", "0")], b"")]).await;
    fails(&silent, Kind::Redirect).await;
}

pub(crate) async fn a_redirect_to_an_address_that_is_not_public_is_refused_and_not_followed() {
    let victim = victim().await;
    let port = victim.addr.port();
    for to in [
        format!("http://127.0.0.2:{port}/"),
        format!("//127.0.0.2:{port}/"),
        format!("http://0x7f000002:{port}/"),
        format!("http://2130706434:{port}/"),
        format!("http://127.2:{port}/"),
        format!("http://[::ffff:127.0.0.2]:{port}/"),
        format!("http://[::ffff:7f00:2]:{port}/"),
        format!("http://private.test:{port}/"),
        "http://localhost.lan.test/".replace("localhost.", ""),
        "http://10.0.0.1/".to_owned(),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://[::1]/".to_owned(),
        "http://[fe80::1]/".to_owned(),
        "http://[64:ff9b::7f00:2]/".to_owned(),
        "http://0.0.0.0/".to_owned(),
    ] {
        let target = to.clone();
        let server = Server::start(move |_| redirect(&target)).await;
        let error = fails(&server, Kind::NotPublic).await;
        assert!(!error.is_retryable(), "{to}");
    }
    assert_eq!(victim.requests().len(), 0);
}

pub(crate) async fn a_name_of_an_address_that_is_not_public_is_refused_and_not_connected_to() {
    let victim = victim().await;
    for name in ["private.test", "metadata.test", "lan.test", "mapped.test"] {
        let error = fails_at(&victim.url_at(name), Kind::NotPublic).await;
        assert_eq!((error.is_retryable(), error.host()), (false, Some(name)));
    }
    assert_eq!(victim.requests().len(), 0);
    // A name without an address may have one later.
    assert!(
        fails_at(&victim.url_at("unknown.test"), Kind::Connection)
            .await
            .is_retryable()
    );
}

pub(crate) async fn of_a_names_addresses_only_the_public_ones_are_connected_to() {
    let file = video(1000, 1);
    let served = file.clone();
    let server = Server::start(move |request| honest(request, &served, "\"a\"", usize::MAX)).await;
    // Nobody listens at this port of the other addresses, so they would be passed over as well; that
    // they are not even tried shows on a port where somebody does.
    let directory = tempfile::tempdir().unwrap();
    let downloader = impatient(Downloader::in_directory(directory.path()))
        .build()
        .unwrap();
    let video = downloader
        .fetch("task", server.url_at("mixed.test"))
        .await
        .unwrap();
    assert_eq!(video.length, 1000);
    let victim = victim().await;
    let error = downloader
        .fetch("other", victim.url_at("mixed.test"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Connection);
    assert_eq!(victim.requests().len(), 0);
}

pub(crate) async fn a_name_that_means_something_else_later_gains_nothing() {
    let victim = victim().await;
    // The first answer leads to a server that breaks, at the victim's port; the second to the victim.
    let port = victim.addr.port();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port))
        .await
        .unwrap();
    let broken = tokio::spawn(async move {
        loop {
            drop(listener.accept().await.unwrap());
        }
    });
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let directory = tempfile::tempdir().unwrap();
    let downloader = relaxed(Downloader::in_directory(directory.path()))
        .with_resolver(move |_| {
            let first = count.fetch_add(1, Ordering::SeqCst) == 0;
            let address = if first { "127.0.0.1" } else { "127.0.0.2" };
            async move { Ok(vec![address.parse::<IpAddr>().unwrap()]) }
        })
        .build()
        .unwrap();
    let url = victim.url();
    fails_with(&downloader, directory.path(), &url, Kind::NotPublic).await;
    assert_eq!(
        (victim.requests().len(), asked.load(Ordering::SeqCst)),
        (0, 2)
    );
    broken.abort();
}

pub(crate) async fn plain_http_and_what_is_no_url_are_refused() {
    let victim = victim().await;
    let directory = tempfile::tempdir().unwrap();
    let downloader = Downloader::in_directory(directory.path())
        .with_resolver(|_| async { Ok(vec!["127.0.0.2".parse().unwrap()]) })
        .dangerous()
        .allow_networks(["127.0.0.2"])
        .build()
        .unwrap();
    for url in [
        victim.url().as_str(),
        "video_url_847715e66259",
        "",
        "file:///etc/passwd",
        "https://user:secret@video.test/v.mp4",
    ] {
        let error = fails_with(&downloader, directory.path(), url, Kind::InvalidUrl).await;
        assert!(!error.is_retryable());
    }
    assert_eq!(victim.requests().len(), 0);
}

pub(crate) async fn everything_but_public_addresses_is_refused_by_default() {
    let victim = victim().await;
    let directory = tempfile::tempdir().unwrap();
    // The system is asked what `localhost` is.
    let downloader = Downloader::in_directory(directory.path())
        .dangerous()
        .allow_http()
        .build()
        .unwrap();
    for host in ["localhost", "127.0.0.2", "[::1]", "[::ffff:127.0.0.2]"] {
        let url = victim.url_at(host);
        fails_with(&downloader, directory.path(), &url, Kind::NotPublic).await;
    }
    assert_eq!(victim.requests().len(), 0);
}
