//! `inbox`: what operators ask a store, and what they tell it.

mod export;
mod look;
mod operate;

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use tower_callback::store::{
    AnyInspect, Queue, QueueKind, RecordId, State, StoreError, StoreUrl,
    inspect::{Cursor, Inspect, Listing, Summary},
};

use crate::{
    given::Given,
    output::Output,
    stop::{Result, Stop},
    text::duration,
};

/// Look into a store, and operate what is in it, also beside the service that runs on it
#[derive(clap::Args)]
#[command(after_help = AFTER, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Args {
    /// sqlite:PATH, postgres://… or redis://…, or env:NAME or file:PATH where it is
    #[arg(value_name = "STORE-URL")]
    url: Given,
    /// Another store of that database: the schema in PostgreSQL, the store's name in Redis
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(subcommand)]
    command: Command,
}

const AFTER: &str = "\
Nothing is made and nothing is upgraded: a mistyped URL is an error, and so are tables of another release.
What destroys asks before, or wants --yes.
Exit codes: see `tower-callback --help`.

Examples:
  tower-callback inbox sqlite:callbacks.db stats
  tower-callback inbox env:DATABASE_URL list --state dead
  tower-callback inbox env:DATABASE_URL retry --all
  tower-callback inbox env:DATABASE_URL release --all --as music-video";

#[derive(Subcommand)]
enum Command {
    /// How many records there are, by endpoint and state, and how long the oldest has been due
    Stats(Filter),
    /// The records, one on each line
    List {
        #[command(flatten)]
        filter: Filter,
        /// Only what is in this state
        #[arg(long, value_enum)]
        state: Option<StateArg>,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
        /// Go on where another list ended
        #[arg(long, value_name = "CURSOR")]
        after: Option<Cursor>,
    },
    /// Everything that is known of one record: its body and its failed attempts too
    Show {
        /// The record, as `list` names it
        id: RecordId,
        #[command(flatten)]
        filter: Filter,
    },
    /// Hand records to the handler again, now: what is dead, and what is done while its body is kept
    Retry(Selection),
    /// Hand to the handler what is in quarantine, if this release can read it
    Release {
        #[command(flatten)]
        selection: Selection,
        /// What the endpoint's events are. Those of your own are released by your own service, with
        /// `store::inspect::release`
        #[arg(
            long = "as",
            value_enum,
            value_name = "EVENT",
            default_value = "music-video"
        )]
        event: EventArg,
    },
    /// Forget records for good, so that their keys are free again
    Discard {
        #[command(flatten)]
        selection: Selection,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Forget what was settled long ago, as the service itself does all the time
    Purge(Purge),
    /// Write records as JSON, one on each line, with their bodies
    Export {
        #[command(flatten)]
        filter: Filter,
        /// Only what is in this state
        #[arg(long, value_enum)]
        state: Option<StateArg>,
        /// The bodies alone, for `send --replay`; what is no JSON is left out
        #[arg(long)]
        bodies: bool,
        /// Into a new file instead of the standard output
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

#[derive(clap::Args)]
struct Filter {
    /// Only this endpoint
    #[arg(long, value_name = "NAME")]
    endpoint: Option<String>,
    /// Only this kind of records
    #[arg(long, value_enum)]
    kind: Option<KindArg>,
}

#[derive(clap::Args)]
struct Selection {
    /// The records, as `list` names them
    #[arg(
        required_unless_present = "all",
        conflicts_with = "all",
        value_name = "ID"
    )]
    ids: Vec<RecordId>,
    /// All that are dead; for `release`, and with `--kind quarantine`, all in quarantine
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    filter: Filter,
}

#[derive(clap::Args)]
struct Purge {
    /// Bodies of what was done longer ago than this
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = duration)]
    bodies: std::time::Duration,
    /// Keys of what was done longer ago than this: a repeat is a new event then
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = duration)]
    keys: std::time::Duration,
    /// What died longer ago than this
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = duration)]
    dead: std::time::Duration,
    /// What came into quarantine longer ago than this
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = duration)]
    quarantine: std::time::Duration,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum KindArg {
    Events,
    Tracked,
    Quarantine,
}

#[derive(Clone, Copy, ValueEnum)]
enum StateArg {
    Pending,
    Leased,
    Done,
    Dead,
}

#[derive(Clone, Copy, ValueEnum)]
enum EventArg {
    MusicVideo,
    Music,
    Lyrics,
    Wav,
    VocalSeparation,
    Cover,
    Midi,
    Any,
}

impl From<KindArg> for QueueKind {
    fn from(kind: KindArg) -> Self {
        match kind {
            KindArg::Events => Self::Events,
            KindArg::Tracked => Self::Tracked,
            KindArg::Quarantine => Self::Quarantine,
        }
    }
}

impl From<StateArg> for State {
    fn from(state: StateArg) -> Self {
        match state {
            StateArg::Pending => Self::Pending,
            StateArg::Leased => Self::Leased,
            StateArg::Done => Self::Done,
            StateArg::Dead => Self::Dead,
        }
    }
}

/// The place of a store, of which only its kind is ever shown.
pub(crate) fn store_url(given: &Given, name: Option<&str>) -> Result<StoreUrl> {
    let url: StoreUrl = given.read()?.parse().map_err(|error| {
        let error: tower_callback::store::OpenError = error;
        Stop::usage(error.to_string())
    })?;
    Ok(match name {
        Some(name) => url.with_name(name),
        None => url,
    })
}

pub(crate) async fn run(args: Args, out: &mut Output) -> Result {
    let url = store_url(&args.url, args.name.as_deref())?;
    let store = url.open().await;
    let store = store.map_err(|error| Stop::unavailable("the store", &error))?;
    match args.command {
        Command::Stats(filter) => look::stats(&store, &filter, out).await,
        Command::List {
            filter,
            state,
            limit,
            after,
        } => {
            let listing = listing(state).with_limit(limit);
            look::list(&store, &filter, listing, after, out).await
        }
        Command::Show { id, filter } => look::show(&store, &filter, id, out).await,
        Command::Retry(selection) => operate::retry(&store, &selection, out).await,
        Command::Release { selection, event } => {
            operate::release(&store, &selection, event, out).await
        }
        Command::Discard { selection, yes } => operate::discard(&store, &selection, yes, out).await,
        Command::Purge(purge) => operate::purge(&store, &purge, out).await,
        Command::Export {
            filter,
            state,
            bodies,
            out: path,
        } => export::run(&store, &filter, listing(state), bodies, path, out).await,
    }
}

fn listing(state: Option<StateArg>) -> Listing {
    state.map_or_else(Listing::all, |state| Listing::of(state.into()))
}

fn failed(error: StoreError) -> Stop {
    Stop::unavailable("the store", &error)
}

impl Filter {
    /// The queues that it lets through.
    async fn queues(&self, store: &AnyInspect) -> Result<Vec<Queue>> {
        let mut queues = store.queues().await.map_err(failed)?;
        queues.retain(|queue| {
            let endpoint = self.endpoint.as_ref();
            endpoint.is_none_or(|endpoint| endpoint == queue.endpoint())
                && self
                    .kind
                    .is_none_or(|kind| QueueKind::from(kind) == queue.kind())
        });
        Ok(queues)
    }
}

/// All pages of a list, one after the other.
struct Pages<'a> {
    store: &'a AnyInspect,
    queue: &'a Queue,
    listing: Option<Listing>,
}

impl<'a> Pages<'a> {
    fn of(store: &'a AnyInspect, queue: &'a Queue, listing: Listing) -> Self {
        Self {
            store,
            queue,
            listing: Some(listing),
        }
    }

    async fn next(&mut self) -> Result<Option<Vec<Summary>>> {
        let Some(listing) = self.listing.take() else {
            return Ok(None);
        };
        let page = self
            .store
            .list(self.queue, &listing)
            .await
            .map_err(failed)?;
        self.listing = page.next.map(|cursor| listing.after(cursor));
        Ok(Some(page.records))
    }
}
