//! The tree is as tidy as CONTRIBUTING says: every rule is a function from the tracked files to what breaks it.
//!
//! Each rule is run on this repository here, and shown to bite on planted files beside its definition.

mod documents;
mod lines;
mod manifests;
mod modules;
mod tree;

use tree::Tree;

#[track_caller]
fn assert_nothing(found: &[String]) {
    assert!(found.is_empty(), "{}\n", found.join("\n"));
}

#[test]
fn the_tree_is_read() {
    let tree = Tree::of_repository();
    assert!(tree.text("tests/tests/tidy/main.rs").is_some());
    assert!(tree.text("Cargo.toml").is_some());
}

#[test]
fn no_rust_file_is_longer_than_the_limit() {
    assert_nothing(&lines::too_long(&Tree::of_repository()));
}

#[test]
fn nothing_is_left_for_later() {
    assert_nothing(&lines::left_for_later(&Tree::of_repository()));
}

#[test]
fn no_test_sleeps() {
    assert_nothing(&lines::sleeping_tests(&Tree::of_repository()));
}

#[test]
fn no_file_names_a_path_of_one_machine() {
    assert_nothing(&lines::machine_paths(&Tree::of_repository()));
}

#[test]
fn no_file_names_a_registry_host() {
    assert_nothing(&lines::registry_hosts(&Tree::of_repository()));
}

#[test]
fn build_files_name_no_host() {
    assert_nothing(&lines::hosts_in_build_files(&Tree::of_repository()));
}

#[test]
fn names_say_what_a_file_is_about() {
    assert_nothing(&lines::empty_names(&Tree::of_repository()));
}

#[test]
fn every_rust_file_is_reachable() {
    assert_nothing(&modules::unreachable(&Tree::of_repository()));
}

#[test]
fn versions_are_in_the_root_manifest_alone() {
    assert_nothing(&manifests::own_versions(&Tree::of_repository()));
}

#[test]
fn every_crate_takes_the_workspace_lints() {
    assert_nothing(&manifests::without_lints(&Tree::of_repository()));
}

#[test]
fn every_relative_link_resolves() {
    assert_nothing(&documents::broken_links(&Tree::of_repository()));
}

#[test]
fn every_make_target_that_a_document_names_exists() {
    assert_nothing(&documents::missing_targets(&Tree::of_repository()));
}

#[test]
fn every_invariant_is_listed_and_its_guards_exist() {
    assert_nothing(&documents::unguarded_invariants(&Tree::of_repository()));
}

#[test]
fn every_decision_record_is_short_and_whole() {
    assert_nothing(&documents::untidy_records(&Tree::of_repository()));
}
