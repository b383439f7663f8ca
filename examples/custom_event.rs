//! Another provider's payload: a serde type becomes an event. This provider names each event in a
//! header, which is what makes two callbacks the same.
//!
//! ```text
//! cargo run --example custom_event -- --once    calls itself, and ends with 0 if all went right
//! ```

mod support;

use std::{net::SocketAddr, time::Duration};

use serde::Deserialize;
use support::send;
use tokio::{
    net::TcpListener,
    signal::ctrl_c,
    sync::{mpsc, watch},
    time::timeout,
};
use tower_callback::{
    BoxError, Callback, Callbacks, Event, EventKey, MemoryStore, Token,
    event::{InvalidKey, ParseError},
};

const SECRET: &str = "read-this-from-your-configuration";
const ID: &str = "webhook-id";

/// What the provider sends as JSON.
#[derive(Debug, PartialEq, Deserialize)]
struct Order {
    order_id: String,
    cents: u64,
}

/// An order was paid: the payload, and the id from the header.
#[derive(Debug)]
struct OrderPaid {
    id: String,
    order: Order,
}

impl Event for OrderPaid {
    // These headers, and no others, are kept with the record.
    const HEADERS: &'static [&'static str] = &[ID];

    fn parse(callback: &Callback<'_>) -> Result<Self, ParseError> {
        let id = callback
            .headers()
            .get(ID)
            .ok_or_else(|| ParseError::unprocessable("no webhook-id"))?;
        Ok(Self {
            id: id.to_str().map_err(ParseError::unprocessable)?.to_owned(),
            order: callback.json()?,
        })
    }

    fn key(&self) -> Result<EventKey, InvalidKey> {
        EventKey::new(&self.id)
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let (handled, mut paid) = mpsc::unbounded_channel();
    let (callback, worker) = Callbacks::<OrderPaid>::new("orders", Token::bearer(SECRET))
        .store(MemoryStore::new())
        .handle(move |delivery| {
            let handled = handled.clone();
            async move {
                let OrderPaid { id, order } = delivery.event;
                println!("handled {id}: {order:?}");
                Ok(handled.send(order)?)
            }
        })
        .build()?;
    let app = axum::Router::new().route_service("/order-paid", callback);

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    println!("listening on http://{address}");
    let (stop, stopped) = watch::channel(());
    let server = axum::serve(listener, app).with_graceful_shutdown(shutdown(stopped.clone()));
    let server = tokio::spawn(server.into_future());
    let worker = tokio::spawn(worker.run_until(shutdown(stopped)));

    let outcome = if std::env::args().any(|argument| argument == "--once") {
        call(address, &mut paid).await
    } else {
        Ok(ctrl_c().await?)
    };

    drop(stop);
    timeout(Duration::from_secs(10), server).await???;
    worker.await?;
    outcome
}

async fn shutdown(mut stopped: watch::Receiver<()>) {
    let _ = stopped.changed().await;
}

/// Plays the provider: two orders, the first one twice, and one without an id.
async fn call(
    address: SocketAddr,
    paid: &mut mpsc::UnboundedReceiver<Order>,
) -> Result<(), BoxError> {
    let authorization = format!("Bearer {SECRET}");
    let mut statuses = Vec::new();
    for (id, order, cents) in [
        (Some("msg-1"), "o-1", 500),
        (Some("msg-1"), "o-1", 500),
        (None, "o-2", 1),
        (Some("msg-2"), "o-2", 700),
    ] {
        let mut headers = vec![("authorization", authorization.as_str())];
        headers.extend(id.map(|id| (ID, id)));
        let body = format!(r#"{{"order_id":"{order}","cents":{cents}}}"#);
        let (status, _) = send(address, "POST", "/order-paid", &headers, &body).await?;
        println!("{} of {order}: {status}", id.unwrap_or("no id"));
        statuses.push(status.as_u16());
    }
    let mut total = 0;
    for _ in 0..2 {
        let order = timeout(Duration::from_secs(10), paid.recv()).await?;
        total += order.ok_or("the handler is gone")?.cents;
    }
    println!("cents in all: {total}");
    if statuses != [200, 200, 422, 200] || total != 1200 || paid.try_recv().is_ok() {
        return Err("that is not right".into());
    }
    Ok(())
}
