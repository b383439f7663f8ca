//! Whether the server answers as a callback endpoint does.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{
    Response, StatusCode,
    header::{CONTENT_TYPE, LOCATION},
};
use tokio::time::timeout;
use tower_callback::{front::TEST_CALLBACK, testing::callback};

use super::{Finding, Findings, Level};
use crate::{
    proof::Carried,
    stop::Result,
    text::{about, chain, plain},
};

/// The body of every 200 of ours.
const RECEIVED: &str = r#"{"status":"received"}"#;

/// Those of the two ways in which a caller without proof is refused.
const REFUSED: [(StatusCode, &str); 2] = [
    (StatusCode::UNAUTHORIZED, r#"{"error":"unauthorized"}"#),
    (StatusCode::NOT_FOUND, r#"{"error":"not found"}"#),
];

/// The id of the test's task, for proofs that sign one.
const TASK: &str = "tower-callback-test";

/// Sends a test callback.
async fn send(
    carried: Carried,
    deadline: Duration,
) -> (std::result::Result<Response<Bytes>, String>, Duration) {
    let mut test = callback(TASK).body(TEST_CALLBACK);
    for (name, value) in carried.headers {
        test = test.header(name, value);
    }
    if let Some(signer) = &carried.signer {
        test = test.sign(signer);
    }
    let start = Instant::now();
    let answer = match timeout(deadline, test.send(&carried.url)).await {
        Ok(answer) => answer.map_err(|error| chain(&*error)),
        Err(_) => Err(format!("no answer within {}", about(deadline))),
    };
    (answer, start.elapsed())
}

/// Sends it without proof. Says whether it was our endpoint that answered.
pub(super) async fn refuses(
    forged: Carried,
    deadline: Duration,
    findings: &mut Findings<'_>,
) -> Result<bool> {
    let (answer, took) = send(forged, deadline).await;
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            findings.add(silent(error))?;
            return Ok(false);
        }
    };
    let status = answer.status();
    findings.add(Finding::good(
        "answer",
        format!("{} after {} ms", status.as_u16(), took.as_millis()),
    ))?;
    if let Some(finding) = stranger(&answer) {
        findings.add(finding)?;
        return Ok(false);
    }
    let body = answer.body();
    if REFUSED
        .iter()
        .any(|(code, text)| *code == status && body == text)
    {
        findings.add(Finding::good("proof", "without it, a callback is refused"))?;
        return Ok(true);
    }
    findings.add(match status {
        status if status.is_success() => Finding::wrong(
            "proof",
            "a callback without proof is taken",
            "Anybody can send events: give the endpoint a proof. If this server is not of tower-callback, check \
             the caller before you answer.",
        ),
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Finding::wrong(
            "path",
            format!("{}, and not from a callback endpoint", status.as_u16()),
            "Nothing is mounted at this path: compare it with the route, without a slash at the end, and with what \
             a proxy makes of it.",
        ),
        status if status.is_server_error() => Finding::wrong(
            "path",
            format!("{} before any proof", status.as_u16()),
            "A proxy or another app answers, or the endpoint is broken: see its log.",
        ),
        status => Finding::wrong(
            "path",
            format!("{}, and not the answer of a callback endpoint", status.as_u16()),
            "Something in front of the endpoint answers: a login, a CSRF check, a maintenance page. Let POST to this \
             path through.",
        ),
    })?;
    Ok(false)
}

fn silent(error: String) -> Finding {
    Finding::wrong(
        "answer",
        error,
        "The provider gives up after 15 s: answer before the work is done, and see what holds the request up.",
    )
}

/// What answers in the place of a callback endpoint.
fn stranger(answer: &Response<Bytes>) -> Option<Finding> {
    let header = |name: &str| {
        let value = answer.headers().get(name)?;
        Some(plain(&String::from_utf8_lossy(value.as_bytes())))
    };
    let status = answer.status().as_u16();
    if answer.status().is_redirection() {
        // Without the query, in which the proof may be.
        let to = header(LOCATION.as_str()).unwrap_or_default();
        let to = to.split('?').next().unwrap_or_default().to_owned();
        return Some(Finding::wrong(
            "redirect",
            format!("{status} to {to}"),
            "Providers do not follow it: give them the last URL, with https and with or without the slash as it is \
             there.",
        ));
    }
    let content = header(CONTENT_TYPE.as_str()).unwrap_or_default();
    if header("grpc-status").is_some() || content.starts_with("application/grpc") {
        return Some(Finding::wrong(
            "endpoint",
            format!("{status} from a gRPC server, which takes no callback"),
            "tonic answers unknown paths with 200, and the event is lost: wrap the finished app in the layer, at this \
             very path, and let tonic's fallback answer 404.",
        ));
    }
    if content.starts_with("text/html") {
        return Some(Finding::wrong(
            "endpoint",
            format!("{status} with a web page"),
            "A single-page app or a login answers every path, and the event is lost: route this path before it.",
        ));
    }
    None
}

/// Sends it with proof.
pub(super) async fn accepts(
    proven: Carried,
    has_proof: bool,
    is_ours: bool,
    deadline: Duration,
    findings: &mut Findings<'_>,
) -> Result {
    const NAME: &str = "test callback";
    if !has_proof {
        return findings.add(Finding::unseen(
            NAME,
            "not sent: there is no proof to send it with",
            "Say --token or --sign, or give the URL with its token as env:NAME.",
        ));
    }
    if !is_ours {
        return findings.add(Finding::unseen(
            NAME,
            "not sent: whoever answers may not keep it from a handler",
            "Mend what is wrong above, then try again.",
        ));
    }
    let (answer, took) = send(proven, deadline).await;
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return findings.add(silent(error)),
    };
    let status = answer.status();
    let code = status.as_u16();
    if status == StatusCode::OK && answer.body() == RECEIVED {
        let seen = format!(
            "received after {} ms, and kept from every handler",
            took.as_millis()
        );
        return findings.add(Finding::good(NAME, seen));
    }
    findings.add(match status {
        StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND => Finding::wrong(
            NAME,
            format!("{code}: the proof is refused"),
            "Compare the secret with that of the service, and where it is put (--token-in). The service's log says \
             what was wrong. A provider with this proof is refused too.",
        ),
        StatusCode::UNPROCESSABLE_ENTITY | StatusCode::BAD_REQUEST => Finding::other(
            Level::Doubtful,
            NAME,
            format!("{code}: the proof is good, and a test callback is not known"),
            "The service has a release of tower-callback before 0.1.0, and has put the test into quarantine.",
        ),
        StatusCode::SERVICE_UNAVAILABLE => Finding::wrong(
            NAME,
            format!("{code}: the endpoint is too busy or broken"),
            "See the service's log. The provider tries again, but not for long.",
        ),
        StatusCode::OK => Finding::wrong(
            NAME,
            "200, with another body than ours".to_owned(),
            "Something in front of the endpoint answers for it or changes its answers: let POST to this path through.",
        ),
        _ => Finding::wrong(
            NAME,
            format!("{code}, where 200 is the one answer that counts"),
            "Something in front of the endpoint answers: let POST to this path through.",
        ),
    })
}
