//! The provider, simulated over real sockets: the whole of it, or the part that calls.
//!
//! [`SimulatedProvider`] is a service to submit to. It renders tasks, calls back, tells of them, and
//! serves the videos:
//!
//! ```no_run
//! use tower_callback::{Clock, testing::provider::{SimulatedProvider, TaskFault, TaskFaults}};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let provider = SimulatedProvider::builder()
//!     .clock(Clock::scaled(600))
//!     .seed(7)
//!     .task_faults(TaskFaults::none().with(TaskFault::Silent, 0.3).with(TaskFault::AnswerCut, 0.1))
//!     .start()
//!     .await?;
//! println!("submit to {} with the key {}", provider.base_url(), provider.api_key());
//! // …
//! provider.until_idle().await;
//! let report = provider.stop().await;
//! println!("{report}");
//! assert_eq!(report.paid_twice().count(), 0);
//! # Ok(())
//! # }
//! ```
//!
//! [`Caller`] only calls, about events that nobody submitted:
//!
//! ```no_run
//! use tower_callback::{Clock, testing::provider::{Caller, Fault, Faults}};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let report = Caller::to("http://127.0.0.1:8080/music-video-callback?token=…")?
//!     .clock(Clock::scaled(600))
//!     .seed(7)
//!     .events(100)
//!     .faults(Faults::none().with(Fault::Duplicate, 0.3).with(Fault::Cut, 0.1))
//!     .run()
//!     .await;
//! println!("{report}");
//! assert_eq!(report.totals().acknowledged, 100);
//! # Ok(())
//! # }
//! ```
//!
//! Both call the way the real one does: they wait 15 s for an answer, count nothing but HTTP 200 as
//! received, try again 1, 5 and 15 minutes after a failure, and give up then, all on a
//! [`Clock`](crate::Clock) that can run faster than real time. What goes wrong on top of that is chosen for an event
//! ([`Planned::with`]) or a task ([`TaskPlan`]), or left to a seed ([`Faults`], [`TaskFaults`]).
//!
//! # What a seed decides
//!
//! Everything that is not an answer: ids, codes and bodies of the [events](Caller::events) and tasks
//! that are made up, which faults strike which of them, and all their details. The same seed and
//! settings mean the same requests, and the same submissions the same tasks, with this version and
//! with later ones. Whether and when a retry or a duplicate comes follows from the answers, and so
//! does the order of what is in the air at the same time.

mod attempt;
mod caller;
mod drip;
mod faults;
mod malformed;
mod plan;
mod planned;
mod random;
mod report;
mod run;
mod schedule;
mod send;
mod signer;
mod simulated;
mod target;
#[cfg(feature = "cli")]
mod tls;
mod wire;

pub use self::{
    attempt::{Answer, Attempt, Kind},
    caller::Caller,
    faults::{Fault, Faults},
    planned::Planned,
    report::{EventReport, Report, Totals},
    schedule::Schedule,
    signer::Signer,
    simulated::{
        Calls, SimulatedProvider, SimulatedProviderBuilder, SimulationReport, Submitted, TaskFault,
        TaskFaults, TaskPlan, TaskReport, TimeFormat, TrackReport, Truth, Video,
    },
};
pub(super) use self::{target::Target, wire::exchange};
