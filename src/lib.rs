#![cfg_attr(docsrs, feature(doc_cfg))]
//! Receive callbacks (webhooks) that must not be lost, in the Rust service you already have.
//!
//! Your provider calls once, four times, or never: unsigned, and billed either way. This crate makes
//! the caller prove himself, recognises repeats, makes the event durable, answers within
//! milliseconds, and hands a typed event to an async handler, retried until it is done.
//!
//! ```text
//! provider ─POST─▶ CallbackLayer ──other path──▶ inner service (axum, hyper, tonic, …)
//!                    │ callback path
//!                    ▼
//!                  CallbackService   proof by head ▸ bounded body ▸ proof by body ▸ parse ▸ insert ▸ reply
//!                    ▼
//!                  Store             memory · SQLite · PostgreSQL · yours
//!                    ▼
//!                  Worker            lease ▸ handler ▸ settle
//! ```
//!
//! # Quick start
//!
//! ```no_run
//! # async fn home() {}
//! # async fn shutdown() {}
//! # #[cfg(feature = "sqlite")]
//! # async fn example(secret: &str) -> Result<(), Box<dyn std::error::Error>> {
//! use tower_callback::{Callbacks, MusicVideo, SqliteStore, Token};
//!
//! let store = SqliteStore::open("callbacks.db").await?;
//! let (callback, worker) = Callbacks::<MusicVideo>::new("music-video", Token::query("token", secret))
//!     .store(store)
//!     .handle(|delivery| async move {
//!         println!("{:?}", delivery.event.outcome);
//!         Ok(())
//!     })
//!     .build()?;
//! let app = axum::Router::new()
//!     .route("/", axum::routing::get(home))
//!     .route_service("/music-video-callback", callback);
//! let worker = tokio::spawn(worker.run_until(shutdown()));
//! # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! # axum::serve(listener, app).await?;
//! # worker.await?;
//! # Ok(())
//! # }
//! ```
//!
//! [`SqliteStore`] is there with the feature `sqlite`. [`MemoryStore`] needs no feature, and forgets when the
//! process ends.
//!
//! And for those whose own upsert is the dedupe: no store, no worker, 200 only after `Ok`.
//!
//! ```
//! # use tower_callback::{BuildError, CallbackService, Callbacks, MusicVideo, Token};
//! # #[derive(Clone)] struct Db;
//! # impl Db { async fn upsert(&self, _: MusicVideo) -> Result<(), std::io::Error> { Ok(()) } }
//! # fn example(secret: &str, db: Db) -> Result<CallbackService, BuildError> {
//! let callback = Callbacks::<MusicVideo>::new("music-video", Token::query("token", secret))
//!     .accept(move |event| { let db = db.clone(); async move { db.upsert(event).await?; Ok(()) } })?;
//! # Ok(callback)
//! # }
//! ```
//!
//! # The words
//!
//! A *provider* calls us. A *callback* is one HTTP request of theirs. An [*event*](Event) is what it
//! says, typed. Its [*key*](EventKey) says which callbacks are the same event, its *rank* which of
//! them wins. An [*endpoint*](Callbacks) is a named place where one kind of event arrives. A
//! *record* is an event in the [*store*](store): *pending*, *leased*, *done* or *dead*. A *lease* is
//! the right to handle one record for a while, with a *fencing token*. A [*delivery*](Delivery) is a
//! leased event given to the [*handler*](Handler). *Quarantine* holds what a proven caller sent and
//! we could not read.
//!
//! # What it promises
//!
//! - **With a durable store, an acknowledged callback is never lost.** 200 is sent only after the
//!   store has made the record durable; callbacks that come at the same time share one sync of the
//!   disk. ([`SqliteStore`] and `PostgresStore` are durable. [`MemoryStore`] is volatile, and says so when an endpoint is built
//!   on it.)
//! - **One event, handled once.** Repeats, concurrent repeats and repeats at another replica become
//!   one record. Handling is at-least-once, and a task's success is final. Exactly once *in effect*
//!   is `SqliteStore::complete` or `PostgresStore::complete`, in a transaction of the handler's own database.
//! - **Nothing unproven costs more than a header check.** No body is read, no task spawned, nothing
//!   stored for a caller that has not proved himself. Where the proof covers the body, the bodies
//!   that are read before it share one bounded budget.
//! - **Foreign traffic pays nothing.** A request that is not for the callback path reaches the app
//!   with no allocation.
//! - **No hidden machinery.** No global state, and no task that you did not start or that outlives
//!   what started it, with four exceptions, each of which ends by itself: a commit, and a submission,
//!   that is in flight finishes though its caller hung up; an upload into an object store that is
//!   dropped half-way removes its parts; and PostgreSQL is told (`NOTIFY`) of events that were just
//!   stored.
//! - **Strict before proof, tolerant after.** What a proven caller sends is read if it can be read
//!   at all, and kept if it cannot.
//!
//! # Where to mount it
//!
//! In axum the leaf is the paved way: `route_service(path, callback)` works with fallbacks, merges
//! and nests in any order. [`CallbackService::layer`] wraps a finished app, last, for hyper and
//! tonic. In axum 0.8 a layer works like this:
//!
//! | layer mounted as | callback reaches us |
//! | --- | --- |
//! | `.layer(l)` on the router, also on an empty one; `.fallback(f).layer(l)`; `other.merge(layered)` | yes |
//! | `.layer(l).fallback(f)` | **no: the fallback answers 200 and the event is lost in silence** |
//! | `layered.merge(other)`, `nest("/api", layered)`, `route_layer` | no, 404 |
//! | tonic, wrong path | tonic answers **HTTP 200** with `grpc-status: 12`: replace its fallback by 404 |
//!
//! # Cargo features
//!
//! | feature | what it adds |
//! | --- | --- |
//! | none (the default) | layer, proofs, [`MemoryStore`], worker; no TLS, no database |
//! | `sqlite` | [`SqliteStore`]: durable, in one file or in your own SQLite database, on sqlx 0.9; it brings SQLite itself and needs a C compiler. And `store::Spooled`, a file in front of any store that may be away |
//! | `postgres` | [`PostgresStore`](https://docs.rs/tower-callback/latest/tower_callback/store/struct.PostgresStore.html): durable, in your own PostgreSQL database, for fronts and workers on several machines, on sqlx 0.9 |
//! | `redis` | [`RedisStore`]: durable, on a Redis server or cluster (from 7.0 on) that many processes share, through redis 1.8 |
//! | `client` | `music_video::Client`: submits tasks to the provider and asks it how they are going, within its rate limit, on reqwest and rustls; `music_video::Submitter` submits each at most once; `Callbacks::poll_with` and `confirm_with` |
//! | `download` | the `download` module: the video, out of a URL that expires, into a directory or an object store (on `object_store` 0.14 and reqwest 0.13, with rustls) |
//! | `metrics` | the `metrics` module: what is counted, through the [`metrics`](https://docs.rs/metrics) facade: callbacks, commits, the inbox, deliveries, downloads |
//! | `testing` | the `testing` module: the provider, simulated over real sockets, a store that records and fails at will, the conformance suite for stores of your own, fuzzing for events of your own |
//! | `cli` | the command `tower-callback`, with all that it needs: `sqlite`, `postgres`, `redis`, `client`, `download`, `testing` and clap; and callback URLs that are https for `testing::provider` |
//!
//! A feature adds, and never changes what is there.
//!
#![cfg_attr(
    not(feature = "sqlite"),
    doc = " [`SqliteStore`]: https://docs.rs/tower-callback/latest/tower_callback/store/struct.SqliteStore.html"
)]
#![cfg_attr(
    not(feature = "redis"),
    doc = " [`RedisStore`]: https://docs.rs/tower-callback/latest/tower_callback/store/struct.RedisStore.html"
)]

pub mod callbacks;
pub mod clock;
mod count;
#[cfg(any(feature = "download", feature = "sqlite"))]
mod disk;
#[cfg(feature = "download")]
#[cfg_attr(docsrs, doc(cfg(feature = "download")))]
pub mod download;
mod error;
pub mod event;
pub mod front;
pub mod health;
// Its code needs every feature, where it is tested; where it is only read, it needs none.
#[cfg(all(
    doc,
    any(
        not(doctest),
        all(
            feature = "client",
            feature = "download",
            feature = "postgres",
            feature = "redis",
            feature = "sqlite",
            feature = "testing",
        )
    )
))]
pub mod guide;
mod liveness;
#[cfg(feature = "metrics")]
#[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
pub mod metrics;
pub mod music_video;
mod panic;
mod redact;
pub mod store;
#[cfg(any(test, feature = "testing"))]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub mod testing;
pub mod verify;
pub mod worker;

#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
#[doc(inline)]
pub use self::store::PostgresStore;
#[cfg(feature = "redis")]
#[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
#[doc(inline)]
pub use self::store::RedisStore;
#[cfg(feature = "sqlite")]
#[cfg_attr(docsrs, doc(cfg(feature = "sqlite")))]
#[doc(inline)]
pub use self::store::SqliteStore;
#[doc(inline)]
pub use self::{
    callbacks::Callbacks,
    clock::Clock,
    error::BuildError,
    event::{Callback, Event, EventKey, TraceContext},
    front::{CallbackLayer, CallbackService, Disposition},
    music_video::MusicVideo,
    redact::{Redaction, redact},
    store::MemoryStore,
    verify::{IpAllowlist, Signature, SignedUrl, Token, Verify, verify_fn},
    worker::{Delivery, GiveUp, Handler, HandlerError, RetryAfter, RetryPolicy, Worker},
};

/// Any error, as tower writes it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The code in the README is compiled with the tests, where there is what it names.
#[cfg(all(doctest, feature = "client", feature = "download", feature = "sqlite"))]
#[doc = include_str!("../README.md")]
struct Readme;
