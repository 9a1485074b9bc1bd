//! The benchmarks: each figure beside a raw baseline of the same bytes, measured in the same run.
//!
//! `make bench` builds them in release mode and runs all. A ratio says more than a time on somebody's machine:
//! 1.0 means that Cairn costs nothing on top of what the store does anyway.

mod archived;
mod ask;
mod commands;
mod delivered;
mod fleet;
mod jetstream;
mod kubernetes;
mod load;
mod many;
mod mutations;
mod peers;
mod postgres;
mod questions;
mod reconciles;
mod replay;
mod report;
mod server;
mod stack;
mod started;
mod threeport;
mod visible;

use clap::{Parser, ValueEnum};

use report::Report;

/// Measures Cairn against raw baselines.
#[derive(Parser)]
struct Arguments {
    /// What to measure; everything when nothing is named.
    #[arg(value_enum)]
    only: Vec<Subject>,
    /// A hundredth of the work: shows that the benchmarks run, not how fast anything is.
    #[arg(long)]
    smoke: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Subject {
    /// Commands a second in process against raw group commits.
    Commands,
    /// The same in a log of a million resources, to one of ten thousand.
    Many,
    /// The same on JetStream against raw publishes, by durability class. Needs `make servers`.
    Jetstream,
    /// From a command to the row that shows it.
    Visible,
    /// From a command to the reconciler's look at its resource.
    Started,
    /// Events a second from the log into empty views against inserting the same rows.
    Replay,
    /// The views in PostgreSQL: kept up, rebuilt and asked, also by GraphQL.
    Postgres,
    /// The log and its archive, checked.
    Archive,
    /// Looks at settled resources.
    Reconciles,
    /// A server: idle, then with ten thousand applications, then asked about them.
    Fleet,
    /// All of it past one machine, idle: memory and CPU. Needs `make servers`.
    Stack,
    /// A thousand applications on a real API server, beside a loop that applies the same objects. Needs `make servers`.
    Delivered,
    /// GraphQL over HTTP, beside what is known of Threeport's REST.
    Threeport,
    /// etcd's puts and kube-apiserver's creates, where `make peers` could build them.
    Peers,
}

/// The same as the server's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let scale = if arguments.smoke { 100 } else { 1 };
    let mut report = Report::default();
    for subject in Subject::value_variants() {
        if !arguments.only.is_empty() && !arguments.only.contains(subject) {
            continue;
        }
        match subject {
            Subject::Commands => runtime.block_on(commands::measure(&mut report, scale))?,
            Subject::Many => runtime.block_on(many::measure(&mut report, scale))?,
            Subject::Jetstream => runtime.block_on(jetstream::measure(&mut report, scale))?,
            Subject::Visible => runtime.block_on(visible::measure(&mut report, scale))?,
            Subject::Started => runtime.block_on(started::measure(&mut report, scale))?,
            Subject::Replay => runtime.block_on(replay::measure(&mut report, scale))?,
            Subject::Postgres => runtime.block_on(postgres::measure(&mut report, scale))?,
            Subject::Archive => runtime.block_on(archived::measure(&mut report, scale))?,
            Subject::Reconciles => runtime.block_on(reconciles::measure(&mut report, scale))?,
            Subject::Fleet => runtime.block_on(fleet::measure(&mut report, scale))?,
            Subject::Stack => runtime.block_on(stack::measure(&mut report, scale))?,
            Subject::Delivered => runtime.block_on(delivered::measure(&mut report, scale))?,
            Subject::Threeport => runtime.block_on(threeport::measure(&mut report, scale))?,
            Subject::Peers => runtime.block_on(peers::measure(&mut report, scale))?,
        }
    }
    report.print();
    Ok(())
}
