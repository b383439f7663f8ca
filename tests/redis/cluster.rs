//! A cluster of three nodes.

use tower_callback::{
    RedisStore,
    store::{Action, Inbox, Inserted, NewRecord, Queue, Settled, Settlement, State, Store},
};

use crate::{LONG, at_last, end, event, events, one, open, put, servers::redis::Cluster, trials};

trials! {
    a_cluster_works_from_whichever_node_is_named_and_follows_its_slot,
}

async fn a_cluster_works_from_whichever_node_is_named_and_follows_its_slot() {
    let cluster = Cluster::start();
    // Stores of several names are on several nodes.
    let mut owners = Vec::new();
    for n in 0..12 {
        let name = format!("store-{n}");
        let (_, owner) = cluster.owner(&format!("{{{name}}}:m"));
        owners.push(owner.address());
        for node in cluster.nodes() {
            let options = RedisStore::options().with_name(name.as_str());
            let store = open(node, options).await.unwrap();
            let key = format!("{}", node.address());
            let queues = [
                events(),
                Queue::tracked("other"),
                Queue::quarantine("third"),
            ];
            let batch = queues.map(|queue| NewRecord::new(queue, key.clone(), "body"));
            let answers = store.insert(&batch).await.unwrap();
            assert_eq!(answers, [Inserted::Fresh; 3]);
            let leased = one(&store).await;
            assert_eq!(end(&store, &leased, Action::Done).await, Settled::Applied);
            let found = store
                .find(&events(), key.as_bytes())
                .await
                .unwrap()
                .unwrap();
            assert_eq!(found.state, State::Done);
        }
    }
    owners.sort();
    owners.dedup();
    assert_eq!(owners.len(), 3, "the names are on all nodes");

    // One connection, made through another node, and the slot goes away under it.
    let name = "store-0";
    let (slot, from) = cluster.owner(&format!("{{{name}}}:m"));
    let others: Vec<_> = cluster
        .nodes()
        .iter()
        .filter(|node| node.address() != from.address())
        .collect();
    let options = RedisStore::options().with_name(name);
    let store = open(others[0], options).await.unwrap();
    put(&store, &event("before")).await;
    let leased = store.lease(&events(), 1, LONG).await.unwrap();
    Cluster::move_slot(slot, from, others[1]);
    let done = [Settlement::new(leased[0].lease.clone(), Action::Done)];
    let settled = at_last("settled elsewhere", || store.settle(&done)).await;
    assert_eq!(settled, [Settled::Applied]);
    let repeat = event("before");
    let answer = at_last("inserted elsewhere", || {
        store.insert(std::slice::from_ref(&repeat))
    })
    .await;
    assert!(matches!(
        answer[0],
        Inserted::Duplicate {
            state: State::Done,
            ..
        }
    ));

    // A node that is named and down is no hindrance while another is named too.
    let [dead, alive, _] = cluster.nodes() else {
        panic!("three nodes");
    };
    let name = (0..)
        .map(|n| format!("other-{n}"))
        .find(|name| cluster.owner(&format!("{{{name}}}:m")).1.address() == alive.address())
        .unwrap();
    dead.kill();
    let options = RedisStore::options().with_name(name).with_node(alive.url());
    let store = open(dead, options).await.unwrap();
    assert_eq!(put(&store, &event("a")).await, Inserted::Fresh);
}
