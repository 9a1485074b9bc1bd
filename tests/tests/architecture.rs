//! Dependencies point one way, and only some crates may see some things.
//!
//! The rules are the two tables below; the graph is what `cargo metadata` says. Each rule is also shown to bite on
//! a planted graph.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DepKindInfo, DependencyKind, Metadata, MetadataCommand};

/// Which of our crates each of our crates may see, in any kind of dependency.
const MAY_SEE: &[(&str, &[&str])] = &[
    ("cairn-domain", &[]),
    ("cairn-servers", &[]),
    ("cairn-eventstore-fake", &["cairn-domain", "cairn-journal", "cairn-archive"]),
    ("cairn-journal", &["cairn-domain", "cairn-servers"]),
    ("cairn-archive", &["cairn-domain", "cairn-journal", "cairn-servers"]),
    ("cairn-projections", &["cairn-domain", "cairn-journal", "cairn-servers"]),
    ("cairn-reconcilers", &["cairn-domain", "cairn-journal"]),
    ("cairn-sim", &["cairn-domain", "cairn-journal", "cairn-reconcilers"]),
    ("cairn-charts", &["cairn-domain"]),
    (
        "cairn-kubernetes",
        &["cairn-domain", "cairn-journal", "cairn-reconcilers", "cairn-charts", "cairn-servers"],
    ),
    ("cairn-api", &["cairn-domain", "cairn-journal", "cairn-projections", "cairn-reconcilers"]),
    ("cairn-cli", PARTS),
    ("cairn-tests", PARTS),
    ("cairn-bench", PARTS),
];

/// Everything that a finished program is wired from.
const PARTS: &[&str] = &[
    "cairn-domain",
    "cairn-journal",
    "cairn-archive",
    "cairn-projections",
    "cairn-reconcilers",
    "cairn-sim",
    "cairn-charts",
    "cairn-kubernetes",
    "cairn-api",
    "cairn-servers",
    "cairn-eventstore-fake",
];

/// Which of our crates may depend on a library themselves, by the library's name or `prefix*`.
const RESERVED: &[(&str, &[&str])] = &[
    ("aws-*", &["cairn-aws"]),
    ("kube", &["cairn-kubernetes", "cairn-bench"]),
    ("kube-*", &["cairn-kubernetes"]),
    ("k8s-openapi", &["cairn-kubernetes"]),
    ("rusqlite", &["cairn-journal", "cairn-projections", "cairn-tests", "cairn-bench"]),
    ("tokio-postgres*", &["cairn-projections", "cairn-bench"]),
    ("async-graphql*", &["cairn-api"]),
    (
        "async-nats",
        &["cairn-journal", "cairn-projections", "cairn-reconcilers", "cairn-tests", "cairn-bench"],
    ),
    ("object_store", &["cairn-archive"]),
    ("tar", &["cairn-charts", "cairn-tests"]),
    ("eventstore", &["cairn-journal", "cairn-eventstore-fake"]),
    ("tonic", &["cairn-eventstore-fake"]),
    ("clap", &["cairn-cli", "cairn-bench"]),
    ("anyhow", &["cairn-cli", "cairn-tests", "cairn-bench"]),
];

/// What `domain` may not reach, however far away: async, IO, clocks of others, logs (invariant 1).
const IMPURE: &[&str] = &[
    "async-*",
    "axum*",
    "futures*",
    "hyper*",
    "libsqlite3-sys",
    "mio",
    "reqwest",
    "rusqlite",
    "socket2",
    "tempfile",
    "tokio*",
    "tracing*",
    "walkdir",
];

/// A dependency graph, by package name.
#[derive(Default)]
struct Graph {
    /// What each of our crates depends on itself, tests and build scripts included.
    direct: BTreeMap<String, BTreeSet<String>>,
    /// What each package is built from, without tests.
    built_from: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    fn of_workspace(metadata: &Metadata) -> Self {
        let names: BTreeMap<_, _> = metadata
            .packages
            .iter()
            .map(|package| (&package.id, package.name.to_string()))
            .collect();
        let mut graph = Self::default();
        for package in metadata.workspace_packages() {
            let seen = package.dependencies.iter().map(|dependency| dependency.name.clone());
            graph.direct.insert(package.name.to_string(), seen.collect());
        }
        for node in metadata.resolve.iter().flat_map(|resolve| &resolve.nodes) {
            let built = node.deps.iter().filter(|dep| dep.dep_kinds.iter().any(is_built_here));
            let built = built.filter_map(|dep| names.get(&dep.pkg).cloned()).collect();
            if let Some(name) = names.get(&node.id) {
                graph.built_from.insert(name.clone(), built);
            }
        }
        graph
    }

    fn reach(&self, from: &str) -> BTreeSet<String> {
        let mut reached = BTreeSet::new();
        let mut open = vec![from.to_owned()];
        while let Some(name) = open.pop() {
            for next in self.built_from.get(&name).into_iter().flatten() {
                if reached.insert(next.clone()) {
                    open.push(next.clone());
                }
            }
        }
        reached
    }
}

/// Not for tests, and not only for browsers: nothing of ours is compiled for those.
fn is_built_here(kind: &DepKindInfo) -> bool {
    let browser = kind.target.as_ref().is_some_and(|target| target.to_string().contains("wasm"));
    kind.kind != DependencyKind::Development && !browser
}

fn fits(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(name == pattern, |prefix| name.starts_with(prefix))
}

fn wrong_ways(graph: &Graph) -> Vec<String> {
    let mut found = Vec::new();
    for (package, seen) in &graph.direct {
        let Some((_, may_see)) = MAY_SEE.iter().find(|(name, _)| name == package) else {
            found.push(format!("{package} has no line in MAY_SEE: say what it may see"));
            continue;
        };
        for other in seen.iter().filter(|other| graph.direct.contains_key(*other)) {
            if !may_see.contains(&other.as_str()) {
                found.push(format!("{package} may not see {other}"));
            }
        }
    }
    found
}

fn strangers(graph: &Graph) -> Vec<String> {
    let mut found = Vec::new();
    for (package, seen) in &graph.direct {
        for (library, allowed) in RESERVED {
            for other in seen.iter().filter(|other| fits(library, other)) {
                if !allowed.contains(&package.as_str()) {
                    found
                        .push(format!("{package} may not use {other}; {} may", allowed.join(", ")));
                }
            }
        }
    }
    found
}

fn impurities(graph: &Graph) -> Vec<String> {
    let reached = graph.reach("cairn-domain");
    reached.into_iter().filter(|name| IMPURE.iter().any(|pattern| fits(pattern, name))).collect()
}

fn workspace() -> Graph {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let mut command = MetadataCommand::new();
    command.manifest_path(manifest).other_options(["--locked".to_owned()]);
    match command.exec() {
        Ok(metadata) => Graph::of_workspace(&metadata),
        Err(error) => panic!("cargo metadata: {error}"),
    }
}

#[test]
fn dependencies_point_one_way() {
    assert_eq!(wrong_ways(&workspace()), Vec::<String>::new());
}

#[test]
fn provider_sdks_databases_and_servers_are_seen_only_by_their_own_crates() {
    assert_eq!(strangers(&workspace()), Vec::<String>::new());
}

#[test]
fn the_domain_reaches_nothing_impure() {
    let graph = workspace();
    assert!(graph.reach("cairn-domain").contains("serde"), "the graph was read");
    assert_eq!(impurities(&graph), Vec::<String>::new());
}

#[test]
fn no_program_is_built_from_what_starts_servers_for_tests() {
    let graph = workspace();
    for program in ["cairn-cli", "cairn-journal", "cairn-archive", "cairn-projections"] {
        for stage in ["cairn-servers", "cairn-eventstore-fake"] {
            assert!(!graph.reach(program).contains(stage), "{program} reaches {stage}");
        }
    }
}

/// The rules themselves, on graphs that break them.
mod planted {
    use super::*;

    fn graph(edges: &[(&str, &[&str])]) -> Graph {
        let map: BTreeMap<_, BTreeSet<_>> = edges
            .iter()
            .map(|(from, to)| ((*from).to_owned(), to.iter().map(|to| (*to).to_owned()).collect()))
            .collect();
        Graph { direct: map.clone(), built_from: map }
    }

    #[test]
    fn projections_that_see_reconcilers_are_found() {
        let planted =
            graph(&[("cairn-projections", &["cairn-reconcilers"]), ("cairn-reconcilers", &[])]);
        assert_eq!(wrong_ways(&planted), ["cairn-projections may not see cairn-reconcilers"]);
    }

    #[test]
    fn a_domain_that_sees_the_journal_is_found() {
        let planted = graph(&[("cairn-domain", &["cairn-journal"]), ("cairn-journal", &[])]);
        assert_eq!(wrong_ways(&planted), ["cairn-domain may not see cairn-journal"]);
    }

    #[test]
    fn a_crate_without_a_rule_is_found() {
        assert_eq!(wrong_ways(&graph(&[("cairn-utils", &[])])).len(), 1);
    }

    #[test]
    fn an_sdk_outside_its_crate_is_found() {
        let planted = graph(&[("cairn-reconcilers", &["aws-sdk-s3", "serde"])]);
        assert_eq!(
            strangers(&planted),
            ["cairn-reconcilers may not use aws-sdk-s3; cairn-aws may"]
        );
    }

    #[test]
    fn a_runtime_behind_a_pure_library_is_found() {
        let planted = graph(&[("cairn-domain", &["pure"]), ("pure", &["tokio"]), ("tokio", &[])]);
        assert_eq!(impurities(&planted), ["tokio"]);
    }
}
