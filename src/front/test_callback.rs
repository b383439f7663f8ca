//! A callback that asks only whether callbacks arrive.

/// The body of a test callback: one that goes the whole way of a callback up to the answer, and to no
/// handler. `tower-callback doctor` sends it.
///
/// A proven caller who sends exactly these bytes is answered as for a new event. Nothing is stored, no
/// handler is called, and what [`accept`](crate::Callbacks::accept) was given is not either. Without
/// proof it is refused like everything else.
///
/// ```
/// use bytes::Bytes;
/// use http::Request;
/// use http_body_util::Full;
/// use tower::ServiceExt;
/// use tower_callback::{Callbacks, Disposition, MemoryStore, MusicVideo, Token, front::TEST_CALLBACK};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let secret = "a-secret-of-32-characters-or-so";
/// let service = Callbacks::<MusicVideo>::new("music-video", Token::bearer(secret))
///     .store(MemoryStore::new())
///     .build_front()?;
/// let request = Request::post("/music-video-callback")
///     .header("authorization", format!("Bearer {secret}"))
///     .body(Full::<Bytes>::from(TEST_CALLBACK))?;
/// let response = service.oneshot(request).await?;
/// assert_eq!(response.extensions().get(), Some(&Disposition::Tested));
/// # Ok(())
/// # }
/// ```
///
/// # Security
///
/// The mark is the body itself, and the whole of it, so that it is covered by whatever proves a body, and
/// so that nobody can turn a provider's callback into a test by adding something to it: a header or a
/// parameter would be such a thing. It holds an id for proofs that sign one.
///
/// It says nothing of the store: that is what readiness is for.
pub const TEST_CALLBACK: &str =
    r#"{"tower_callback":"test","data":{"task_id":"tower-callback-test"}}"#;
