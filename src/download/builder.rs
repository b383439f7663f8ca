//! The settings of a downloader.

use std::{fmt, io, net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use ipnet::IpNet;
use object_store::{ObjectStore, path::Path};
use reqwest::{Client, redirect};
use tokio::sync::Semaphore;

use super::{
    address::Rules,
    downloader::{Downloader, Refresh, Shared},
    limits::Keyed,
    request::Requests,
    resolver::{self, Checked, Lookup},
    sink::{Directory, LARGEST, Objects, Place},
};
use crate::{BoxError, BuildError, Clock, RetryPolicy};

/// Settings of a [`Downloader`].
///
/// | setting | default | why |
/// | --- | --- | --- |
/// | largest file | 16 GiB | far above any music video; what does not end is ended |
/// | downloads at once, in all | 8 | into a store each takes three parts of memory, that is 24 MiB for a video up to 78 GiB and 192 MiB for the largest; onto a disk 1 MiB |
/// | downloads at once, from one host | 4 | fair to the provider |
/// | idle timeout | 30 s | an answer, or another byte of it, takes that long only if something is wrong |
/// | slowest rate | 16 KiB/s over 30 s | a modem is faster; a server that drips is not waited for |
/// | deadline | 6 h | at the slowest rate 350 MB |
/// | retry | 0.5 s doubling to 15 s, until nothing came for 2 min | a hiccup; outages are for the worker's own retries |
/// | reserve on a local disk | 256 MiB | others write there too |
#[must_use = "a builder does nothing until it is built"]
pub struct DownloaderBuilder {
    target: Target,
    clock: Clock,
    retry: RetryPolicy,
    max_bytes: u64,
    concurrency: usize,
    per_host: usize,
    idle_timeout: Duration,
    min_rate: u64,
    deadline: Duration,
    reserve: u64,
    lookup: Lookup,
    refresh: Option<Refresh>,
    http: bool,
    networks: Vec<String>,
}

enum Target {
    Directory(PathBuf),
    Store {
        store: Arc<dyn ObjectStore>,
        prefix: String,
    },
}

impl DownloaderBuilder {
    pub(super) fn in_directory(directory: PathBuf) -> Self {
        Self::new(Target::Directory(directory))
    }

    pub(super) fn in_store(store: Arc<dyn ObjectStore>) -> Self {
        Self::new(Target::Store {
            store,
            prefix: String::new(),
        })
    }

    fn new(target: Target) -> Self {
        Self {
            target,
            clock: Clock::system(),
            retry: RetryPolicy::default()
                .with_first_delay(Duration::from_millis(500))
                .with_max_delay(Duration::from_secs(15))
                .with_total(Duration::from_secs(120)),
            max_bytes: 16 << 30,
            concurrency: 8,
            per_host: 4,
            idle_timeout: Duration::from_secs(30),
            min_rate: 16 * 1024,
            deadline: Duration::from_secs(6 * 60 * 60),
            reserve: 256 << 20,
            lookup: resolver::system(),
            refresh: None,
            http: false,
            networks: Vec::new(),
        }
    }

    /// Puts objects under a path of the store, such as `videos/raw`. In a directory it is a directory
    /// below.
    pub fn with_prefix(mut self, prefix: impl Into<String>) -> Self {
        match &mut self.target {
            Target::Directory(directory) => directory.push(prefix.into()),
            Target::Store { prefix: old, .. } => *old = prefix.into(),
        }
        self
    }

    /// Runs timeouts and delays on this clock.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Says when a broken download goes on. The total counts from the last time that it went forward,
    /// without the time in which it waited for its turn.
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Refuses files that are larger, as soon as that is known.
    ///
    /// Into an object store 625 GiB are the most, whatever is said here: 10,000 parts, which is what S3
    /// allows, of 64 MiB. Where a server does not say how long a file is, its parts are as large as the
    /// largest file needs.
    pub fn with_max_bytes(mut self, max_bytes: u64) -> Self {
        self.max_bytes = max_bytes;
        self
    }

    /// Limits the downloads that run at once.
    pub fn with_concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// Limits the downloads that run at once from one host. After a redirect, the host that sends the
    /// file counts.
    pub fn with_concurrency_per_host(mut self, concurrency: usize) -> Self {
        self.per_host = concurrency;
        self
    }

    /// Limits the time until an answer comes, and from one piece of it to the next.
    pub fn with_idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// Drops connections that bring fewer bytes a second, measured over 30 s. 0 allows any.
    pub fn with_min_rate(mut self, bytes_per_second: u64) -> Self {
        self.min_rate = bytes_per_second;
        self
    }

    /// Limits the time that one download takes, with all its retries, and without the time in which it
    /// waits for its turn.
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Leaves so many bytes of a local disk free. In an object store it means nothing.
    pub fn with_reserve(mut self, bytes: u64) -> Self {
        self.reserve = bytes;
        self
    }

    /// Asks this about names instead of the system. What it finds is checked in the same way.
    pub fn with_resolver<F, Fut>(mut self, resolve: F) -> Self
    where
        F: Fn(String) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = io::Result<Vec<IpAddr>>> + Send + 'static,
    {
        self.lookup = Arc::new(move |name| Box::pin(resolve(name)));
        self
    }

    /// Asks this for a fresh URL of a task when its URL has expired (403, 404, 410), or was never one.
    ///
    /// `None` says that there is none. A download that was interrupted goes on where it was, if what
    /// is there has not changed.
    pub fn refresh_by<F, Fut, E>(mut self, refresh: F) -> Self
    where
        F: Fn(String) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Option<String>, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.refresh = Some(Arc::new(move |task_id| {
            let fresh = refresh(task_id);
            Box::pin(async move { fresh.await.map_err(Into::into) })
        }));
        self
    }

    /// Asks the provider for a fresh URL when one has expired, or was never one: see
    /// [`refresh_by`](Self::refresh_by).
    ///
    /// While the provider says that the task is still under way, as it may for some minutes after it
    /// has called back, that is an error that a later attempt mends.
    #[cfg(feature = "client")]
    #[cfg_attr(docsrs, doc(cfg(feature = "client")))]
    pub fn refresh_with(self, client: crate::music_video::Client) -> Self {
        use crate::music_video::Status;

        self.refresh_by(move |task_id| {
            let client = client.clone();
            async move {
                let Some(details) = client.details(&task_id).await? else {
                    return Ok(None);
                };
                match (details.video_url, details.status) {
                    (None, Status::Pending | Status::Other(_)) => {
                        Err(BoxError::from("the provider does not show the video yet"))
                    }
                    (video_url, _) => Ok(video_url),
                }
            }
        })
    }

    /// Ways to go where a download should not go.
    pub fn dangerous(self) -> DangerousDownloaderBuilder {
        DangerousDownloaderBuilder(self)
    }

    /// The downloader. It asks nobody and writes nothing yet.
    ///
    /// # Errors
    ///
    /// When a setting is wrong, or the system has no certificates to trust.
    pub fn build(mut self) -> Result<Downloader, BuildError> {
        crate::count::describe();
        self.retry.validate()?;
        self.validate()?;
        let place = match self.target {
            Target::Directory(directory) => {
                Place::Directory(Directory::new(directory, self.reserve))
            }
            Target::Store { store, prefix } => {
                let prefix = Path::parse(&prefix).map_err(|_| {
                    BuildError::new("with_prefix", "this is no path of an object store")
                })?;
                self.max_bytes = self.max_bytes.min(LARGEST);
                Place::Objects(Objects::new(store, prefix, self.max_bytes))
            }
        };
        let networks: Result<_, _> = self.networks.iter().map(|network| parse(network)).collect();
        let rules = Arc::new(Rules {
            http: self.http,
            networks: networks?,
        });
        let checked = Checked {
            lookup: self.lookup,
            rules: Arc::clone(&rules),
        };
        // Anything of the environment could lead somewhere else than to what was checked.
        let client = Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .https_only(!self.http)
            .dns_resolver(checked)
            .user_agent(concat!("tower-callback/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| {
                BuildError::new("build", format!("no TLS: {}", crate::error::chain(&error)))
            })?;
        Ok(Downloader(Arc::new(Shared {
            place,
            requests: Requests {
                client,
                rules,
                clock: self.clock,
                hosts: Keyed::default(),
                per_host: self.per_host,
                total: Arc::new(Semaphore::new(self.concurrency)),
            },
            names: Keyed::default(),
            retry: self.retry,
            max_bytes: self.max_bytes,
            idle_timeout: self.idle_timeout,
            min_rate: self.min_rate,
            deadline: self.deadline,
            refresh: self.refresh,
        })))
    }

    fn validate(&self) -> Result<(), BuildError> {
        let zero = |setting| {
            Err(BuildError::new(
                setting,
                "with zero nothing would ever be downloaded",
            ))
        };
        let many = |setting| {
            let most = Semaphore::MAX_PERMITS;
            Err(BuildError::new(
                setting,
                format!("this is more than {most}"),
            ))
        };
        match self {
            Self { max_bytes: 0, .. } => zero("with_max_bytes"),
            Self { concurrency: 0, .. } => zero("with_concurrency"),
            Self { per_host: 0, .. } => zero("with_concurrency_per_host"),
            _ if self.concurrency > Semaphore::MAX_PERMITS => many("with_concurrency"),
            _ if self.per_host > Semaphore::MAX_PERMITS => many("with_concurrency_per_host"),
            _ if self.idle_timeout.is_zero() => zero("with_idle_timeout"),
            _ if self.deadline.is_zero() => zero("with_deadline"),
            _ => Ok(()),
        }
    }
}

fn parse(network: &str) -> Result<IpNet, BuildError> {
    let address = network.parse::<IpAddr>().map(IpNet::from);
    address.or_else(|_| network.parse()).map_err(|_| {
        let problem =
            format!("`{network}` is neither an address nor a network such as 10.1.0.0/16");
        BuildError::new("allow_networks", problem)
    })
}

impl fmt::Debug for DownloaderBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DownloaderBuilder").finish_non_exhaustive()
    }
}

/// Ways to go where a download should not go: made by [`DownloaderBuilder::dangerous`].
#[derive(Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct DangerousDownloaderBuilder(DownloaderBuilder);

impl DangerousDownloaderBuilder {
    /// Allows plain http, also after a redirect.
    ///
    /// # Security
    ///
    /// Anybody on the way can read the URL with its signature, and send another video.
    pub fn allow_http(mut self) -> DownloaderBuilder {
        self.0.http = true;
        self.0
    }

    /// Allows addresses of these networks although they are not public: `10.1.0.0/16`, `::1`. More than
    /// one call adds to what is allowed.
    ///
    /// # Security
    ///
    /// Whoever says what the URL of a video is, or where it redirects to, can have anything fetched
    /// from there. Allow the file server, and not the network that it is in. `64:ff9b::/96` is what a
    /// network with NAT64 needs, and leads to whatever its gateway lets through.
    pub fn allow_networks<N: Into<String>>(
        mut self,
        networks: impl IntoIterator<Item = N>,
    ) -> DownloaderBuilder {
        self.0.networks.extend(networks.into_iter().map(Into::into));
        self.0
    }
}
