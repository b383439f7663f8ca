//! The video itself (feature `download`): out of a URL that expires, into a directory or an object store.
//!
//! ```no_run
//! use tower_callback::{Delivery, HandlerError, MusicVideo, download::Downloader, music_video::Outcome};
//!
//! # fn example() -> Result<(), tower_callback::BuildError> {
//! let downloader = Downloader::in_directory("videos").build()?;
//! let handler = move |delivery: Delivery<MusicVideo>| {
//!     let downloader = downloader.clone();
//!     async move {
//!         if let Outcome::Succeeded { video_url } = &delivery.event.outcome {
//!             let video = downloader.fetch(&delivery.event.task_id, video_url).await?;
//!             println!("{} has {} bytes", video.location, video.length);
//!         }
//!         Ok::<(), HandlerError>(())
//!     }
//! };
//! # let _ = handler;
//! # Ok(())
//! # }
//! ```
//!
//! # What it does
//!
//! - **It is there, or it is not.** A video has its name only when it is complete: its length is that
//!   which the server said, it begins as an MP4 file does, and it has the
//!   [expected digest](Fetch::expect_digest) if there is one. Nothing of a failed download stays. What a
//!   killed process leaves in a directory has no name that anybody looks for, and is removed when the
//!   next downloader begins.
//! - **Length and digest are always told**: of a video that was fetched, and of one that was there, which is
//!   read for them. [`without_digest`](Fetch::without_digest) spares that.
//! - **Twice is free.** What is there is not fetched again, so a handler that is called again goes on
//!   where it was. It costs no request to anybody's host, and one look at what is there.
//! - **A broken connection is taken up again** where it broke, if the server says with a strong `ETag`
//!   or a `Last-Modified` that the file is the same; otherwise from the start.
//! - **Memory is bounded**, whatever the length of the video.
//! - **A full disk is an error that a later attempt mends.** Before it begins, there must be room for the
//!   whole video beside a reserve.
//! - **An expired URL is replaced** by what [`refresh_by`](DownloaderBuilder::refresh_by) finds; with the
//!   feature `client`, `refresh_with(client)` asks the provider.
//!
//! # Where it goes
//!
//! A URL in a callback is somebody else's word. A downloader goes to https and to public addresses only: the
//! first URL is checked, every redirect is, and so is every address that a name resolves to, which is then
//! the one that is connected to. No proxy, cookie or credential is used. Answers that are compressed are
//! refused. [`dangerous`](DownloaderBuilder::dangerous) relaxes it.
//!
//! URLs may hold signatures, so they are in no error and no trace: hosts are.
//!
//! # No task outlives it
//!
//! Except one: when a download into an object store is dropped half-way, its parts are removed by a task
//! that ends with that.

mod address;
mod answer;
mod builder;
mod content_range;
mod digest;
mod downloader;
mod error;
mod fetch;
mod ftyp;
mod lent;
mod limits;
mod name;
mod pace;
mod probe;
mod progress;
mod request;
mod resolver;
mod sink;
mod transfer;

pub use self::{
    address::is_public,
    builder::{DangerousDownloaderBuilder, DownloaderBuilder},
    digest::{Digest, InvalidDigest},
    downloader::{Downloader, Video},
    error::{DownloadError, DownloadErrorKind},
    fetch::Fetch,
    probe::Probe,
    progress::{Progress, ProgressStream},
};
#[cfg(any(test, feature = "testing"))]
pub(crate) use self::{
    content_range::ContentRange,
    ftyp::{ENOUGH, Start, start},
};
