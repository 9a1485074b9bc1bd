//! Kubeconfigs that would run programs, open files, or lead elsewhere are refused, and say where and why.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use kubernetes::kubeconfig::{BYTES_MAX, Identity, read};

/// A harmless one. Each hostile one differs from it by one replacement.
const GOOD: &str = "\
apiVersion: v1
kind: Config
current-context: eu
contexts:
  - name: eu
    context: {cluster: eu, user: cairn, namespace: default}
clusters:
  - name: eu
    cluster:
      server: https://eu.example.com:6443
users:
  - name: cairn
    user:
      token: s3cr3t-t0ken
";
/// A value that no message may show.
const SECRET: &str = "s3cr3t";

/// What is replaced, by what, where it is found, and a word of the reason.
const HOSTILE: &[(&str, &str, &str, &str)] = &[
    (
        "token: s3cr3t-t0ken",
        "exec: {command: /bin/sh, args: [-c, id]}",
        "users[0].user.exec",
        "program",
    ),
    (
        "token: s3cr3t-t0ken",
        "token: x\n      exec: {command: aws}",
        "users[0].user.exec",
        "program",
    ),
    ("token: s3cr3t-t0ken", "exec: null", "users[0].user.exec", "program"),
    (
        "token: s3cr3t-t0ken",
        "auth-provider: {name: gcp, config: {cmd-path: /bin/sh}}",
        "users[0].user.auth-provider",
        "program",
    ),
    ("token: s3cr3t-t0ken", "tokenFile: /etc/shadow", "users[0].user.tokenFile", "file"),
    (
        "token: s3cr3t-t0ken",
        "client-certificate: /etc/passwd\n      client-key: /etc/shadow",
        "users[0].user.client-certificate",
        "file",
    ),
    (
        "token: s3cr3t-t0ken",
        "client-key: /etc/ssl/private/key.pem",
        "users[0].user.client-key",
        "file",
    ),
    (
        "token: s3cr3t-t0ken",
        "username: admin\n      password: s3cr3t",
        "users[0].user.password",
        "token",
    ),
    ("token: s3cr3t-t0ken", "username: admin", "users[0].user.username", "token"),
    (
        "token: s3cr3t-t0ken",
        "token: x\n      as: system:admin",
        "users[0].user.as",
        "somebody else",
    ),
    ("token: s3cr3t-t0ken", "token: x\n      as-uid: '0'", "users[0].user.as-uid", "somebody else"),
    (
        "token: s3cr3t-t0ken",
        "token: x\n      as-groups: [system:masters]",
        "users[0].user.as-groups",
        "somebody else",
    ),
    (
        "token: s3cr3t-t0ken",
        "token: x\n      as-user-extra: {a: [b]}",
        "users[0].user.as-user-extra",
        "somebody else",
    ),
    (
        "token: s3cr3t-t0ken",
        "token: x\n      impersonate: root",
        "users[0].user.impersonate",
        "not known",
    ),
    (
        "token: s3cr3t-t0ken",
        "token: x\n      extensions: []",
        "users[0].user.extensions",
        "not known",
    ),
    ("token: s3cr3t-t0ken", "token: ''", "users[0].user", "no credentials"),
    ("token: s3cr3t-t0ken", "token: [s3cr3t]", "users[0].user.token", "must be text"),
    ("token: s3cr3t-t0ken", "token: \"a\\r\\nx-evil: s3cr3t\"", "users[0].user.token", "printable"),
    ("token: s3cr3t-t0ken", "token: \"s3cr3t\\0\"", "users[0].user.token", "printable"),
    (
        "token: s3cr3t-t0ken",
        "client-certificate-data: Zm9v\n      client-key-data: Zm9v",
        "users[0].user.client-certificate-data",
        "PEM",
    ),
    ("token: s3cr3t-t0ken", "client-key-data: LS0tLS1CRUdJTiBB", "users[0].user", "both"),
    (
        "token: s3cr3t-t0ken",
        "token: s3cr3t\n      client-key-data: LS0tLS1CRUdJTiBB",
        "users[0].user",
        "one",
    ),
    (
        "server: https://eu",
        "insecure-skip-tls-verify: true\n      server: https://eu",
        "clusters[0].cluster.insecure-skip-tls-verify",
        "believed",
    ),
    (
        "server: https://eu",
        "insecure-skip-tls-verify: false\n      server: https://eu",
        "clusters[0].cluster.insecure-skip-tls-verify",
        "believed",
    ),
    (
        "server: https://eu",
        "proxy-url: http://evil.example\n      server: https://eu",
        "clusters[0].cluster.proxy-url",
        "somebody else",
    ),
    (
        "server: https://eu",
        "certificate-authority: /etc/ssl/evil.pem\n      server: https://eu",
        "clusters[0].cluster.certificate-authority",
        "file",
    ),
    (
        "server: https://eu",
        "certificate-authority-data: L2V0Yy9wYXNzd2Q=\n      server: https://eu",
        "clusters[0].cluster.certificate-authority-data",
        "PEM",
    ),
    ("server: https://eu", "server: http://eu", "clusters[0].cluster.server", "https"),
    (
        "server: https://eu",
        "server: file:///etc/passwd#https://eu",
        "clusters[0].cluster.server",
        "https",
    ),
    (
        "server: https://eu",
        "server: unix:///var/run/docker.sock?https://eu",
        "clusters[0].cluster.server",
        "https",
    ),
    (
        "server: https://eu",
        "server: https://user:s3cr3t@eu",
        "clusters[0].cluster.server",
        "nothing else",
    ),
    (
        "server: https://eu.example.com:6443",
        "server: https://eu.example.com/?a=b",
        "clusters[0].cluster.server",
        "nothing else",
    ),
    ("server: https://eu.example.com:6443", "server: 7", "clusters[0].cluster.server", "text"),
    (
        "server: https://eu.example.com:6443",
        "tls-server-name: eu",
        "clusters[0].cluster.server",
        "missing",
    ),
    ("current-context: eu", "current-context: elsewhere", "contexts", "no entry"),
    ("current-context: eu\n", "", "current-context", "missing"),
    ("user: cairn, namespace", "user: nobody, namespace", "users", "no entry"),
    (
        "clusters:\n",
        "clusters:\n  - {name: eu, cluster: {server: 'https://evil.example'}}\n",
        "clusters",
        "several",
    ),
    (
        "clusters:\n",
        "clusters:\n  - {name: other, cluster: {server: 'https://o', proxy-url: 'http://x'}}\n",
        "clusters[0].cluster.proxy-url",
        "somebody else",
    ),
    (
        "users:\n",
        "users:\n  - {name: other, user: {exec: {command: sh}}}\n",
        "users[0].user.exec",
        "program",
    ),
    ("users:\n", "users:\n  - {name: other, user: 7}\n", "users[0].user", "mapping"),
    ("users:\n", "users:\n  - {name: other}\n", "users[0].user", "missing"),
    ("kind: Config\n", "kind: Config\nextensions: []\n", "extensions", "not known"),
    ("kind: Config\n", "kind: Config\nkind: Config\n", "line", "every key once"),
    ("kind: Config\n", "kind: Config\npreferences: &a [*a]\n", "line", "anchors"),
    ("kind: Config\n", "kind: Config\npreferences: &a {x: 1}\n", "line", "anchors"),
    ("kind: Config\n", "kind: Config\n---\nkind: Config\n", "line", "one YAML document"),
    ("kind: Config\n", "kind: [Config\n", "line", "YAML"),
    ("    user:\n", "    <<: {user: {exec: {}}}\n    user:\n", "line", "every key once"),
    ("users:\n", "users: {}\npreferences:\n", "users", "list"),
];

#[test]
fn every_hostile_kubeconfig_is_refused_with_its_place() {
    assert!(HOSTILE.len() >= 40);
    for (what, by, place, word) in HOSTILE {
        assert!(GOOD.contains(what), "{what}");
        let hostile = GOOD.replacen(what, by, 1);
        let refused = match read(&hostile) {
            Ok(access) => panic!("{by} is taken: {access:?}"),
            Err(refused) => refused,
        };
        assert!(refused.path.starts_with(place), "{by}: at {refused}, not at {place}");
        assert!(refused.reason.contains(word), "{by}: {refused} does not say `{word}`");
        assert!(!refused.to_string().contains(SECRET), "{refused}");
    }
    assert!(read(&" ".repeat(BYTES_MAX + 1)).is_err());
}

#[test]
fn a_harmless_one_is_read() {
    let access = read(GOOD).unwrap();
    assert_eq!(access.server.as_str(), "https://eu.example.com:6443/");
    assert!(matches!(&access.identity, Identity::Token(token) if token == "s3cr3t-t0ken"));
    assert!(!format!("{access:?}").contains(SECRET));
}
