//! `url`: callback URLs that prove themselves.

use std::time::Duration;

use serde_json::json;
use tower_callback::{
    SignedUrl,
    verify::{Secrets, SecretsError},
};

use crate::{
    given::Given,
    output::Output,
    stop::{Result, Stop},
    text::{chain, duration},
};

/// Make callback URLs
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    Mint(Mint),
}

/// Make signed callback URLs, one for each submission
#[derive(clap::Args)]
#[command(after_help = AFTER)]
pub(crate) struct Mint {
    /// The ids under which the handler will find the callbacks: of orders, or of jobs
    #[arg(required = true, value_name = "CORRELATION")]
    correlations: Vec<String>,
    /// The name of the endpoint, as the service gives it to `Callbacks::new`
    #[arg(long, value_name = "NAME")]
    endpoint: String,
    /// The URL under which the provider reaches the endpoint
    #[arg(long, value_name = "URL")]
    base: Given,
    /// The keys, the first of which signs: `env:NAME` or `file:PATH`, with one on each line, after its label
    #[arg(long, value_name = "FROM")]
    key: Given,
    /// The parameter that holds the capability
    #[arg(
        long,
        value_name = "NAME",
        default_value = "cap",
        conflicts_with = "segment"
    )]
    parameter: String,
    /// The capability is the last segment of the path
    #[arg(long)]
    segment: bool,
    /// How long it is good
    #[arg(long, value_name = "TIME", default_value = "25h", value_parser = duration)]
    life: Duration,
    /// Take a base URL that is http://, on your own machine
    #[arg(long)]
    plain_http: bool,
}

const AFTER: &str = "\
A URL is as good as a password until it expires. Endpoint, keys and the place of the capability must be
those of the service, or it refuses the URL.
Exit codes: see `tower-callback --help`.

Examples:
  tower-callback url mint order-1742 --endpoint music-video --key file:callback.keys \\
      --base https://example.com/music-video-callback
  tower-callback url mint order-1 order-2 --endpoint music-video --key env:CALLBACK_KEYS \\
      --base https://example.com/callback --segment --life 2h";

pub(crate) fn run(command: Command, out: &mut Output) -> Result {
    let Command::Mint(args) = command;
    let unusable = |error: SecretsError| Stop::usage(format!("--key: {}", chain(&error)));
    let keys = match &args.key {
        Given::Here(_) => args
            .key
            .secret("--key")
            .map(|secret| secret.as_str().into())?,
        Given::Env(name) => Secrets::from_env(name.as_str()).map_err(unusable)?,
        Given::File(path) => Secrets::from_file(path).map_err(unusable)?,
    };
    let base = args.base.read()?;
    let signed = match args.segment {
        true => SignedUrl::segment(&args.endpoint, &*base, keys),
        false => SignedUrl::query(&args.endpoint, &*base, &args.parameter, keys),
    };
    let signed = match args.plain_http {
        true => signed.dangerous().plain_http(),
        false => signed,
    };
    let mint = |correlation: &String| {
        let url = signed.mint_for(correlation, args.life);
        url.map_err(|error| Stop::usage(chain(&error)))
    };
    let urls = args
        .correlations
        .iter()
        .map(mint)
        .collect::<Result<Vec<_>>>()?;
    if out.is_json() {
        let pairs = args.correlations.iter().zip(&urls);
        let pairs = pairs.map(|(correlation, url)| json!({"correlation": correlation, "url": url}));
        return out.json(&pairs.collect());
    }
    urls.iter().try_for_each(|url| out.line(url))
}
