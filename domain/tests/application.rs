//! Application files: the good are accepted whole, the bad are refused in words that help.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may panic, and measures time"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use domain::application::{Model, Source, SourceFile, companions, parse};
use domain::diagnostic::{Diagnostic, render};
use proptest::prelude::*;
use serde_json::json;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The files below a folder, in order.
fn all_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// The YAML files below a folder, in order, but for those of charts.
fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = all_below(folder);
    let charts: Vec<PathBuf> = found
        .iter()
        .filter(|path| path.ends_with("Chart.yaml"))
        .filter_map(|path| path.parent().map(Path::to_owned))
        .collect();
    found.retain(|path| {
        path.extension().is_some_and(|extension| extension == "yaml")
            && !charts.iter().any(|chart| path.starts_with(chart))
    });
    found
}

fn read(path: &Path) -> SourceFile {
    SourceFile { path: path.to_str().unwrap().to_owned(), text: fs::read_to_string(path).unwrap() }
}

fn parsed(
    files: &[SourceFile],
    application: Option<&str>,
) -> Result<(Model, Vec<Diagnostic>), Vec<Diagnostic>> {
    let named = companions(files).into_iter().flat_map(|path| {
        let within = all_below(Path::new(&path));
        if within.is_empty() { vec![path.into()] } else { within }
    });
    let read = |path: PathBuf| Some((path.to_str()?.to_owned(), fs::read(&path).ok()?));
    let companions: BTreeMap<_, _> = named.filter_map(read).collect();
    let images = BTreeMap::new();
    parse(&Source { files, companions: &companions, application, images: &images })
}

fn text(text: &str) -> Result<(Model, Vec<Diagnostic>), Vec<Diagnostic>> {
    parsed(&[SourceFile { path: "app.yaml".into(), text: text.into() }], None)
}

#[track_caller]
fn accepted(files: &[SourceFile], application: Option<&str>) -> Model {
    match parsed(files, application) {
        Ok((model, _)) => {
            let json = serde_json::to_value(&model).unwrap();
            assert_eq!(serde_json::from_value::<Model>(json).unwrap(), model);
            model
        }
        Err(errors) => {
            panic!("{}", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
        }
    }
}

#[test]
fn every_sample_is_accepted() {
    let folders = ["samples", "domain/tests/score"].map(|folder| root().join(folder));
    for path in folders.iter().flat_map(|folder| below(folder)) {
        accepted(&[read(&path)], Some("sample"));
    }
}

#[test]
fn every_public_score_document_is_accepted() {
    let files: Vec<SourceFile> =
        below(&root().join("../shared/data/score")).iter().map(|path| read(path)).collect();
    for file in &files {
        accepted(std::slice::from_ref(file), None);
    }
    let boutique: Vec<SourceFile> =
        files.into_iter().filter(|file| file.path.contains("onlineboutique")).collect();
    if !boutique.is_empty() {
        assert_eq!(accepted(&boutique, Some("boutique")).workloads.len(), 11);
    }
}

#[test]
fn the_minimum_and_the_guide_become_services() {
    let minimum = accepted(&[read(&root().join("samples/minimal.yaml"))], None);
    assert_eq!(
        serde_json::to_value(minimum).unwrap(),
        json!({"name": "web", "workloads": {"web": {
            "mode": "service",
            "containers": {"main": {"image": "shop/web:1.4"}},
            "ports": {"http": {"port": 8080, "target_port": 8080, "protocol": "TCP"}},
            "strategy": "rolling",
            "metadata": {"name": "web"},
        }}})
    );
    let guide = accepted(&[read(&root().join("samples/guide.yaml"))], None);
    assert_eq!(guide.name, "my-app");
    let workload = serde_json::to_value(&guide.workloads["my-app"]).unwrap();
    assert_eq!(workload["scale"], json!({"fixed": 3}));
}

/// Compares a text with the one in a file; `BLESS=1` writes the file.
fn same_as_stored(path: &Path, actual: &str) -> Option<String> {
    if std::env::var_os("BLESS").is_some() {
        fs::write(path, actual).unwrap();
    }
    let stored = fs::read_to_string(path).unwrap_or_default();
    (stored != actual)
        .then(|| format!("{}: expected\n{stored}\nbut it is\n{actual}", path.display()))
}

#[test]
fn every_sample_becomes_the_model_that_is_stored() {
    let folder = root().join("samples");
    let mut different = Vec::new();
    for path in below(&folder) {
        let model = accepted(&[read(&path)], Some("sample"));
        let name = path.strip_prefix(&folder).unwrap().to_str().unwrap().replace('/', "-");
        let stored = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/models")
            .join(name)
            .with_extension("json");
        fs::create_dir_all(stored.parent().unwrap()).unwrap();
        let text = serde_json::to_string_pretty(&model).unwrap() + "\n";
        different.extend(same_as_stored(&stored, &text));
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn every_bad_document_is_refused_in_the_words_that_are_stored() {
    let mut different = Vec::new();
    for path in below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad")) {
        let text = fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let files = [SourceFile { path: name, text: text.clone() }];
        let errors = parsed(&files, None).expect_err(path.to_str().unwrap());
        for error in &errors {
            let helps = error.hint.is_some() || error.message.contains(" must be ");
            assert!(helps, "{error} does not say what to do");
        }
        let shown: Vec<String> = errors.iter().map(|error| render(error, &text) + "\n").collect();
        different.extend(same_as_stored(&path.with_extension("txt"), &shown.join("\n")));
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn a_supplied_image_takes_the_place_of_the_one_in_the_file() {
    let path = "a.score.yaml".to_owned();
    let text =
        "apiVersion: score.dev/v1b1\nmetadata: {name: web}\ncontainers: {main: {image: .}}\n"
            .to_owned();
    let files = [SourceFile { path, text }];
    let none = BTreeMap::new();
    for (key, image) in [("web/main", "a:1"), ("web", "a:2"), ("main", "a:3")] {
        let images = BTreeMap::from([(key.to_owned(), image.to_owned())]);
        let source =
            Source { files: &files, companions: &none, application: None, images: &images };
        let (model, _) = parse(&source).unwrap();
        assert_eq!(model.workloads["web"].containers["main"].image, image);
    }
    let images = BTreeMap::from([("wbe".to_owned(), "a:1".to_owned())]);
    let source = Source { files: &files, companions: &none, application: None, images: &images };
    assert!(parse(&source).is_err());
    let source = Source { images: &BTreeMap::new(), ..source };
    assert_eq!(parse(&source).unwrap().0.workloads["web"].containers["main"].image, ".");
}

#[test]
fn what_grows_without_end_is_refused_at_once() {
    let began = Instant::now();
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let inner = vec![format!("*a{}", level - 1); 9].join(", ");
        laughs += &format!("a{level}: &a{level} [{inner}]\n");
    }
    let wide = format!("name: web\nargs: [{}]\n", "a, ".repeat(30_000));
    let keys: String = (0..15_000).map(|n| format!("k{n}: v\n")).collect();
    let bad = [
        laughs,
        wide,
        keys,
        "[".repeat(100_000),
        "{a: ".repeat(30_000),
        "- ".repeat(60_000),
        "? ".repeat(60_000),
        "---\n".repeat(30_000) + "a: b",
        "--- a\n".repeat(20_000),
        "x".repeat(200_000),
        "&a ".repeat(40_000),
        "!a ".repeat(40_000),
        "\"".repeat(120_000),
        "a: |\n".to_owned() + &" x\n".repeat(40_000),
        format!(
            "name: web\nimage: a:1\nvariables: {{A: \"{}\"}}\n",
            "${resources.a.b}".repeat(7_000)
        ),
    ];
    for document in bad {
        let errors = text(&document).expect_err(document.get(..40).unwrap_or_default());
        assert!(!errors.is_empty() && errors.len() <= 400);
    }
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_text_makes_the_reader_panic(characters in "[a-z:\\-\\[\\]{}&*!|>'\"#%@,? \\n\\t$\\.é0-9~<]{0,200}") {
        for error in text(&characters).err().into_iter().flatten() {
            prop_assert!(render(&error, &characters).contains(&*error.file));
        }
    }

    #[test]
    fn no_damage_to_a_good_file_makes_the_reader_panic(
        which in 0_usize..4,
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..12, "[a-z:\\-\\[{}&*|\"$ \\n]{0,4}"), 1..5),
    ) {
        let samples = [
            include_str!("../../samples/shop/app.yaml"),
            include_str!("score/everything.score.yaml"),
            include_str!("../../samples/score/arrays.score.yaml"),
            include_str!("../../samples/score/sidecar.score.yaml"),
        ];
        let mut damaged = samples[which].to_owned();
        for (at, length, instead) in cuts {
            let from = damaged.floor_char_boundary(at.index(damaged.len() + 1));
            let to = damaged.floor_char_boundary((from + length).min(damaged.len()));
            damaged.replace_range(from..to, &instead);
        }
        for error in text(&damaged).err().into_iter().flatten() {
            prop_assert!(render(&error, &damaged).contains(&*error.file));
        }
    }
}
