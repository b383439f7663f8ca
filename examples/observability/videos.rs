//! The videos: served by this process itself, and fetched with the feature `download`.

#[cfg(feature = "download")]
pub(crate) use fetching::Videos;
#[cfg(not(feature = "download"))]
pub(crate) use naming::Videos;

/// A file that begins as a video does.
pub(crate) async fn serve() -> Vec<u8> {
    let mut file = b"\0\0\0\x18ftypisom\0\0\x02\0isommp42".to_vec();
    file.resize(64 * 1024, 0);
    file
}

#[cfg(feature = "download")]
mod fetching {
    use tempfile::TempDir;
    use tower_callback::{
        BoxError,
        download::{DownloadError, Downloader},
    };

    #[derive(Clone)]
    pub(crate) struct Videos(Downloader);

    impl Videos {
        /// The directory is gone when it is dropped.
        pub(crate) fn new() -> Result<(Self, TempDir), BoxError> {
            let directory = tempfile::tempdir()?;
            // The provider of this example is on this machine, and has no certificate.
            let downloader = Downloader::in_directory(directory.path())
                .dangerous()
                .allow_http()
                .dangerous()
                .allow_networks(["127.0.0.0/8"])
                .build()?;
            Ok((Self(downloader), directory))
        }

        pub(crate) async fn fetch(&self, task: &str, url: &str) -> Result<(), DownloadError> {
            self.0.fetch(task, url).await.map(drop)
        }
    }
}

#[cfg(not(feature = "download"))]
mod naming {
    use tower_callback::{BoxError, HandlerError};

    #[derive(Clone)]
    pub(crate) struct Videos;

    impl Videos {
        pub(crate) fn new() -> Result<(Self, ()), BoxError> {
            Ok((Self, ()))
        }

        /// Fetches nothing: the feature `download` does.
        pub(crate) async fn fetch(&self, _task: &str, _url: &str) -> Result<(), HandlerError> {
            Ok(())
        }
    }
}
