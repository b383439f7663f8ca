//! TLS for callback URLs that are https.

use std::{io, sync::Arc};

use rustls::{ClientConfig, crypto::aws_lc_rs, pki_types::ServerName};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::target::Stream;
use crate::error::BuildError;

/// A server to speak TLS with, whose certificate the system must hold good.
#[derive(Clone)]
pub(super) struct Tls {
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
}

impl Tls {
    pub(super) fn of(host: &str) -> Result<Self, BuildError> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| BuildError::new("url", "has a host that no certificate can name"))?;
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_platform_verifier())
            .map_err(|error| {
                BuildError::new(
                    "url",
                    format!("is https, and TLS cannot be had here: {error}"),
                )
            })?
            .with_no_client_auth();
        Ok(Self {
            name,
            config: Arc::new(config),
        })
    }

    pub(super) async fn connect(&self, stream: TcpStream) -> io::Result<Stream> {
        let connector = TlsConnector::from(Arc::clone(&self.config));
        Ok(Box::new(
            connector.connect(self.name.clone(), stream).await?,
        ))
    }
}
