//! `make up-cluster`: Cairn past one machine, on this one, until Ctrl-C.
#![allow(clippy::print_stdout, clippy::expect_used, reason = "it speaks to whoever started it")]

use std::path::PathBuf;

use servers::stack::{Options, Stack};

fn main() {
    let cairn = beside("cairn");
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

/// A program that was built together with this one.
fn beside(name: &str) -> PathBuf {
    let here = std::env::current_exe().expect("a path");
    let program = here.with_file_name(name);
    assert!(program.exists(), "{} is not there: cargo build -p cairn-cli", program.display());
    program
}
