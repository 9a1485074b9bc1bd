//! Plans as a person reads them, in files: `BLESS=1` rewrites them.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use domain::application::{Places, SourceFile};
use domain::diagnostic::render as render_diagnostic;
use domain::planning::{Deletion, Refusal, delete, render};

use crate::world::{World, read, read_files, read_text, root};

fn folder() -> PathBuf {
    root().join("domain/tests/plans")
}

/// Compares a text with its file.
#[track_caller]
#[allow(clippy::disallowed_methods, reason = "whether to rewrite is asked of the person")]
fn expect(name: &str, text: &str) {
    let path = folder().join(format!("{name}.txt"));
    if std::env::var("BLESS").is_ok() {
        fs::write(&path, text).unwrap();
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == text, "{name} differs; BLESS=1 rewrites it. Now it is:\n{text}");
}

fn shop(environment: &str) -> World {
    World::new(read(&[root().join("samples/shop/app.yaml")], None), environment)
}

#[test]
fn the_first_deployment_of_the_shop() {
    expect("shop-first", &render(&shop("dev").plan()));
}

#[test]
fn the_shop_in_production() {
    expect("shop-prod", &render(&shop("prod").plan()));
}

#[test]
fn the_same_again_is_no_change() {
    let mut world = shop("dev");
    world.deploy();
    expect("shop-again", &render(&world.plan()));
}

#[test]
fn another_image_changes_one_workload() {
    let mut world = shop("dev");
    world.deploy();
    let web = world.model.workloads.get_mut("web").unwrap();
    web.containers.get_mut("main").unwrap().image = "registry.example/shop/web:1.5".into();
    let plan = world.plan();
    assert_eq!(plan.steps.len(), 1);
    expect("shop-image", &render(&plan));
}

#[test]
fn replacements_come_first_and_deletions_backwards() {
    let mut world = shop("dev");
    world.deploy();
    world.unprotect();
    world.options.allow_replace = true;
    world.options.allow_delete = true;
    world.model.resources.get_mut("db").unwrap().params.insert("storage_gib".into(), 5.into());
    world.model.resources.get_mut("db").unwrap().delete = None;
    world.model.resources.remove("photos");
    world.model.workloads.remove("worker");
    let api = world.model.workloads.get_mut("api").unwrap().containers.get_mut("main").unwrap();
    api.variables.remove("PHOTOS_BUCKET");
    api.variables.insert("STRIPE_TOKEN".into(), "in clear, by mistake".into());
    expect("shop-replace", &render(&world.plan()));
}

#[test]
fn taking_everything_down() {
    let mut world = shop("dev");
    world.deploy();
    let (deployment, application, environment) =
        ("dev_shop".parse().unwrap(), "shop".parse().unwrap(), "dev".parse().unwrap());
    let deletion = Deletion {
        deployment: &deployment,
        application: &application,
        environment: &environment,
        environment_version: 1,
        revision: 1,
    };
    let refused = delete(&deletion, &world.live, &world.members).unwrap_err();
    let mut text: String = refused.iter().map(|refusal| format!("{refusal}\n")).collect();
    world.unprotect();
    let plan = delete(&deletion, &world.live, &world.members).unwrap();
    let _ = write!(text, "\n{}", render(&plan));
    expect("shop-delete", &text);
    world.carry_out(&plan);
    assert!(world.members.is_empty());
    assert_eq!(delete(&deletion, &world.live, &world.members).unwrap().steps, []);
}

#[test]
fn every_sample_is_planned_and_then_settled() {
    for file in [
        "samples/minimal.yaml",
        "samples/guide.yaml",
        "domain/tests/score/everything.score.yaml",
        "samples/score/sidecar.score.yaml",
    ] {
        let mut world = World::new(read(&[root().join(file)], Some("sample")), "dev");
        // What a platform team would have defined for this sample.
        let small = world.classes.get_mut(&"postgres_small".parse().unwrap()).unwrap();
        for param in ["extensions", "nested", "size"] {
            let any = serde_json::from_value(serde_json::json!({"type": "any", "default": 1}));
            small.1.params.insert(param.into(), any.unwrap());
        }
        for workload in world.model.workloads.values_mut() {
            for container in workload.containers.values_mut().filter(|it| it.image == ".") {
                container.image = "registry.example/supplied:1".into();
            }
        }
        let name = file.split('/').next_back().unwrap().split('.').next().unwrap();
        expect(&format!("sample-{name}"), &render(&world.deploy()));
        assert_eq!(world.plan().steps, [], "{file}");
    }
}

/// Each file is an application that cannot be planned; what is said about it stands beside.
#[test]
fn what_cannot_be_planned_is_refused_in_words_that_help() {
    let mut files: Vec<PathBuf> = fs::read_dir(folder().join("refused"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "yaml"))
        .collect();
    files.sort();
    assert!(files.len() >= 15, "only {} files", files.len());
    for file in files {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let environment = if name.starts_with("prod-") { "prod" } else { "dev" };
        let text = fs::read_to_string(&file).unwrap();
        let world = World::new(read_text(&text), environment);
        let refusals = world.try_plan().err().unwrap_or_else(|| panic!("{name} was planned"));
        expect(&format!("refused/{name}"), &shown(&refusals, &text, environment));
    }
}

/// Refusals as programs and as developers see them. Each has a place in the file, and a remedy.
fn shown(refusals: &[Refusal], text: &str, environment: &str) -> String {
    let files = [SourceFile { path: "app.yaml".into(), text: text.into() }];
    let places = Places::of(&files);
    let shown = refusals.iter().map(|refusal| {
        assert!(refusal.hint.as_ref().is_some_and(|hint| !hint.is_empty()), "{refusal}");
        let found = refusal.diagnose(&places, environment);
        let found = found.unwrap_or_else(|| panic!("{refusal}: it is nowhere in\n{text}"));
        let (code, path) = (refusal.code.as_str(), &refusal.path);
        format!("{code} {path}\n{}\n\n", render_diagnostic(&found, text))
    });
    shown.collect()
}

#[test]
fn what_cannot_be_changed_is_shown_where_it_is_written() {
    let text = fs::read_to_string(root().join("samples/shop/app.yaml")).unwrap();
    let mut world = World::new(read_text(&text), "dev");
    world.deploy();
    world.unprotect();
    let smaller = text.replace("delete: protect}", "params: {storage_gib: 5}}");
    assert_ne!(text, smaller);
    world.model = read_text(&smaller);
    expect("shop-smaller", &shown(&world.try_plan().unwrap_err(), &smaller, "dev"));
}

#[test]
fn of_several_files_the_one_is_shown_that_says_it() {
    let score = |name: &str, class: &str| SourceFile {
        path: format!("{name}.score.yaml"),
        text: format!(
            "apiVersion: score.dev/v1b1\nmetadata:\n  name: {name}\ncontainers:\n  main:\n    \
             image: registry.example/{name}:1\nresources:\n  db:\n    type: postgres\n    class: {class}\n"
        ),
    };
    let files = [score("api", "large"), score("web", "lagre")];
    let world = World::new(read_files(&files, Some("shop")), "dev");
    let refusals = world.try_plan().unwrap_err();
    let places = Places::of(&files);
    let found: Vec<_> =
        refusals.iter().map(|it| it.diagnose(&places, "dev").unwrap().to_string()).collect();
    let expected =
        "web.score.yaml:10:12: there is no class `lagre` of `postgres` (did you mean `large`?)";
    assert_eq!(found, [expected]);
}
