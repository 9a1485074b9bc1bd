//! `make up-cluster`: Cairn past one machine, on this one, until Ctrl-C.
#![allow(clippy::print_stdout, clippy::expect_used, reason = "it speaks to whoever started it")]

use servers::built_beside;
use servers::stack::{Options, Stack};

fn main() {
    let cairn = built_beside("cairn");
    println!(
        "three nats-servers, PostgreSQL, a simulated world and two processes of each role ..."
    );
    let stack =
        Stack::start(&cairn, &Options { speed: 10, replicas: 2, divisible: false, jumping: false });
    println!("\nCairn is up:");
    for replica in &stack.replicas {
        println!("  {:<12} {}", replica.role, replica.url());
    }
    println!("  {:<12} {}", "log", stack.journal());
    println!("  {:<12} {}", "views", stack.postgres.url());
    println!("  {:<12} {}", "logs", stack.folder().display());
    let api = stack.of("api").next().expect("an API").url();
    println!("\nIn another terminal:");
    println!("  export CAIRN_SERVER={api} CAIRN_TOKEN={}", stack.token);
    println!("  {} apply samples/shop/app.yaml -e dev", cairn.display());
    println!("\nKill what you like. Ctrl-C ends and removes everything.");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(tokio::signal::ctrl_c()).expect("a signal");
}
