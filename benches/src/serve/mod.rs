//! A receiver in a process of its own, which says its port and ends when its input does.

mod listen;
mod receiver;

use std::io::{Read, Write};

use tokio::runtime::Builder;
use tower_callback::BoxError;

pub(crate) use self::receiver::Receiver;

#[derive(clap::Args)]
pub(crate) struct Options {
    receiver: Receiver,
    /// The file or URL where it keeps what it receives
    #[arg(long, default_value = "")]
    at: String,
    /// A name of its own at that place
    #[arg(long, default_value = "receiver")]
    name: String,
}

pub(crate) fn run(options: &Options) -> Result<(), BoxError> {
    std::thread::spawn(|| {
        // Until whoever started us is gone.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
            let port = listener.local_addr()?.port();
            options
                .receiver
                .serve(listener, &options.at, &options.name, || {
                    let mut out = std::io::stdout();
                    writeln!(out, "{port}").and_then(|()| out.flush())
                })
                .await
        })
}
