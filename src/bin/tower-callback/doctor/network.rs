//! Whether the provider can come here.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::Uri;
use rustls::{ClientConfig, crypto::aws_lc_rs, pki_types::ServerName};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::TlsConnector;
use tower_callback::download::is_public;

use super::{Finding, Findings, Level};
use crate::{
    certificate::not_after,
    stop::{Result, Stop},
    text::chain,
};

/// How long a name may take to resolve, and a connection to be made.
const PATIENCE: Duration = Duration::from_secs(10);

/// Certificates are renewed a month before their end as a rule: with less than this, nobody did.
const SOON: Duration = Duration::from_secs(14 * DAY);

const DAY: u64 = 24 * 60 * 60;

/// Where a callback URL leads to.
pub(super) struct Place {
    host: String,
    port: u16,
    path: String,
    is_https: bool,
}

impl Place {
    /// The path is shown only if that of the command line was.
    pub(super) fn of(url: &str, is_shown: bool) -> Result<Self> {
        let uri: Uri = url.parse().map_err(|_| Stop::usage("this is no URL"))?;
        let is_https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => {
                return Err(Stop::usage(
                    "a callback URL begins with https:// (or http://)",
                ));
            }
        };
        let host = uri
            .host()
            .ok_or_else(|| Stop::usage("this URL names no host"))?;
        let port = uri.port_u16().unwrap_or(if is_https { 443 } else { 80 });
        Ok(Self {
            host: host
                .trim_start_matches('[')
                .trim_end_matches(']')
                .to_owned(),
            port,
            path: match is_shown {
                true => uri.path().to_owned(),
                false => "/…".to_owned(),
            },
            is_https,
        })
    }
}

/// Looks, and says whether there is a server to talk to.
pub(super) async fn check(
    place: &Place,
    is_local: bool,
    findings: &mut Findings<'_>,
) -> Result<bool> {
    let Place { host, port, .. } = place;
    let found = timeout(PATIENCE, lookup_host((host.as_str(), *port))).await;
    let addresses: Vec<SocketAddr> = match found {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(_)) | Err(_) => Vec::new(),
    };
    if addresses.is_empty() {
        findings.add(Finding::wrong(
            "name",
            format!("{host} has no address"),
            "Is it written as it should be? Otherwise give it an A or AAAA record, and wait until that is known.",
        ))?;
        return Ok(false);
    }
    let list: Vec<String> = addresses
        .iter()
        .map(|address| address.ip().to_string())
        .collect();
    findings.add(Finding::good(
        "name",
        format!("{host} has the address {}", list.join(", ")),
    ))?;
    findings.add(public(&addresses, is_local))?;

    let stream = match connect(&addresses).await {
        Ok(stream) => stream,
        Err(error) => {
            findings.add(Finding::wrong(
                "connection",
                error,
                format!("Does the server run, and listen on port {port} of this address? Does a firewall stand before it?"),
            ))?;
            return Ok(false);
        }
    };
    findings.add(Finding::good(
        "connection",
        format!("port {port} accepts connections"),
    ))?;
    let is_good = if place.is_https {
        let finding = tls(place, stream).await;
        let is_good = finding.level != Level::Wrong;
        findings.add(finding)?;
        is_good
    } else {
        findings.add(plain_http(is_local))?;
        true
    };
    let scheme = if place.is_https { "https" } else { "http" };
    findings.add(Finding::unseen(
        "reach",
        "whether the provider reaches it cannot be proved from inside",
        format!(
            "From a machine outside your network: curl -i -X POST {scheme}://{host}:{port}{}  (401 is the right \
             answer). Then look for that request in the log of your proxy.",
            place.path,
        ),
    ))?;
    Ok(is_good)
}

fn public(addresses: &[SocketAddr], is_local: bool) -> Finding {
    let hidden: Vec<IpAddr> = addresses
        .iter()
        .map(|address| address.ip())
        .filter(|address| !is_public(*address))
        .collect();
    if hidden.is_empty() {
        return Finding::good("address", "public");
    }
    let list: Vec<String> = hidden.iter().map(ToString::to_string).collect();
    let seen = format!("{} is not public", list.join(", "));
    if is_local {
        return Finding::unseen(
            "address",
            seen,
            "Right for your own machine. The provider needs a public name: use a tunnel to try it.",
        );
    }
    Finding::wrong(
        "address",
        seen,
        "No provider can call it: point the name to a public address, or use a tunnel (--local says that this \
         is your own machine).",
    )
}

async fn connect(addresses: &[SocketAddr]) -> std::result::Result<TcpStream, String> {
    let mut last = "there is no address".to_owned();
    for address in addresses {
        match timeout(PATIENCE, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = format!("{address}: {error}"),
            Err(_) => last = format!("{address} does not answer"),
        }
    }
    Err(last)
}

fn plain_http(is_local: bool) -> Finding {
    let seen = "there is none: this is plain HTTP";
    match is_local {
        true => Finding::unseen("TLS", seen, "Right for your own machine alone."),
        false => Finding::wrong(
            "TLS",
            seen,
            "Everybody on the way can read the proof and send events: serve https://, by a proxy or by rustls.",
        ),
    }
}

async fn tls(place: &Place, stream: TcpStream) -> Finding {
    let wrong = |seen: String| {
        Finding::wrong(
            "TLS",
            seen,
            "Most providers refuse such a certificate, and no callback comes: renew it, serve its whole chain, and \
             use the name that it was made for.",
        )
    };
    let (end, count) = match timeout(PATIENCE, handshake(place, stream)).await {
        Ok(Ok(chain)) => chain,
        Ok(Err(error)) => return wrong(error),
        Err(_) => return wrong("the handshake does not end".to_owned()),
    };
    let Some(left) = end.and_then(|end| end.duration_since(SystemTime::now()).ok()) else {
        return Finding::good("TLS", format!("the chain of {count} is good"));
    };
    let days = left.as_secs() / DAY;
    let seen = format!("the chain of {count} is good for {days} more days");
    match left < SOON {
        true => Finding::other(
            Level::Doubtful,
            "TLS",
            seen,
            "Renew it now, and see why that was not done by itself.",
        ),
        false => Finding::good("TLS", seen),
    }
}

/// When the first certificate of the chain ends, and how many there are. The system has held them good.
async fn handshake(
    place: &Place,
    stream: TcpStream,
) -> std::result::Result<(Option<SystemTime>, usize), String> {
    let text = |error: rustls::Error| chain(&error);
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_platform_verifier())
        .map_err(text)?
        .with_no_client_auth();
    let name = ServerName::try_from(place.host.clone())
        .map_err(|_| "no certificate can name this host".to_owned())?;
    let connected = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await;
    let connected = connected.map_err(|error| chain(&error))?;
    let (_, connection) = connected.get_ref();
    let certificates = connection.peer_certificates().unwrap_or_default();
    let end = certificates
        .iter()
        .filter_map(|certificate| not_after(certificate))
        .min();
    Ok((end, certificates.len()))
}
