//! Stores without sockets: how fast records come in, and how fast they are handled.

mod apalis;
mod drive;
mod growth;
mod handling;
mod inserts;
mod pauses;
mod place;

use std::{fs, path::PathBuf, time::Duration};

use tokio::runtime::Builder;
use tower_callback::BoxError;

use self::place::Places;
use crate::docs::Docs;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How often everything is measured
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Seconds for each measurement of inserts
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// One short round: to see that everything works, not how fast
    #[arg(long)]
    quick: bool,
    /// The directory for the figures (JSON)
    #[arg(long, default_value = "target/benches")]
    out: PathBuf,
}

#[derive(clap::Args)]
pub(crate) struct GrowthOptions {
    /// How many records each store remembers
    #[arg(long, default_value_t = 1_000_000)]
    remembered: u64,
    /// Only this store
    #[arg(long)]
    store: Option<growth::Kind>,
    /// Leaves the bodies of what is done where they are: to purge many takes longer than to put them in
    #[arg(long)]
    with_bodies: bool,
    /// Few records: to see that everything works
    #[arg(long)]
    quick: bool,
}

pub(crate) fn run(options: &Options, docs: &Docs) -> Result<(), BoxError> {
    let rounds = if options.quick { 1 } else { options.rounds };
    let seconds = if options.quick { 0.05 } else { options.seconds };
    Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let places = Places::start();
            let inserts = inserts::run(&places, rounds, Duration::from_secs_f64(seconds)).await?;
            docs.section("inserts", &inserts::report(&inserts))?;
            let handling = handling::run(&places, rounds, options.quick).await?;
            docs.section("handling", &handling::report(&handling))?;
            fs::create_dir_all(&options.out)?;
            let figures = serde_json::json!({ "inserts": inserts, "handling": handling });
            let path = options.out.join("stores.json");
            fs::write(&path, serde_json::to_string_pretty(&figures)? + "\n")?;
            println!("Figures: {}", path.display());
            Ok(())
        })
}

pub(crate) fn grow(options: &GrowthOptions, docs: &Docs) -> Result<(), BoxError> {
    let remembered = if options.quick {
        2000
    } else {
        options.remembered
    };
    Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let places = Places::start();
            let load = growth::Load {
                records: remembered,
                with_bodies: options.with_bodies,
            };
            let growth = growth::run(&places, options.store, load, options.quick).await?;
            let pauses = match options.store {
                None | Some(growth::Kind::Memory) => pauses::run(remembered).await?,
                Some(_) => String::new(),
            };
            docs.section("growth", &format!("{growth}\n{pauses}\n"))
        })
}
