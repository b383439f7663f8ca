//! Videos in an object store, and stores that fail.

use std::{
    fmt, io,
    ops::Range,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::stream::BoxStream;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt as _, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    Result, UploadPart, local::LocalFileSystem, memory::InMemory, path::Path,
};
use tokio::sync::Semaphore;
use tower_callback::clock::ManualClock;
use tower_callback::download::{DownloadErrorKind as Kind, Downloader};

use crate::{
    server::{Server, Step, answer, honest, video},
    support::{digest, impatient, into_store, names, relaxed, until},
};

/// What goes wrong.
#[derive(Clone, Default)]
pub(crate) struct Faults {
    /// Turns this clock by so much for each part, before it is taken.
    pub(crate) part_takes: Option<(ManualClock, Duration)>,
    /// This part, counted from 0, fails.
    pub(crate) part: Option<(usize, io::ErrorKind)>,
    pub(crate) complete: bool,
    /// Bytes are counted, and not kept.
    pub(crate) forgets: bool,
}

/// A store in memory that remembers what it was asked for.
#[derive(Clone)]
pub(crate) struct TestStore {
    pub(crate) kept: Arc<InMemory>,
    faults: Faults,
    pub(crate) seen: Arc<Seen>,
}

#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) parts: Mutex<Vec<usize>>,
    pub(crate) puts: AtomicUsize,
    pub(crate) begun: AtomicUsize,
    pub(crate) completed: AtomicUsize,
    pub(crate) aborted: AtomicUsize,
}

impl TestStore {
    pub(crate) fn new(faults: Faults) -> Self {
        Self {
            kept: Arc::default(),
            faults,
            seen: Arc::default(),
        }
    }
}

impl fmt::Debug for TestStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TestStore")
    }
}

impl fmt::Display for TestStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TestStore")
    }
}

fn failed(kind: io::ErrorKind) -> Error {
    Error::Generic {
        store: "TestStore",
        source: Box::new(io::Error::from(kind)),
    }
}

type Doing<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

impl ObjectStore for TestStore {
    fn put_opts<'a, 'b, 'c>(
        &'a self,
        location: &'b Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Doing<'c, PutResult>
    where
        'a: 'c,
        'b: 'c,
    {
        self.seen.puts.fetch_add(1, Ordering::SeqCst);
        self.kept.put_opts(location, payload, options)
    }

    fn put_multipart_opts<'a, 'b, 'c>(
        &'a self,
        location: &'b Path,
        options: PutMultipartOptions,
    ) -> Doing<'c, Box<dyn MultipartUpload>>
    where
        'a: 'c,
        'b: 'c,
    {
        self.seen.begun.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            let upload = self.kept.put_multipart_opts(location, options).await?;
            Ok(Box::new(TestUpload {
                upload,
                store: self.clone(),
            }) as Box<dyn MultipartUpload>)
        })
    }

    fn get_opts<'a, 'b, 'c>(
        &'a self,
        location: &'b Path,
        options: GetOptions,
    ) -> Doing<'c, GetResult>
    where
        'a: 'c,
        'b: 'c,
    {
        self.kept.get_opts(location, options)
    }

    fn get_ranges<'a, 'b, 'c, 'd>(
        &'a self,
        location: &'b Path,
        ranges: &'c [Range<u64>],
    ) -> Doing<'d, Vec<bytes::Bytes>>
    where
        'a: 'd,
        'b: 'd,
        'c: 'd,
    {
        self.kept.get_ranges(location, ranges)
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.kept.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.kept.list(prefix)
    }

    fn list_with_delimiter<'a, 'b, 'c>(&'a self, prefix: Option<&'b Path>) -> Doing<'c, ListResult>
    where
        'a: 'c,
        'b: 'c,
    {
        self.kept.list_with_delimiter(prefix)
    }

    fn copy_opts<'a, 'b, 'c, 'd>(
        &'a self,
        from: &'b Path,
        to: &'c Path,
        options: CopyOptions,
    ) -> Doing<'d, ()>
    where
        'a: 'd,
        'b: 'd,
        'c: 'd,
    {
        self.kept.copy_opts(from, to, options)
    }
}

#[derive(Debug)]
struct TestUpload {
    upload: Box<dyn MultipartUpload>,
    store: TestStore,
}

impl MultipartUpload for TestUpload {
    fn put_part(&mut self, payload: PutPayload) -> UploadPart {
        let Faults { part, forgets, .. } = self.store.faults;
        if let Some((hands, takes)) = &self.store.faults.part_takes {
            hands.advance(*takes);
        }
        let mut parts = self.store.seen.parts.lock().unwrap();
        let number = parts.len();
        parts.push(payload.content_length());
        let put = (!forgets).then(|| self.upload.put_part(payload));
        Box::pin(async move {
            match (part, put) {
                (Some((failing, kind)), _) if failing == number => Err(failed(kind)),
                (_, Some(put)) => put.await,
                (_, None) => Ok(()),
            }
        })
    }

    fn complete<'a, 'b>(&'a mut self) -> Doing<'b, PutResult>
    where
        'a: 'b,
    {
        if self.store.faults.complete {
            return Box::pin(async { Err(failed(io::ErrorKind::TimedOut)) });
        }
        self.store.seen.completed.fetch_add(1, Ordering::SeqCst);
        self.upload.complete()
    }

    fn abort<'a, 'b>(&'a mut self) -> Doing<'b, ()>
    where
        'a: 'b,
    {
        self.store.seen.aborted.fetch_add(1, Ordering::SeqCst);
        self.upload.abort()
    }
}

const PATH: &str = "raw/music_video_task.mp4";

async fn kept(store: &TestStore) -> Option<Vec<u8>> {
    match store.kept.get(&Path::from(PATH)).await {
        Ok(found) => Some(found.bytes().await.unwrap().to_vec()),
        Err(Error::NotFound { .. }) => None,
        Err(error) => panic!("{error}"),
    }
}

/// Fails to fetch three parts, and nothing is there afterwards.
async fn fails(faults: Faults, kind: Kind) {
    let file = video(20_000_000, 1);
    let server = Server::start(move |request| honest(request, &file, "\"a\"", usize::MAX)).await;
    let store = TestStore::new(faults);
    let builder = impatient(Downloader::in_store(Arc::new(store.clone())));
    let downloader = builder.with_prefix("raw").build().unwrap();
    let error = downloader.fetch("task", server.url()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.is_retryable()),
        (kind, true),
        "{error:?}"
    );
    assert_eq!(kept(&store).await, None);
    let aborted = store.seen.aborted.load(Ordering::SeqCst);
    assert_eq!(aborted, store.seen.begun.load(Ordering::SeqCst));
    assert_eq!(aborted, 1);
}

pub(crate) async fn a_small_video_is_one_object_put_at_once() {
    let file = video(1_000_000, 1);
    let served = file.clone();
    let server = Server::start(move |request| honest(request, &served, "\"a\"", usize::MAX)).await;
    let store = TestStore::new(Faults::default());
    let builder = relaxed(Downloader::in_store(Arc::new(store.clone())));
    let downloader = builder.with_prefix("raw").build().unwrap();
    let fetched = downloader.fetch("task", server.url()).await.unwrap();
    assert_eq!((fetched.location.as_str(), fetched.file), (PATH, None));
    assert_eq!(fetched.sha256, Some(digest(&file)));
    assert!(kept(&store).await.unwrap() == file);
    let attributes = store.kept.get(&Path::from(PATH)).await.unwrap().attributes;
    let kind = attributes
        .get(&object_store::Attribute::ContentType)
        .unwrap();
    assert_eq!(kind.as_ref(), "video/mp4");
    assert_eq!(store.seen.begun.load(Ordering::SeqCst), 0);

    let again = downloader.fetch("task", server.url()).await.unwrap();
    assert!(again.already_there);
    assert_eq!(
        (again.length, again.sha256),
        (1_000_000, Some(digest(&file)))
    );
    let unread = downloader.fetch("task", server.url()).without_digest();
    let unread = unread.await.unwrap();
    assert_eq!((unread.length, unread.sha256), (1_000_000, None));
    assert_eq!(
        downloader.digest("task").await.unwrap(),
        Some(digest(&file))
    );
    assert_eq!(
        (
            server.requests().len(),
            store.seen.puts.load(Ordering::SeqCst)
        ),
        (1, 1)
    );
}

pub(crate) async fn a_large_video_is_uploaded_in_equal_parts_and_visible_at_the_end() {
    const PART: usize = 8 * 1024 * 1024;
    for (length, parts) in [
        (20_000_000, vec![PART, PART, 20_000_000 - 2 * PART]),
        (2 * PART, vec![PART, PART]),
        (PART + 1, vec![PART, 1]),
    ] {
        let file = video(length, 1);
        let gate = Arc::new(Semaphore::new(0));
        let (served, closed) = (file.clone(), Arc::clone(&gate));
        let server = Server::start(move |_| {
            let (first, last) = served.split_at(served.len() - 1);
            let length = served.len().to_string();
            vec![
                answer(200, &[("content-length", &length)], first),
                Step::Gate(Arc::clone(&closed)),
                Step::Send(last.to_vec()),
            ]
        })
        .await;
        let store = TestStore::new(Faults::default());
        let builder = relaxed(Downloader::in_store(Arc::new(store.clone())));
        let downloader = builder.with_prefix("raw").build().unwrap();
        let fetch = tokio::spawn(downloader.fetch("task", server.url()).into_future());
        if length > PART + 1 {
            until("a part was uploaded", || {
                !store.seen.parts.lock().unwrap().is_empty()
            })
            .await;
        }
        assert_eq!(kept(&store).await, None);
        gate.add_permits(1);
        fetch.await.unwrap().unwrap();
        assert!(kept(&store).await.unwrap() == file);
        assert_eq!(*store.seen.parts.lock().unwrap(), parts);
        assert_eq!(store.seen.aborted.load(Ordering::SeqCst), 0);
    }
}

pub(crate) async fn the_size_limit_takes_no_memory_and_what_has_too_many_parts_is_refused() {
    const PART: usize = 8 * 1024 * 1024;
    const LARGEST: u64 = 625 << 30;
    let store = TestStore::new(Faults::default());
    let builder = impatient(Downloader::in_store(Arc::new(store.clone())));
    let downloader = builder.with_max_bytes(u64::MAX).build().unwrap();
    let file = video(PART + 1, 1);
    let server = Server::start(move |request| honest(request, &file, "\"a\"", usize::MAX)).await;
    downloader.fetch("task", server.url()).await.unwrap();
    assert_eq!(*store.seen.parts.lock().unwrap(), [PART, 1]);

    for (length, kind) in [
        (LARGEST + 1, Kind::TooLarge),
        // It is begun, and breaks.
        (LARGEST, Kind::Connection),
    ] {
        let length = length.to_string();
        let server = Server::start(move |_| {
            let headers = [("content-length", length.as_str())];
            vec![answer(200, &headers, &video(1000, 1))]
        })
        .await;
        let error = downloader.fetch("large", server.url()).await.unwrap_err();
        assert_eq!(error.kind(), kind);
    }
}

pub(crate) async fn a_part_that_fails_ends_the_upload_and_removes_its_parts() {
    for part in 0..3 {
        let faults = Faults {
            part: Some((part, io::ErrorKind::ConnectionReset)),
            ..Faults::default()
        };
        fails(faults, Kind::Storage).await;
    }
}

pub(crate) async fn an_upload_that_cannot_be_completed_removes_its_parts() {
    let faults = Faults {
        complete: true,
        ..Faults::default()
    };
    fails(faults, Kind::Storage).await;
}

pub(crate) async fn a_full_store_is_a_full_disk() {
    for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
        let faults = Faults {
            part: Some((1, kind)),
            ..Faults::default()
        };
        fails(faults, Kind::StorageFull).await;
    }
}

pub(crate) async fn a_fetch_that_is_dropped_removes_its_parts() {
    let file = video(20_000_000, 1);
    let server = Server::start(move |_| {
        vec![
            answer(200, &[("content-length", "30000000")], &file),
            Step::Hang,
        ]
    })
    .await;
    let store = TestStore::new(Faults::default());
    let downloader = into_store(Arc::new(store.clone()));
    let fetch = tokio::spawn(downloader.fetch("task", server.url()).into_future());
    until("parts were uploaded", || {
        store.seen.parts.lock().unwrap().len() == 2
    })
    .await;
    fetch.abort();
    assert!(fetch.await.unwrap_err().is_cancelled());
    until("they are removed", || {
        store.seen.aborted.load(Ordering::SeqCst) == 1
    })
    .await;
}

pub(crate) async fn an_upload_begun_anew_removes_its_first_parts() {
    let (old, new) = (video(20_000_000, 1), video(20_000_000, 2));
    let expected = new.clone();
    let server = Server::start(move |request| match request.number {
        0 => honest(request, &old, "\"a\"", 19_000_000),
        _ => honest(request, &new, "\"b\"", usize::MAX),
    })
    .await;
    let store = TestStore::new(Faults::default());
    let builder = relaxed(Downloader::in_store(Arc::new(store.clone())));
    let downloader = builder.with_prefix("raw").build().unwrap();
    downloader.fetch("task", server.url()).await.unwrap();
    assert!(kept(&store).await.unwrap() == expected);
    let count = |counter: &AtomicUsize| counter.load(Ordering::SeqCst);
    let seen = &store.seen;
    assert_eq!(
        (
            count(&seen.begun),
            count(&seen.aborted),
            count(&seen.completed)
        ),
        (2, 1, 1)
    );
}

pub(crate) async fn a_local_file_system_is_a_store_too() {
    for length in [1000, 20_000_000] {
        let file = video(length, 1);
        let served = file.clone();
        let server =
            Server::start(move |request| honest(request, &served, "\"a\"", usize::MAX)).await;
        let directory = tempfile::tempdir().unwrap();
        let store = LocalFileSystem::new_with_prefix(directory.path()).unwrap();
        into_store(Arc::new(store))
            .fetch("task", server.url())
            .await
            .unwrap();
        assert_eq!(names(directory.path()), ["music_video_task.mp4"]);
        let kept = std::fs::read(directory.path().join("music_video_task.mp4")).unwrap();
        assert!(kept == file);
    }
}
