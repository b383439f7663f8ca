//! Whether what a callback brings can be fetched.

use tower_callback::download::{DownloadErrorKind, Downloader};

use super::{Args, Finding, Findings};
use crate::{
    stop::{Result, Stop},
    text::chain,
};

pub(super) async fn check(args: &Args, findings: &mut Findings<'_>) -> Result {
    const NAME: &str = "video";
    let Some(video) = &args.video else {
        return findings.add(Finding::unseen(
            NAME,
            "not asked for",
            "Say --video with a URL out of a callback, to see whether it can be fetched.",
        ));
    };
    let builder = Downloader::in_directory(&args.videos);
    let builder = match args.local {
        false => builder,
        true => builder
            .dangerous()
            .allow_http()
            .dangerous()
            .allow_networks(["0.0.0.0/0", "::/0"]),
    };
    let downloader = builder
        .build()
        .map_err(|error| Stop::usage(error.to_string()))?;
    let error = match downloader.probe(&*video.read()?).await {
        Ok(probe) => {
            let length = match probe.length {
                Some(length) => format!("{length} bytes"),
                None => "a length that is not told".to_owned(),
            };
            let seen = format!(
                "it is one, of {length}, and {} has room for it",
                args.videos.display()
            );
            return findings.add(Finding::good(NAME, seen));
        }
        Err(error) => error,
    };
    let to_do = match error.kind() {
        DownloadErrorKind::Expired => {
            "The URL has expired, after some two weeks as a rule: ask the provider for a fresh one \
             (`Client::details`), and fetch videos at once."
        }
        DownloadErrorKind::NotPublic | DownloadErrorKind::InvalidUrl => {
            "A downloader goes to https and public addresses only. Whose URL is this?"
        }
        DownloadErrorKind::NotAVideo => {
            "A web page or another file is there: see it in a browser. Nothing of it would be kept."
        }
        DownloadErrorKind::StorageFull => "Make room on that disk, or keep videos on another.",
        DownloadErrorKind::Storage => "The service must be able to write there.",
        _ => "Ask for it with curl from this machine: does a proxy or a firewall stand between?",
    };
    findings.add(Finding::wrong(NAME, chain(&error), to_do))
}
