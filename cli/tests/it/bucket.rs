//! An archive in a bucket, by the commands that the documents name, on a real server that speaks S3.

use servers::Port;
use servers::moto::Moto;

use crate::plane::Plane;

/// A plane whose commands have a key that the server believes.
fn plane() -> Plane {
    let mut plane = Plane::new(200);
    let key = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
    plane.variables = key.map(|name| (name, "test".to_owned())).into();
    plane
}

/// Runs a command in the plane's folder; gives its exit code and what it said.
fn runs(plane: &Plane, line: &str) -> (Option<i32>, String) {
    let mut command = plane.command(env!("CARGO_BIN_EXE_cairn"));
    command.args(line.split(' ').skip(1)).current_dir(plane.folder.path());
    let output = command.output().unwrap();
    let text = if output.status.success() { &output.stdout } else { &output.stderr };
    (output.status.code(), String::from_utf8_lossy(text).into_owned())
}

#[track_caller]
fn says(plane: &Plane, line: &str) -> String {
    let (code, said) = runs(plane, line);
    assert_eq!(code, Some(0), "{line}: {said}");
    said
}

#[test]
fn an_archive_in_a_bucket_is_kept_checked_proven_and_restored_from() {
    let moto = Moto::shared();
    let url = format!("s3://{}/cairn/prod?endpoint={}", moto.create_bucket(), moto.url());
    let mut plane = plane();
    plane.settings = vec!["--archive".into(), url.clone()];
    plane.start();
    plane.data_of(&["get", "environments"]);
    assert!(plane.stop());
    let whole = says(&plane, "cairn admin verify --data-dir data");
    let both = says(&plane, &format!("cairn admin verify --data-dir data --archive {url}"));
    assert!(both.starts_with(whole.trim_end()) && both.contains("1 anchor up to"), "{both}");
    let again = says(&plane, &format!("cairn admin backup --data-dir data --to {url}"));
    assert!(again.starts_with("the archive s3://"), "{again}");

    says(&plane, &format!("cairn audit export --archive {url} --to 2 -o bundle"));
    let proven = says(&plane, "cairn audit verify bundle --key data/anchor.pub");
    assert!(proven.starts_with("proven: these are all 2 commits"), "{proven}");

    std::fs::remove_dir_all(plane.data().join("log")).unwrap();
    let restored = says(&plane, &format!("cairn admin restore --data-dir data --from {url}"));
    assert!(restored.contains("the views are rebuilt from the log"), "{restored}");
    assert_eq!(says(&plane, "cairn admin verify --data-dir data"), whole);
    plane.start();
    assert!(plane.data_of(&["get", "environments"]).contains("dev"));
    assert!(plane.stop());
}

#[test]
fn an_archive_that_cannot_be_used_is_refused_in_words_that_help() {
    let (moto, nobody) = (Moto::shared(), Port::reserve());
    let (at, bucket) = (moto.url(), moto.create_bucket());
    let refusals = [
        ("s3://", 2, "write s3://BUCKET"),
        ("s3://key:secret@b", 2, "credentials do not belong in a URL"),
        (
            "s3://b?endpoint=127.0.0.1:9000",
            2,
            "write https://HOST[:PORT], or http:// where you mean",
        ),
        ("gs://b", 2, "an archive is in a folder or in s3://BUCKET/PREFIX, not on gs"),
        (&format!("s3://nobodys?endpoint={at}"), 7, "NoSuchBucket"),
        (&format!("s3://{bucket}/empty?endpoint={at}"), 4, "there is no archive in s3://"),
        (&format!("s3://b?endpoint=http://127.0.0.1:{}", nobody.number()), 7, "onnect"),
    ];
    let mut plane = plane();
    for (url, exit, expected) in refusals {
        let (code, said) =
            runs(&plane, &format!("cairn admin restore --data-dir new --from {url}"));
        assert_eq!(code, Some(exit), "{url}: {said}");
        assert!(said.contains(expected), "{url}: {said}");
    }
    plane.variables.truncate(1);
    let half = format!("cairn admin verify --archive-only --archive s3://{bucket}?endpoint={at}");
    let (code, said) = runs(&plane, &half);
    assert!(code == Some(2) && said.contains("SecretAccessKey"), "{said}");
    assert!(!plane.folder.path().join("new").exists(), "nothing was made");
}

#[test]
fn a_store_is_trusted_by_its_certificate() {
    let moto = Moto::start_with_tls();
    let check = |plane: &Plane, host: &str| {
        let url = format!("s3://b?endpoint=https://{host}:{}", moto.port());
        runs(plane, &format!("cairn admin verify --archive-only --archive {url}"))
    };
    let mut plane = plane();
    let (code, said) = check(&plane, "localhost");
    assert!(code == Some(7) && said.contains("ertificate"), "nobody knows it: {said}");
    plane.variables.push(("SSL_CERT_FILE", moto.certificate().display().to_string()));
    let (code, said) = check(&plane, "localhost");
    assert!(code == Some(7) && said.contains("NoSuchBucket"), "it is asked now: {said}");
    let (code, said) = check(&plane, "127.0.0.1");
    assert!(code == Some(7) && said.contains("ertificate"), "it is not who it says: {said}");
}
