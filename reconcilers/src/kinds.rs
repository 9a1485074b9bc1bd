//! One file a kind: what it is asked for, and what comes next.

mod bucket;
mod cache;
mod certificate;
mod cluster;
mod database;
mod dns_record;
mod extension;
mod helm;
mod manifests;
mod queue;
mod route;
mod secret;
mod support_service;
#[cfg(test)]
mod table;
mod volume;
mod workload;
