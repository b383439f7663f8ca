//! Another provider's payload: a serde type becomes an event. This provider names each event in a
//! header, which is what makes two callbacks the same.
//!
//! ```text
//! cargo run --example custom_event -- --once    calls itself, and ends with 0 if all went right
//! ```

mod support;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde::Deserialize;
use support::send;
use tokio::{
    net::TcpListener,
    signal::ctrl_c,
    sync::watch,
    time::{sleep, timeout},
};
use tower_callback::{
    BoxError, Callback, Callbacks, Delivery, Event, EventKey, HandlerError, MemoryStore, Token,
    event::{InvalidKey, ParseError},
};

const SECRET: &str = "read-this-from-your-configuration";
const ID: &str = "webhook-id";

/// What the provider sends as JSON.
#[derive(Deserialize)]
struct Order {
    order_id: String,
    cents: u64,
}

/// An order was paid: the payload, and the id from the header.
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

/// What was paid, by the event's id: an event that is handled again changes nothing.
#[derive(Clone, Default)]
struct Paid(Arc<Mutex<BTreeMap<String, u64>>>);

impl Paid {
    fn enter(&self, id: String, cents: u64) {
        let mut paid = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        paid.insert(id, cents);
    }

    fn total(&self) -> u64 {
        let paid = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        paid.values().sum()
    }
}

async fn handle(paid: Paid, delivery: Delivery<OrderPaid>) -> Result<(), HandlerError> {
    let OrderPaid { id, order } = delivery.event;
    println!(
        "handled {id}: {} was paid with {} cents",
        order.order_id, order.cents
    );
    paid.enter(id, order.cents);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let paid = Paid::default();
    let book = paid.clone();
    let (callback, worker) = Callbacks::<OrderPaid>::new("orders", Token::bearer(SECRET))
        .store(MemoryStore::new())
        .handle(move |delivery| handle(book.clone(), delivery))
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
        call(address, &paid).await
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
async fn call(address: SocketAddr, paid: &Paid) -> Result<(), BoxError> {
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
    if statuses != [200, 200, 422, 200] {
        return Err("that is not right".into());
    }
    let handled = async {
        while paid.total() != 1200 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    let handled = timeout(Duration::from_secs(10), handled).await;
    println!("cents in all: {}", paid.total());
    Ok(handled?)
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use tower_callback::testing::{Harness, callback_of};

    use super::*;

    #[tokio::test]
    async fn an_order_is_paid_once_by_the_id_in_the_header() {
        let (paid, order) = (Paid::default(), r#"{"order_id":"o-1","cents":500}"#);
        let book = paid.clone();
        let test = Harness::handle(move |delivery| handle(book.clone(), delivery));
        test.receive(callback_of(order).header(ID, "msg-1")).await;
        test.receive(callback_of(order).header(ID, "msg-1")).await;
        assert_eq!(test.receive(callback_of(order)).await.status(), 422);
        test.settled().await;
        test.assert_handled_once("msg-1");
        assert_eq!(paid.total(), 500);
    }
}
