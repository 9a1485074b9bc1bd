//! How a cluster is reached: by a client certificate, as the pod that Cairn runs in, by a token that is rotated; and one
//! that is there already.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use charts::fetch::Mirrors;
use domain::Time;
use kubernetes::Clusters;
use reconcilers::WallClock;
use reconcilers::secrets::{Account, Stores};
use serde_json::{Value, json};
use servers::kubernetes::{ControlPlane, Options};
use servers::until;
use tests::{Plane, charts_by, namespace};
use uuid::Uuid;

/// The accounts, in a namespace of their own.
const FIRST: &str = "first";
const SECOND: &str = "second";
const ACCOUNTS: &str = "accounts";
/// How often credentials are read again where a test waits for that.
const REREAD: Duration = Duration::from_millis(200);
/// Whoever may sign the certificates of clients.
const SIGNER: &str = "people.crt";
/// Where Kubernetes mounts the account of a pod.
const MOUNTED: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Tells a process of the test of addresses what to find.
const ADDRESS: &str = "CAIRN_TEST_ADDRESS";
/// What names an existing cluster's kubeconfig, the first before the second.
const EXISTING: [&str; 2] = ["CAIRN_TEST_KUBECONFIG", "KUBECONFIG"];

fn control_plane(flags: Vec<String>) -> ControlPlane {
    ControlPlane::start(&Options { nodes: 1, entry: false, flags, ..Options::default() })
}

/// What signs its certificate, in PEM.
fn authority(cluster: &ControlPlane) -> Vec<u8> {
    let config: Value = serde_json::from_str(&cluster.kubeconfig()).unwrap();
    let cluster = &config["clusters"][0]["cluster"];
    BASE64_STANDARD.decode(cluster["certificate-authority-data"].as_str().unwrap()).unwrap()
}

/// Has a version of an application delivered: the cluster's own API says that it is wanted there.
async fn deliver(plane: &Plane, cluster: &ControlPlane, folder: &Path, version: u32) {
    let file = folder.join("hello.yaml");
    let image = format!("registry.example/hello:{version}");
    std::fs::write(&file, format!("name: hello\nimage: {image}\nport: 8080\n")).unwrap();
    plane.apply("hello", &[&file], &[]).await;
    plane.deliver("hello").await;
    let path = format!("GET /apis/apps/v1/namespaces/{}/deployments/hello", namespace("hello"));
    let (_, found) = cluster.ask(&path, &Value::Null);
    assert_eq!(found["spec"]["template"]["spec"]["containers"][0]["image"], json!(image));
}

/// Takes it down: nothing is left of it.
async fn leave(plane: Plane, cluster: &ControlPlane) {
    plane.delete("hello").await;
    let path = format!("GET /api/v1/namespaces/{}", namespace("hello"));
    assert_eq!(cluster.ask(&path, &Value::Null).0, 404);
    plane.stop().await;
}

fn openssl(folder: &Path, arguments: &str) {
    let mut command = Command::new("openssl");
    command.args(arguments.split(' ')).current_dir(folder).stdin(Stdio::null());
    let output = command.output().unwrap();
    let wrote = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments}: {wrote}");
}

/// Makes a signer of certificates, and `client.crt` with its `client.key` for one of the group that may do everything.
/// Gives the flag with which an API server believes the signer.
fn certify(folder: &Path) -> String {
    let make = "req -x509 -newkey rsa:2048 -nodes -days 2";
    let signer = "-subj /CN=people -addext basicConstraints=critical,CA:TRUE -keyout people.key";
    openssl(folder, &format!("{make} {signer} -out {SIGNER}"));
    let client = "-subj /O=system:masters/CN=cairn -addext basicConstraints=critical,CA:FALSE";
    let signed = format!("-CA {SIGNER} -CAkey people.key -addext extendedKeyUsage=clientAuth");
    openssl(folder, &format!("{make} {client} {signed} -keyout client.key -out client.crt"));
    format!("--client-ca-file={}", folder.join(SIGNER).display())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_is_delivered_by_whom_a_client_certificate_names() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = control_plane(vec![certify(folder.path())]);
    let read =
        |name: &str| BASE64_STANDARD.encode(std::fs::read(folder.path().join(name)).unwrap());
    let mut config: Value = serde_json::from_str(&cluster.kubeconfig()).unwrap();
    config["users"][0]["user"] = json!({
        "client-certificate-data": read("client.crt"),
        "client-key-data": read("client.key"),
    });
    let plane = Plane::start_on(folder.path(), &config.to_string()).await;
    deliver(&plane, &cluster, folder.path(), 1).await;
    deliver(&plane, &cluster, folder.path(), 2).await;
    leave(plane, &cluster).await;
}

/// A cluster with two accounts that may do everything, and a log of who of them it has let list something.
struct Accounts {
    cluster: ControlPlane,
    log: PathBuf,
}

impl Accounts {
    fn start(folder: &Path) -> Self {
        let (policy, log) = (folder.join("policy.yaml"), folder.join("audit.log"));
        let rules = json!([{
            "level": "Metadata",
            "users": [Self::user(FIRST), Self::user(SECOND)],
            "verbs": ["list"],
        }]);
        let rules = json!({ "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": rules })
            .to_string();
        std::fs::write(&policy, rules).unwrap();
        let cluster = control_plane(vec![
            format!("--audit-policy-file={}", policy.display()),
            format!("--audit-log-path={}", log.display()),
        ]);
        let _ = cluster.kubectl(&["create", "namespace", ACCOUNTS]);
        let within = format!("--namespace={ACCOUNTS}");
        for name in [FIRST, SECOND] {
            let _ = cluster.kubectl(&["create", "serviceaccount", name, &within]);
            let to = format!("--serviceaccount={ACCOUNTS}:{name}");
            let role = "--clusterrole=cluster-admin";
            let _ = cluster.kubectl(&["create", "clusterrolebinding", name, role, &to]);
        }
        Self { cluster, log }
    }

    fn user(name: &str) -> String {
        format!("system:serviceaccount:{ACCOUNTS}:{name}")
    }

    fn token(&self, name: &str) -> String {
        let within = format!("--namespace={ACCOUNTS}");
        self.cluster.kubectl(&["create", "token", name, &within]).trim().to_owned()
    }

    /// Removes an account, and all its tokens with it.
    fn remove(&self, name: &str) {
        let within = format!("--namespace={ACCOUNTS}");
        let _ = self.cluster.kubectl(&["delete", "serviceaccount", name, &within]);
    }

    /// Whether the cluster knows who shows a token.
    fn knows(&self, token: &str) -> bool {
        let review = json!({
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": { "token": token },
        });
        let path = "POST /apis/authentication.k8s.io/v1/tokenreviews";
        let (status, answer) = self.cluster.ask(path, &review);
        assert_eq!(status, 201, "{answer}");
        answer["status"]["authenticated"] == true
    }

    /// Waits until somebody has listed something as an account, which Cairn begins to do once it writes as that.
    fn wait_use(&self, name: &str) {
        let is_use = |line: &str| {
            let entry: Value = serde_json::from_str(line).unwrap_or_default();
            entry["user"]["username"] == Self::user(name) && entry["responseStatus"]["code"] == 200
        };
        until(&format!("the account `{name}` to be used"), || {
            let log = std::fs::read_to_string(&self.log).ok()?;
            log.lines().any(is_use).then_some(())
        });
    }
}

/// Puts a file in another's place in one go, as Kubernetes does.
fn replace(file: &Path, text: &str) {
    let new = file.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(&new, file).unwrap();
}

fn clusters(stores: Stores) -> Clusters {
    Clusters::new(Arc::new(stores), Arc::new(WallClock))
}

async fn start(folder: &Path, clusters: Clusters, existing: &Value) -> Plane {
    Plane::start_by(folder, clusters, charts_by(Mirrors::new()), existing).await
}

/// Since when the cluster has been reached without a break.
async fn reached_since(plane: &Plane) -> Time {
    let cluster = plane.resource("cluster/real").await;
    assert!(cluster.is_ready());
    cluster.body().unwrap().readiness.since
}

#[tokio::test(flavor = "multi_thread")]
async fn the_account_of_the_pod_is_used_and_its_next_token_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let accounts = Accounts::start(folder.path());
    let (cluster, first) = (&accounts.cluster, accounts.token(FIRST));
    let pod = folder.path().join("pod");
    std::fs::create_dir(&pod).unwrap();
    std::fs::write(pod.join("ca.crt"), authority(cluster)).unwrap();
    std::fs::write(pod.join("token"), &first).unwrap();
    let account = Account::at(&pod, &format!("https://127.0.0.1:{}", cluster.port()));
    let stores = Stores::new(folder.path().join("secrets")).with_account(account);
    let plane = start(folder.path(), clusters(stores), &json!({ "store": "in-cluster" })).await;
    deliver(&plane, cluster, folder.path(), 1).await;
    accounts.wait_use(FIRST);

    replace(&pod.join("token"), &accounts.token(SECOND));
    accounts.remove(FIRST);
    // Neither a watch of the first nor the memory of its token outlives this.
    cluster.apiserver().kill9();
    cluster.apiserver().start();
    accounts.wait_use(SECOND);
    let is_reached = async || plane.resource("cluster/real").await.is_ready();
    plane.until("the cluster to be reached", is_reached).await;
    assert!(!accounts.knows(&first));
    deliver(&plane, cluster, folder.path(), 2).await;
    leave(plane, cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_rotated_is_used_before_the_old_one_ends() {
    let folder = tempfile::tempdir().unwrap();
    let accounts = Accounts::start(folder.path());
    let (cluster, first) = (&accounts.cluster, accounts.token(FIRST));
    let secrets = folder.path().join("secrets");
    std::fs::create_dir(&secrets).unwrap();
    let rotate = |token: &str| {
        replace(&secrets.join("real"), &cluster.kubeconfig_at(cluster.port(), token));
    };
    rotate(&first);
    let clusters = clusters(Stores::new(secrets.clone())).with_reread(REREAD);
    let existing = json!({ "store": "file", "path": "real" });
    let plane = start(folder.path(), clusters, &existing).await;
    deliver(&plane, cluster, folder.path(), 1).await;
    accounts.wait_use(FIRST);
    let since = reached_since(&plane).await;

    rotate(&accounts.token(SECOND));
    accounts.wait_use(SECOND);
    assert!(accounts.knows(&first), "nothing had to be refused for that");
    accounts.remove(FIRST);
    until("the first to be refused", || (!accounts.knows(&first)).then_some(()));
    deliver(&plane, cluster, folder.path(), 2).await;
    assert_eq!(reached_since(&plane).await, since);
    leave(plane, cluster).await;
}

/// A process has one environment from its first moment on: each one here is another's, which runs only this test.
#[test]
fn a_pod_finds_its_api_server_in_its_environment() {
    if let Ok(address) = std::env::var(ADDRESS) {
        let wanted = Account::at(Path::new(MOUNTED), &address);
        assert_eq!(format!("{:?}", Account::of_pod()), format!("{wanted:?}"));
        return;
    }
    for (host, port, address) in [
        ("10.96.0.1", "6443", "https://10.96.0.1:6443"),
        ("10.96.0.1", "", "https://10.96.0.1:443"),
        ("fd12::1", "443", "https://[fd12::1]:443"),
    ] {
        let mut same = Command::new(std::env::current_exe().unwrap());
        same.args(["access::a_pod_finds_its_api_server_in_its_environment", "--exact"]);
        same.env("KUBERNETES_SERVICE_HOST", host).env("KUBERNETES_SERVICE_PORT", port);
        let output = same.env(ADDRESS, address).stdin(Stdio::null()).output().unwrap();
        let wrote = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && wrote.contains("1 passed"), "{address}: {wrote}");
    }
}

fn kubectl(kubeconfig: &OsStr, arguments: &[&str]) -> String {
    let mut command = Command::new(servers::program("kubectl", "kubectl").unwrap());
    command.args(arguments).env("KUBECONFIG", kubeconfig).stdin(Stdio::null());
    let output = command.output().unwrap();
    let wrote = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "kubectl {arguments:?}: {wrote}");
    String::from_utf8(output.stdout).unwrap()
}

/// The current context of kubeconfigs, with the contents of the files that it names: Cairn opens none.
fn flat(kubeconfigs: &OsStr) -> String {
    let view = ["config", "view", "--minify", "--flatten", "--raw", "--output=json"];
    let mut config: Value = serde_json::from_str(&kubectl(kubeconfigs, &view)).unwrap();
    for place in ["", "/clusters/0/cluster", "/users/0/user", "/contexts/0/context"] {
        // Notes of the programs that wrote it.
        if let Some(Value::Object(fields)) = config.pointer_mut(place) {
            fields.remove("extensions");
        }
    }
    let text = config.to_string();
    // What it refuses is told now, and not waited for.
    kubernetes::kubeconfig::read(&text).unwrap();
    text
}

/// A kubeconfig that leads to a cluster as one person's does: by files beside it.
fn write_kubeconfig(cluster: &ControlPlane, folder: &Path) -> PathBuf {
    std::fs::write(folder.join("server.crt"), authority(cluster)).unwrap();
    let mut config: Value = serde_json::from_str(&cluster.kubeconfig()).unwrap();
    let fields = config["clusters"][0]["cluster"].as_object_mut().unwrap();
    fields.remove("certificate-authority-data");
    fields.insert("certificate-authority".into(), json!("server.crt"));
    config["users"][0]["user"] =
        json!({ "client-certificate": "client.crt", "client-key": "client.key" });
    let file = folder.join("kubeconfig");
    std::fs::write(&file, config.to_string()).unwrap();
    file
}

/// The kubeconfig of a cluster that is there already; where none is given, of one that is started for this.
fn existing(folder: &Path) -> (String, Option<ControlPlane>) {
    let named = |name: &&str| std::env::var_os(name).filter(|files| !files.is_empty());
    if let Some(files) = EXISTING.iter().find_map(named) {
        return (flat(&files), None);
    }
    let cluster = control_plane(vec![certify(folder)]);
    (flat(write_kubeconfig(&cluster, folder).as_os_str()), Some(cluster))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_existing_cluster_is_delivered_to_where_one_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let (kubeconfig, _cluster) = existing(folder.path());
    let plane = Plane::start_on(folder.path(), &kubeconfig).await;
    // A name of its own: the cluster is not ours alone.
    let digits = Uuid::now_v7().simple().to_string();
    let name = format!("existing{}", &digits[20..]);
    let kubeconfig = folder.path().join("secrets/real");
    let ask = |arguments: &[&str]| kubectl(kubeconfig.as_os_str(), arguments);
    let (namespace, file) = (namespace(&name), folder.path().join("app.yaml"));
    let within = format!("--namespace={namespace}");
    let mark =
        r#"--output=jsonpath={.spec.template.spec.containers[0].env[?(@.name=="MARK")].value}"#;
    for word in ["one", "two"] {
        let image = "registry.k8s.io/pause:3.10";
        let text = format!("name: {name}\nimage: {image}\nvariables: {{MARK: {word}}}\n");
        std::fs::write(&file, text).unwrap();
        plane.apply(&name, &[&file], &[]).await;
        plane.deliver(&name).await;
        assert_eq!(ask(&["get", "deployment", &name, &within, mark]), word);
    }
    plane.delete(&name).await;
    let left = ask(&["get", "namespace", &namespace, "--ignore-not-found", "--output=name"]);
    assert_eq!(left, "");
    plane.stop().await;
}
