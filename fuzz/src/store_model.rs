//! Any sequence of calls, on two stores and a model of them.

#[path = "../../tests/model/shared/mod.rs"]
mod shared;

use std::cell::RefCell;

use tokio::runtime::{Builder, Runtime};

use self::shared::{Limits, Sequence, Subject, agree, memory::Memory, sqlite::Sqlite};

struct Stores {
    runtime: Runtime,
    wide: Sqlite,
    tight: Sqlite,
}

thread_local! {
    // Opened once for the whole process: making the tables costs more than a sequence.
    static STORES: RefCell<Option<Stores>> = const { RefCell::new(None) };
}

/// Holds a store in memory and one in a file against the model, in a sequence of calls.
///
/// # Panics
///
/// When they differ.
pub fn store_model(input: &[u8]) {
    let sequence = Sequence::read(input);
    STORES.with_borrow_mut(|stores| {
        // Whoever panics leaves no store behind that knows of it.
        let mut open = stores.take().unwrap_or_else(Stores::open);
        let Stores {
            runtime,
            wide,
            tight,
        } = &mut open;
        runtime.block_on(async {
            agree(&mut Memory::new(sequence.limits), &sequence).await;
            let sqlite = match sequence.limits {
                Limits::TIGHT => tight,
                _ => wide,
            };
            agree(sqlite, &sequence).await;
            sqlite.clear().await;
        });
        *stores = Some(open);
    });
}

impl Stores {
    fn open() -> Self {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime needs little of the machine");
        let (wide, tight) = runtime.block_on(async {
            let wide = Sqlite::new(Limits::WIDE).await;
            (wide, Sqlite::new(Limits::TIGHT).await)
        });
        Self {
            runtime,
            wide,
            tight,
        }
    }
}
