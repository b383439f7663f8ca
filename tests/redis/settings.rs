//! Servers that would lose what they acknowledge.

use tower_callback::{
    RedisStore,
    store::{Inbox, RedisConnectErrorKind as Kind, StoreErrorKind},
};

use crate::{at_last, event, open, put, servers::redis::Redis, trials, whole_text};

trials! {
    every_wrong_setting_is_refused_by_name,
    all_wrong_settings_are_named_at_once,
    a_setting_that_went_wrong_is_refused_when_the_connection_is_made_anew,
    a_server_that_hides_its_settings_is_used_only_by_who_says_so,
    a_replica_is_refused,
    what_a_later_version_wrote_is_refused,
    a_password_is_in_no_error_and_in_no_debug_text,
    names_and_urls_that_are_of_no_use_are_refused,
}

async fn every_wrong_setting_is_refused_by_name() {
    let wrong = [
        ("appendonly", "no", "yes"),
        ("appendfsync", "everysec", "always"),
        ("appendfsync", "no", "always"),
        ("no-appendfsync-on-rewrite", "yes", "no"),
        ("maxmemory-policy", "allkeys-lru", "noeviction"),
    ];
    let server = Redis::start(&[]);
    for (name, is, right) in wrong {
        server.ok(&["CONFIG", "SET", name, is]);
        let error = open(&server, RedisStore::options()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Settings, "{name}");
        let text = error.to_string();
        assert!(text.contains(&format!("`{name}` is `{is}`")), "{text}");
        assert!(
            text.contains(&format!("CONFIG SET {name} {right}")),
            "{text}"
        );
        assert_eq!(text.matches("CONFIG SET").count(), 1, "{text}");
        server.ok(&["CONFIG", "SET", name, right]);
    }
    open(&server, RedisStore::options()).await.unwrap();
}

async fn all_wrong_settings_are_named_at_once() {
    let server = Redis::start(&[("appendonly", "no"), ("appendfsync", "everysec")]);
    let error = open(&server, RedisStore::options()).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("`appendonly`") && text.contains("`appendfsync`"),
        "{text}"
    );
    // Nobody can say that he trusts a setting that is told, and wrong.
    let trusting = RedisStore::options().dangerous().trust_hidden_settings();
    let error = open(&server, trusting).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Settings);
}

async fn a_setting_that_went_wrong_is_refused_when_the_connection_is_made_anew() {
    let server = Redis::start(&[]);
    let store = open(&server, RedisStore::options()).await.unwrap();
    let record = event("before");
    put(&store, &record).await;
    server.ok(&["CONFIG", "SET", "appendfsync", "everysec"]);
    server.command(&["CLIENT", "KILL", "TYPE", "normal"]);
    let mut texts = Vec::new();
    for _ in 0..3 {
        let error = store.insert(&[event("meanwhile")]).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        texts.push(whole_text(&error));
    }
    assert!(
        texts[2].contains("`appendfsync` is `everysec`"),
        "{texts:?}"
    );
    server.ok(&["CONFIG", "SET", "appendfsync", "always"]);
    at_last("set right again", || {
        store.insert(std::slice::from_ref(&record))
    })
    .await;
}

async fn a_server_that_hides_its_settings_is_used_only_by_who_says_so() {
    let server = Redis::start(&[("rename-command", "CONFIG HIDDEN")]);
    let error = open(&server, RedisStore::options()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::HiddenSettings);
    assert!(
        error.to_string().contains("trust_hidden_settings"),
        "{error}"
    );
    let trusting = RedisStore::options().dangerous().trust_hidden_settings();
    let store = open(&server, trusting).await.unwrap();
    put(&store, &event("a")).await;

    let server = Redis::start(&[]);
    server.ok(&["ACL", "SETUSER", "default", "-config"]);
    let error = open(&server, RedisStore::options()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::HiddenSettings);
}

async fn a_replica_is_refused() {
    let (primary, replica) = (Redis::start(&[]), Redis::start(&[]));
    let port = primary.address().port().to_string();
    replica.ok(&["REPLICAOF", "127.0.0.1", &port]);
    // It answers nothing while it loads what the primary has.
    at_last("it is a replica", || async {
        match open(&replica, RedisStore::options()).await {
            Err(error) if error.kind() == Kind::Replica => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

async fn what_a_later_version_wrote_is_refused() {
    let server = Redis::shared();
    let name = server.name();
    let options = RedisStore::options().with_name(name.as_str());
    let store = open(server, options.clone()).await.unwrap();
    put(&store, &event("a")).await;
    server.command(&["HSET", &format!("{{{name}}}:m"), "v", "2"]);
    let error = open(server, options).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NewerLayout);
    // Whoever was there before the upgrade writes nothing more.
    let error = store.insert(&[event("b")]).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
}

async fn a_password_is_in_no_error_and_in_no_debug_text() {
    let server = Redis::start(&[("requirepass", "pa55w0rd")]);
    let address = server.address();
    for url in [
        format!("redis://:pa55w0rd-wrong@{address}"),
        "redis://:pa55w0rd@127.0.0.1:1".to_owned(),
        "nonsense://:pa55w0rd@127.0.0.1:1".to_owned(),
        "redis://:pa55w0rd@127.0.0.1:notaport".to_owned(),
    ] {
        let error = RedisStore::connect(&url).await.unwrap_err();
        let texts = [whole_text(&error), format!("{error:?}")];
        assert!(
            texts.iter().all(|text| !text.contains("pa55w0rd")),
            "{texts:?}"
        );
    }
    let url = format!("redis://:pa55w0rd@{address}");
    let options = RedisStore::options().with_node(url.as_str());
    assert!(!format!("{options:?}").contains("pa55w0rd"));
    let store = options.connect(&url).await.unwrap();
    assert!(!format!("{store:?}").contains("pa55w0rd"));
}

async fn names_and_urls_that_are_of_no_use_are_refused() {
    for name in ["", "a{b", "a}b"] {
        let options = RedisStore::options().with_name(name);
        let error = open(Redis::shared(), options).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Options, "{name}");
    }
    let error = RedisStore::connect("http://127.0.0.1").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Options);
    let error = RedisStore::connect("redis://127.0.0.1:1")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable);
}
