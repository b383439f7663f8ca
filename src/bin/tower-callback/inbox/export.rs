//! Everything, for other programs.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::PathBuf,
};

use tower_callback::store::{
    AnyInspect,
    inspect::{Inspect, Listing},
};

use super::{Filter, Pages, failed, look};
use crate::{
    output::{Output, progress},
    stop::{Result, Stop},
};

pub(super) async fn run(
    store: &AnyInspect,
    filter: &Filter,
    listing: Listing,
    bodies: bool,
    path: Option<PathBuf>,
    out: &mut Output,
) -> Result {
    let mut file: Box<dyn Write> = match &path {
        // What is there is not overwritten.
        Some(path) => {
            Box::new(BufWriter::new(File::create_new(path).map_err(|error| {
                Stop::unavailable(&path.display().to_string(), &error)
            })?))
        }
        None => Box::new(BufWriter::new(io::stdout())),
    };
    let bar = progress(None, "records");
    let (mut written, mut left_out) = (0_u64, 0_u64);
    for queue in filter.queues(store).await? {
        let mut pages = Pages::of(store, &queue, listing.clone());
        while let Some(page) = pages.next().await? {
            for record in page {
                // It may be gone by now.
                let looked = store.look(&queue, record.id).await.map_err(failed)?;
                let Some(record) = looked else { continue };
                let line = match bodies {
                    false => Some(look::whole(&queue, &record).to_string()),
                    true => record.body.as_deref().and_then(look::line_of),
                };
                match line {
                    Some(line) => {
                        writeln!(file, "{line}")?;
                        written += 1;
                    }
                    None => left_out += 1,
                }
                bar.inc(1);
            }
        }
    }
    file.flush()?;
    bar.finish_and_clear();
    if left_out > 0 {
        anstream::eprintln!("{left_out} bodies are not kept, or no JSON");
    }
    match path {
        Some(path) => out.line(format_args!("{written} records are in {}", path.display())),
        None => Ok(()),
    }
}
