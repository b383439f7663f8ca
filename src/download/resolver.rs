//! Names become addresses, and addresses that are not public are left out.
//!
//! The client connects to what comes out of here and to nothing else, so that a name which means
//! something different when it is asked for again gains nothing.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::{Refusal, Rules};

pub(super) type Lookup =
    Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

/// What the system says.
pub(super) fn system() -> Lookup {
    Arc::new(|name| {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    })
}

pub(super) struct Checked {
    pub(super) lookup: Lookup,
    pub(super) rules: Arc<Rules>,
}

impl fmt::Debug for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checked")
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let found = (self.lookup)(name.as_str().to_owned());
        let rules = Arc::clone(&self.rules);
        Box::pin(async move {
            let found = found.await?;
            if found.is_empty() {
                let nothing = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
                return Err(nothing.into());
            }
            let mut allowed = found;
            allowed.retain(|address| rules.allow(*address));
            if allowed.is_empty() {
                return Err(Refusal::NotPublic.into());
            }
            // Port 0 stands for the one of the URL.
            let addresses = allowed
                .into_iter()
                .map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}
