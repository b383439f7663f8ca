//! Signatures of providers that many people have.

use super::{Encoding, Signature};
use crate::verify::Secrets;

impl Signature {
    /// GitHub, and those who sign as it does: `X-Hub-Signature-256: sha256=…`, over the body.
    ///
    /// ```
    /// use tower_callback::verify::Signature;
    ///
    /// # let secret = "a-secret-of-32-characters-or-so";
    /// let proof = Signature::github(secret);
    /// ```
    ///
    /// # Security
    ///
    /// No time is signed: who captured one request can send it again for ever, unaltered. Neither is
    /// the header `X-GitHub-Delivery`: an event with that as its key would be a new one with every
    /// id that somebody makes up. Take the [key](crate::Event::key) from the body.
    pub fn github(secrets: impl Into<Secrets>) -> Self {
        Self::hmac_sha256("x-hub-signature-256", secrets).prefix("sha256=")
    }

    /// Stripe: `Stripe-Signature: t=…,v1=…`, over time and body.
    ///
    /// While a secret is being changed, Stripe sends several `v1`; one that matches is enough. The
    /// secret is used as it is shown, with `whsec_` in front.
    ///
    /// # Security
    ///
    /// Who captured one request can send it again for the [tolerance](Self::tolerance), unaltered. Take
    /// the [key](crate::Event::key) from the body's `id`. Stripe signs each of its retries afresh.
    pub fn stripe(secrets: impl Into<Secrets>) -> Self {
        Self::hmac_sha256("stripe-signature", secrets)
            .list(',')
            .prefix("v1=")
            .timestamp_in_list("t=")
    }

    /// [Standard Webhooks](https://www.standardwebhooks.com): `webhook-signature: v1,…` over
    /// `webhook-id`, `webhook-timestamp` and body.
    ///
    /// While a secret is being changed, several signatures come with spaces between them; one that
    /// matches is enough. A secret is base64, with or without `whsec_` in front. Asymmetric signatures
    /// (`v1a`) are passed over.
    ///
    /// The signed id is the same for every retry, and so it is the best key for an event:
    ///
    /// ```
    /// use tower_callback::{Callback, Event, EventKey, event::{InvalidKey, ParseError}};
    ///
    /// struct Invoice {
    ///     id: String,
    ///     body: serde_json::Value,
    /// }
    ///
    /// impl Event for Invoice {
    ///     const HEADERS: &'static [&'static str] = &["webhook-id"];
    ///
    ///     fn parse(callback: &Callback<'_>) -> Result<Self, ParseError> {
    ///         let id = callback.headers().get("webhook-id").and_then(|id| id.to_str().ok());
    ///         Ok(Self {
    ///             id: id.ok_or_else(|| ParseError::unprocessable("no webhook-id"))?.to_owned(),
    ///             body: callback.json()?,
    ///         })
    ///     }
    ///
    ///     fn key(&self) -> Result<EventKey, InvalidKey> {
    ///         EventKey::new(&self.id)
    ///     }
    /// }
    /// ```
    ///
    /// # Security
    ///
    /// Who captured one request can send it again for the [tolerance](Self::tolerance), unaltered; with
    /// the signed id as its key it is a repeat. An id with a full stop is refused, as the specification
    /// asks: bytes of the body could pass for a part of it.
    pub fn standard_webhooks(secrets: impl Into<Secrets>) -> Self {
        Self::hmac_sha256("webhook-signature", secrets)
            .base64_secrets()
            .encoding(Encoding::Base64)
            .list(' ')
            .prefix("v1,")
            .id_header("webhook-id")
            .timestamp_header("webhook-timestamp")
    }
}
