//! The guide: how to do things with this crate, a page for each.
//!
//! 1. [Getting started](getting_started): in axum, hyper and tonic, behind a proxy or a tunnel.
//! 2. [Choosing a proof](crate::verify): how the provider is told from everybody else.
//! 3. [Choosing a store](choosing_a_store), or [writing one](crate::store).
//! 4. [Handlers](handlers) that may be called twice, and effects that happen once.
//! 5. [Downloads](downloads): the video, out of a URL that expires.
//! 6. [Polling](polling): what to do where no callback comes.
//! 7. [Deploying](deploying): processes, containers, migrations, shutdown.
//! 8. [Operating](operating): dead letters, quarantine, rotation, retention, backup.
//! 9. [Observing](observing): metrics, alerts, spans, readiness.
//! 10. [The command](command): send, look, operate, and find out why no callback comes.
//! 11. [Testing](testing): a handler in five lines, a provider that misbehaves.
//! 12. [Performance](performance): what it takes, beside others, and which settings matter.
//! 13. [Growing](growing) past one machine.
//! 14. [Comparing](comparing): what others do better, and worse.
//! 15. [Upgrading](upgrading).
//!
//! The same pages are in the folder `docs` of the repository.

/// Makes a module of each page.
macro_rules! pages {
    ($($name:ident $file:literal)*) => {
        $(
            #[doc = include_str!(concat!("../docs/", $file))]
            pub mod $name {}
        )*
    };
}

pages! {
    getting_started "getting-started.md"
    choosing_a_store "choosing-a-store.md"
    handlers "handlers.md"
    downloads "downloads.md"
    polling "polling.md"
    deploying "deploying.md"
    operating "operating.md"
    observing "observing.md"
    command "command.md"
    testing "testing.md"
    performance "performance.md"
    growing "growing.md"
    comparing "comparing.md"
    upgrading "upgrading.md"
}
