//! Who is written together, and when.

use super::*;
use crate::store::Inbox;

#[tokio::test]
async fn whoever_comes_while_a_batch_is_written_becomes_the_next_batch_in_order() {
    let bench = Bench::new(Script::new().gated());
    let first = bench.occupy().await;
    let records: Vec<_> = (0..9).map(|n| record(n, 10)).collect();
    let ids: Vec<_> = records.iter().map(|record| record.id).collect();
    let rest = bench.spawn_waiting(records.into_iter()).await;
    assert_eq!(bench.store.sizes(), [1], "one batch at a time");
    bench.store.let_through(1);
    assert_eq!(joined(first).await.unwrap(), Inserted::Fresh);
    // The clock stands still all the while: it is the end of the first batch that begins the next.
    until(|| bench.store.begun() == 2).await;
    assert_eq!(bench.store.calls()[1], ids);
    bench.store.let_through(1);
    for task in rest {
        assert_eq!(joined(task).await.unwrap(), Inserted::Fresh);
    }
    bench.store.open();
    bench.is_at_rest().await;
}
