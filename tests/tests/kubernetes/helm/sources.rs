//! Charts from repositories, registries and mirrors.

use charts::Error;
use charts::fetch::{Fetcher, Mirror, Mirrors, Reach, Wanted};
use domain::commit::Hash;
use kubernetes::Charts;
use serde_json::{Value, json};
use tests::{Plane, charts_by};

use super::release::{Release, object};
use crate::server::Server;

pub(crate) fn index(version: &str, url: &str, digest: &str) -> String {
    format!(
        "apiVersion: v1\nentries:\n  other:\n  - name: other\n    version: 9.9.9\n    urls: [other.tgz]\n  shop:\n  - name: shop\n    version: {version}\n    digest: {digest}\n    urls:\n    - {url}\ngenerated: \"2026-01-01T00:00:00Z\"\n"
    )
}

/// Serves an archive as registries do, to whoever has the token that anybody is given.
fn registry(server: &Server, archive: &[u8]) {
    let digest = Hash::of(archive);
    let manifest = json!({
        "schemaVersion": 2,
        "config": { "mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": "sha256:0", "size": 1 },
        "layers": [{
            "mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
            "digest": format!("sha256:{digest}"), "size": archive.len(),
        }],
    });
    let challenge = format!(
        "Bearer realm=\"http://{}/token\",service=\"here\",scope=\"repository:charts/shop:pull\"",
        server.address
    );
    let wants = vec![("www-authenticate".to_owned(), challenge)];
    server.put_answer(
        "/v2/charts/shop/manifests/1.0.0",
        (200, wants.clone(), manifest.to_string().into_bytes()),
    );
    server.put_answer(
        &format!("/v2/charts/shop/blobs/sha256:{digest}"),
        (200, wants, archive.to_vec()),
    );
    server.put(
        "/token?service=here&scope=repository%3Acharts%2Fshop%3Apull",
        br#"{"token":"anybodys"}"#,
    );
}

/// Where the deployment's own objects are.
fn own() -> String {
    format!("/api/v1/namespaces/{}", tests::namespace("shop"))
}

fn failure(error: &Error) -> String {
    match error {
        Error::Lasting(words) => words.clone(),
        Error::Passing(words) => format!("passing: {words}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn charts_come_from_a_repository_a_registry_and_an_archive() {
    let cluster = super::control_plane();
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start_on(directory.path(), &cluster.kubeconfig()).await;
    let server = Server::start();
    let release = Release::new("shop", directory.path());
    let archive = release.package();
    let digest = Hash::of(&archive).to_hex();
    server.put("/charts/index.yaml", index("1.0.0", "archives/shop-1.0.0.tgz", &digest).as_bytes());
    server.put("/charts/archives/shop-1.0.0.tgz", &archive);
    registry(&server, &archive);
    let repository = format!("http://{}/charts", server.address);
    let oci = format!("oci://{}/charts/shop", server.address);
    let sent =
        json!({ "chart": "shop-1.0.0.tgz", "release": "shop", "values": { "message": "archive" } });
    for (message, params) in [
        (
            "repository",
            json!({ "chart": "shop", "repository": repository, "version": "1.0.0", "sha256": digest }),
        ),
        ("registry", json!({ "chart": oci, "version": "1.0.0", "sha256": digest })),
        ("archive", sent),
    ] {
        let mut params = params;
        params["release"] = json!("shop");
        params["values"] = json!({ "message": message });
        release.deliver(&plane, &params).await;
        let data = object(&cluster, &format!("{}/configmaps/shop-config", own()))["data"].clone();
        assert_eq!(data["message"], message);
        let chart = release.output(&plane, "chart").await;
        assert_eq!(chart, format!("shop 1.0.0 sha256:{digest}"), "{message}");
    }
    let asked = server.asked();
    assert!(asked.iter().all(|head| !head.to_lowercase().contains("cookie")), "{asked:?}");

    // What is pinned is another: nothing is applied, and both are named.
    let pinned = Hash::of(b"another").to_hex();
    let params = json!({ "chart": "shop", "repository": repository, "version": "1.0.0", "sha256": pinned, "release": "shop" });
    release.begin(&plane, &params).await;
    release.says(&plane, &["is not the one that was pinned", &digest, &pinned]).await;
    plane.delete("shop").await;
    plane.stop().await;
}

#[tokio::test]
async fn a_mirror_is_asked_instead_and_what_was_pinned_is_taken_from_anywhere() {
    let directory = tempfile::tempdir().unwrap();
    let archive = Release::new("shop", directory.path()).package();
    let digest = Hash::of(&archive);
    let folder = directory.path().join("mirror");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("shop-1.0.0.tgz"), &archive).unwrap();
    let server = Server::start();
    server.put("/index.yaml", index("1.0.0", "shop.tgz", &digest.to_hex()).as_bytes());
    server.put("/shop.tgz", &archive);
    registry(&server, &archive);
    let mirrors = Mirrors::from([
        (String::new(), Mirror::Folder(folder)),
        ("prod".to_owned(), Mirror::read(&server.url())),
        ("far".to_owned(), Mirror::read(&format!("oci://{}/charts", server.address))),
    ]);
    let fetcher = Fetcher::new(Reach::Public, mirrors).unwrap();
    for url in ["https://charts.example.com", "oci://registry.example.com/a/shop"] {
        let wanted = Wanted { url, name: "shop", version: "1.0.0", sha256: Some(digest) };
        for environment in ["dev", "prod", "far"] {
            assert_eq!(fetcher.fetch(wanted, environment).await.unwrap(), archive, "{environment}");
        }
        let another = Wanted { sha256: Some(Hash::of(b"x")), ..wanted };
        for environment in ["dev", "prod", "far"] {
            let refused = fetcher.fetch(another, environment).await.unwrap_err();
            assert!(failure(&refused).contains("not the one that was pinned"), "{refused}");
        }
        let missing =
            fetcher.fetch(Wanted { version: "2.0.0", ..wanted }, "dev").await.unwrap_err();
        assert!(failure(&missing).contains("there is no shop-2.0.0.tgz"), "{missing}");
    }
    let slip = Wanted { url: "https://a.test", name: "../shop", version: "1.0.0", sha256: None };
    assert!(fetcher.fetch(slip, "dev").await.is_err());
}

#[tokio::test]
async fn repositories_that_mislead_are_refused() {
    let server = Server::start();
    let base = server.url();
    let good = Hash::of(b"good").to_hex();
    let redirect = |to: &str| (302, vec![("location".to_owned(), to.to_owned())], Vec::new());
    server.put("/wrong/index.yaml", index("1.0.0", "a.tgz", &good).as_bytes());
    server.put("/wrong/a.tgz", b"bad");
    server.put("/file/index.yaml", index("1.0.0", "file:///etc/passwd", &good).as_bytes());
    server.put(
        "/metadata/index.yaml",
        index("1.0.0", "http://169.254.169.254/latest", &good).as_bytes(),
    );
    server.put(
        "/name/index.yaml",
        index("1.0.0", "http://ada:secret@127.0.0.1/a.tgz", &good).as_bytes(),
    );
    server.put("/large/index.yaml", index("1.0.0", "a.tgz", &good).as_bytes());
    server.put("/large/a.tgz", &vec![0; 17 * 1024 * 1024]);
    server.put("/huge/index.yaml", &vec![b' '; 49 * 1024 * 1024]);
    server.put("/bomb/index.yaml", bomb().as_bytes());
    server.put_answer("/round/index.yaml", redirect("/round/index.yaml"));
    server.put_answer("/away/index.yaml", redirect("http://169.254.169.254/latest"));
    server.put_answer("/gopher/index.yaml", redirect("gopher://127.0.0.1/"));
    server.put("/none/index.yaml", b"entries: {}\n");
    let private = Fetcher::new(Reach::Private, Mirrors::new()).unwrap();
    for (path, says) in [
        ("wrong", "not what the repository's index says"),
        ("file", "only http and https"),
        ("metadata", "not fetched from"),
        ("name", "a name or password"),
        ("large", "more than"),
        ("huge", "more than"),
        ("bomb", "it is no index"),
        ("round", "redirects more than"),
        ("away", "not fetched from 169.254"),
        ("gopher", "only http and https"),
        ("none", "there is no chart shop"),
        ("missing", "answers 404"),
    ] {
        let url = format!("{base}/{path}");
        let wanted = Wanted { url: &url, name: "shop", version: "1.0.0", sha256: None };
        let refused = failure(&private.fetch(wanted, "dev").await.unwrap_err());
        assert!(refused.contains(says), "{path}: {refused}");
    }
    // Without leave, nothing at a private address is asked at all.
    server.asked();
    let public = Fetcher::new(Reach::Public, Mirrors::new()).unwrap();
    let local = format!("http://localhost:{}", server.address.rsplit(':').next().unwrap());
    for url in [base.as_str(), &local, &format!("oci://{}/shop", server.address)] {
        let wanted = Wanted { url, name: "shop", version: "1.0.0", sha256: None };
        let refused = failure(&public.fetch(wanted, "dev").await.unwrap_err());
        assert!(
            refused.contains("not fetched from") && refused.contains("--charts-private"),
            "{refused}"
        );
    }
    assert!(server.asked().is_empty());
}

/// Aliases of aliases.
fn bomb() -> String {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..12 {
        let before = n - 1;
        let aliases = vec![format!("*a{before}"); 9].join(", ");
        text += &format!("a{n}: &a{n} [{aliases}]\n");
    }
    text + "entries: {shop: *a11}\n"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_value_is_in_no_event_and_a_chart_that_would_show_it_is_refused() {
    let cluster = super::control_plane();
    let directory = tempfile::tempdir().unwrap();
    let secrets = directory.path().join("secrets");
    std::fs::create_dir_all(&secrets).unwrap();
    let charts: Charts = charts_by(Mirrors::new());
    let plane = Plane::start_with(directory.path(), &cluster.kubeconfig(), charts).await;
    let release = Release::new("shop", directory.path());
    let key = json!({ "key": { "type": "secret" } });
    let params = |message: &str| json!({ "chart": "shop", "release": "shop", "values": { "message": message, "password": "${resources.key.value}" } });
    release.write_with(&params("hello"), &key);
    plane.apply("shop", &[&release.file()], &[]).await;
    plane.deliver("shop").await;
    let data = object(&cluster, &format!("{}/secrets/shop-secret", own()))["data"].clone();
    let decoded = |name: &str| {
        use base64::Engine as _;
        let bytes = base64::prelude::BASE64_STANDARD.decode(data[name].as_str().unwrap()).unwrap();
        String::from_utf8(bytes).unwrap()
    };
    let values = [decoded("password"), decoded("drawn")];
    assert!(values.iter().all(|value| value.len() > 10), "{values:?}");

    // Where everybody can read it, it is not put.
    release.write_with(&params("it is ${resources.key.value}"), &key);
    release.edit(
        "templates/config.yaml",
        "  message:",
        "  shown: {{ .Values.password }}\n  message:",
    );
    release.write_with(&params("hello"), &key);
    plane.apply("shop", &[&release.file()], &[]).await;
    plane.begin("shop", domain::plan::Purpose::Deploy).await;
    release.says(&plane, &["puts a secret value into", "ConfigMap shop-config"]).await;
    plane.delete("shop").await;
    let said = everything(&plane).await;
    for value in &values {
        assert!(!said.contains(value.as_str()), "a value is in the log");
    }
    plane.stop().await;
}

/// Every event of the log as text, what is packed in it unpacked.
async fn everything(plane: &Plane) -> String {
    use base64::Engine as _;
    use futures::StreamExt as _;
    let mut text = String::new();
    let journal = plane.executor.journal();
    let head = journal.head().await.unwrap();
    let mut log = journal.follow(journal::Position::default());
    while let Some(Ok(recorded)) = log.next().await {
        for event in &recorded.sealed.commit.events {
            text += &event.data.to_string();
            let packed = serde_json::from_str::<Value>(&event.data.to_string()).unwrap();
            let packed = packed.pointer("/Stored/data").or_else(|| packed.get("data"));
            let Some(packed) = packed.and_then(Value::as_str) else { continue };
            let Ok(packed) = base64::prelude::BASE64_STANDARD.decode(packed) else { continue };
            if let Ok(Some(bytes)) = reconcilers::contents::unpacked(&packed, 1 << 24) {
                text += &String::from_utf8_lossy(&bytes);
            }
        }
        if recorded.position >= head {
            break;
        }
    }
    text
}
