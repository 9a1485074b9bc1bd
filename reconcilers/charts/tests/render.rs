//! The pinned helm renders charts of strangers: what they try comes to nothing, and ends.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use charts::Error;
use charts::render::{Helm, Order};
use serde_json::{Value, json};

/// `make servers` puts it there.
fn program() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/servers/helm");
    assert!(path.is_file(), "{} is missing: run `make servers`", path.display());
    path
}

struct Chart(tempfile::TempDir);

impl Chart {
    fn of(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let chart = folder.path().join("chart");
        std::fs::create_dir_all(chart.join("templates")).unwrap();
        std::fs::write(chart.join("Chart.yaml"), "apiVersion: v2\nname: web\nversion: 1.0.0\n")
            .unwrap();
        for (path, text) in files {
            let place = chart.join(path);
            std::fs::create_dir_all(place.parent().unwrap()).unwrap();
            std::fs::write(place, text).unwrap();
        }
        Self(folder)
    }

    async fn render(&self, helm: &Helm, values: &Value) -> Result<String, Error> {
        let order = Order {
            chart: &self.0.path().join("chart"),
            release: "rel",
            namespace: "space",
            values,
            kube_version: "v1.36.3",
            api_versions: &["apps/v1".to_owned(), "apps/v1/Deployment".to_owned()],
            is_upgrade: false,
        };
        helm.render(&order, self.0.path()).await
    }
}

fn config(data: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata:\n  a: {data}\n")
}

#[tokio::test]
async fn templates_reach_nothing_but_their_chart_and_what_they_are_told() {
    let helm = Helm::new(Some(program()));
    let told = concat!(
        "{{ .Values.word }} {{ .Release.Name }} {{ .Release.Namespace }} {{ .Capabilities.KubeVersion.Version }} ",
        "{{ .Capabilities.APIVersions.Has \"apps/v1/Deployment\" }} {{ .Files.Get \"own.txt\" | trim }}"
    );
    let chart = Chart::of(&[("templates/a.yaml", &config(told)), ("own.txt", "own\n")]);
    let text = chart.render(&helm, &json!({ "word": "hello" })).await.unwrap();
    assert!(text.contains("a: hello rel space v1.36.3 true own"), "{text}");

    for reach in [
        "{{ .Files.Get \"/etc/passwd\" }}",
        "{{ .Files.Get \"../../../../../../etc/passwd\" }}",
        "{{ .Files.Get \"../values.json\" }}",
        "{{ range $path, $_ := .Files.Glob \"/etc/*\" }}{{ $path }}{{ end }}",
        "{{ lookup \"v1\" \"Secret\" \"\" \"\" }}",
        "{{ getHostByName \"localhost\" }}",
    ] {
        let chart = Chart::of(&[("templates/a.yaml", &config(&format!("\"<{reach}>\"")))]);
        let text = chart.render(&helm, &json!({})).await.unwrap();
        let empty = ["a: \"<>\"", "a: \"<map[]>\""].iter().any(|empty| text.contains(empty));
        assert!(empty, "{reach}: {text}");
    }
    for none in
        ["{{ env \"PATH\" }}", "{{ expandenv \"$HOME\" }}", "{{ readFile \"/etc/passwd\" }}"]
    {
        let chart = Chart::of(&[("templates/a.yaml", &config(none))]);
        let refused = chart.render(&helm, &json!({})).await.unwrap_err().to_string();
        assert!(refused.contains("not defined"), "{none}: {refused}");
    }
}

#[tokio::test]
async fn templates_without_end_are_ended() {
    let helm = Helm::new(Some(program()));
    for (what, template) in [
        ("output", "{{ range until 2000 }}{{ repeat 1000 \"xxxxxxxxxx\" }}\n{{ end }}".to_owned()),
        ("memory", "{{ $all := list }}{{ range until 100000 }}{{ $all = append $all (repeat 10000000 \"xxxxxxxxxx\") }}{{ end }}".to_owned()),
        ("itself", "{{ define \"a\" }}{{ include \"a\" . }}{{ end }}{{ include \"a\" . }}".to_owned()),
        ("an error", config("{{ fail \"no such luck\" }}")),
        ("no template", "{{ if }}".to_owned()),
    ] {
        let chart = Chart::of(&[("templates/a.yaml", &template)]);
        let refused = chart.render(&helm, &json!({})).await;
        assert!(matches!(refused, Err(Error::Lasting(_))), "{what}: {refused:?}");
        let words = refused.unwrap_err().to_string();
        assert!(words.len() < 1_200 && !words.contains("/tmp/"), "{what}: {words}");
    }
}

#[tokio::test]
async fn values_are_checked_by_the_charts_own_schema() {
    let schema = r#"{"type": "object", "properties": {"replicas": {"type": "integer"}}}"#;
    let chart = Chart::of(&[("values.schema.json", schema), ("templates/a.yaml", &config("b"))]);
    let helm = Helm::new(Some(program()));
    chart.render(&helm, &json!({ "replicas": 2 })).await.unwrap();
    let refused = chart.render(&helm, &json!({ "replicas": "two" })).await.unwrap_err().to_string();
    assert!(refused.contains("replicas") && refused.contains("integer"), "{refused}");
}

#[tokio::test]
async fn another_major_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("helm");
    for (answer, says) in
        [("echo v3.19.0", "is v3.19.0; charts need version 4"), ("exit 1", "of no version")]
    {
        std::fs::write(&other, format!("#!/bin/sh\n{answer}\n")).unwrap();
        std::fs::set_permissions(&other, std::fs::Permissions::from_mode(0o755)).unwrap();
        let refused = Helm::new(Some(other.clone())).check().await.unwrap_err().to_string();
        assert!(refused.contains(says), "{refused}");
    }
    let missing = Helm::new(Some(folder.path().join("none"))).check().await.unwrap_err();
    assert!(missing.to_string().contains("cannot be run"), "{missing}");
    Helm::new(Some(program())).check().await.unwrap();
}
