//! A certificate and its key, from two files that somebody else replaces.

use std::{
    fs, io,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use rustls::{
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::time::sleep;
use tower_callback::BoxError;

/// The certificate of a server: the one in the files, or the last one there that was good.
#[derive(Debug)]
pub struct Certificate {
    chain: PathBuf,
    key: PathBuf,
    current: RwLock<Current>,
}

#[derive(Debug)]
struct Current {
    /// What was in the files, good or bad: the same is not read twice.
    files: Files,
    certified: Arc<CertifiedKey>,
}

#[derive(Debug, PartialEq)]
struct Files {
    chain: Vec<u8>,
    key: Vec<u8>,
}

impl Certificate {
    /// Reads the files: the chain with the server's own certificate first, and its key, both as PEM.
    ///
    /// # Errors
    ///
    /// When they cannot be read, or do not belong together.
    pub fn open(chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Result<Arc<Self>, BoxError> {
        let (chain, key) = (chain.into(), key.into());
        let files = Files {
            chain: fs::read(&chain)?,
            key: fs::read(&key)?,
        };
        let certified = Arc::new(certified(&files)?);
        Ok(Arc::new(Self {
            chain,
            key,
            current: RwLock::new(Current { files, certified }),
        }))
    }

    /// Looks into the files again and again. Contents are compared, because a mounted secret changes by a
    /// link, and a restored file may be older than the one before.
    pub async fn watch(&self, every: Duration) {
        loop {
            sleep(every).await;
            match self.reload() {
                Ok(false) => {}
                Ok(true) => tracing::info!("the certificate was replaced"),
                // One file may be there before the other.
                Err(error) => tracing::warn!(error, "the new certificate is not used yet"),
            }
        }
    }

    /// Whether there was something new.
    fn reload(&self) -> Result<bool, BoxError> {
        let read = |path| match fs::read(path) {
            Ok(bytes) => Ok(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err("one of its files is not there")
            }
            Err(_) => Err("one of its files cannot be read"),
        };
        let files = Files {
            chain: read(&self.chain)?,
            key: read(&self.key)?,
        };
        if files == self.current().files {
            return Ok(false);
        }
        let certified = certified(&files);
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        current.files = files;
        current.certified = Arc::new(certified?);
        Ok(true)
    }

    fn current(&self) -> std::sync::RwLockReadGuard<'_, Current> {
        // It is whole between any two steps.
        self.current.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ResolvesServerCert for Certificate {
    /// Each connection has the certificate of the moment at which it came.
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current().certified))
    }
}

/// What the files hold, if they belong together.
fn certified(files: &Files) -> Result<CertifiedKey, BoxError> {
    let chain = CertificateDer::pem_slice_iter(&files.chain).collect::<Result<Vec<_>, _>>()?;
    if chain.is_empty() {
        return Err("there is no certificate in the file".into());
    }
    let key = PrivateKeyDer::from_pem_slice(&files.key)?;
    Ok(CertifiedKey::from_der(chain, key, &default_provider())?)
}
