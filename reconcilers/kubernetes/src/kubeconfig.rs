//! How a cluster is reached, read from a kubeconfig that may be hostile.
//!
//! A kubeconfig can name programs to run and files to read. Here it is data: what is not on the list of allowed fields
//! is refused, wherever it stands, and nothing of it is run, opened or asked for. No message shows a value.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};
use url::Url;

/// The largest kubeconfig in bytes: one cluster's takes ten thousand.
pub const BYTES_MAX: usize = 256 * 1024;

/// How to reach a cluster.
#[derive(Clone)]
pub struct Access {
    /// Its API server: https.
    pub server: Url,
    /// Who signs its certificate, in PEM; none for the public authorities.
    pub authority: Option<Vec<u8>>,
    /// The name in its certificate, where that is another than the address.
    pub server_name: Option<String>,
    /// Who we are.
    pub identity: Identity,
}

/// Who we are to a cluster.
#[derive(Clone)]
pub enum Identity {
    /// A bearer token.
    Token(String),
    /// A client certificate and its key, in PEM.
    Certificate {
        /// The certificate.
        certificate: Vec<u8>,
        /// Its key.
        key: Vec<u8>,
    },
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").field("server", &self.server.as_str()).finish_non_exhaustive()
    }
}

/// Why a kubeconfig is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct Refused {
    /// Where, such as `users[0].user.exec`.
    pub path: String,
    /// Why, and what to do.
    pub reason: String,
}

fn refused(path: impl Into<String>, reason: impl Into<String>) -> Refused {
    Refused { path: path.into(), reason: reason.into() }
}

/// What a field may be.
enum Rule {
    /// It may stand there.
    Allowed,
    /// It may not: why, and what to do.
    Refused(&'static str),
}

const PROGRAM: &str =
    "names a program to run; a kubeconfig is data here: use a token or a client certificate";
const FILE: &str =
    "names a file of this machine; put the content in instead: kubectl config view --raw --flatten";

fn rule(of: &str, field: &str) -> Option<Rule> {
    use Rule::{Allowed, Refused};
    Some(match (of, field) {
        ("", "apiVersion" | "kind" | "preferences" | "clusters" | "users" | "contexts")
        | ("", "current-context")
        | ("cluster", "server" | "certificate-authority-data" | "tls-server-name")
        | ("cluster", "disable-compression")
        | ("user", "token" | "client-certificate-data" | "client-key-data")
        | ("context", "cluster" | "user" | "namespace")
        | ("clusters", "name" | "cluster")
        | ("users", "name" | "user")
        | ("contexts", "name" | "context") => Allowed,
        ("cluster", "insecure-skip-tls-verify") => {
            Refused("whoever answers would be believed; give certificate-authority-data instead")
        }
        ("cluster", "proxy-url") => {
            Refused("everything would go through somebody else; reach the cluster directly")
        }
        ("cluster", "certificate-authority")
        | ("user", "tokenFile" | "client-certificate" | "client-key") => Refused(FILE),
        ("user", "exec" | "auth-provider") => Refused(PROGRAM),
        ("user", "username" | "password") => {
            Refused("Kubernetes has no passwords any more (since 1.19); use a token")
        }
        ("user", "as" | "as-uid" | "as-groups" | "as-user-extra") => {
            Refused("acts as somebody else; give the credentials of who is meant")
        }
        _ => return None,
    })
}

/// Reads a kubeconfig: the cluster and the user of its current context.
///
/// # Errors
/// [`Refused`], with the first field that may not stand there. No program is run, and no file opened.
pub fn read(text: &str) -> Result<Access, Refused> {
    if text.len() > BYTES_MAX {
        return Err(refused("", format!("has more than {BYTES_MAX} bytes")));
    }
    let root = parse(text)?;
    let root = fields(&root, "", "")?;
    for (list, of) in [("clusters", "cluster"), ("users", "user"), ("contexts", "context")] {
        for (index, entry) in entries(root, list)?.iter().enumerate() {
            let path = format!("{list}[{index}]");
            let entry = fields(entry, &path, list)?;
            let inner =
                entry.get(of).ok_or_else(|| refused(format!("{path}.{of}"), "is missing"))?;
            fields(inner, &format!("{path}.{of}"), of)?;
        }
    }
    let current = string(root, "", "current-context")?
        .ok_or_else(|| refused("current-context", "is missing: it says which cluster is meant"))?;
    let (path, context) = named(root, "contexts", "context", &current)?;
    let chosen = |field: &str| {
        string(context, &path, field)?
            .ok_or_else(|| refused(format!("{path}.{field}"), "is missing"))
    };
    let (cluster_path, cluster) = named(root, "clusters", "cluster", &chosen("cluster")?)?;
    let (user_path, user) = named(root, "users", "user", &chosen("user")?)?;
    Ok(Access {
        server: server(cluster, &cluster_path)?,
        authority: pem(cluster, &cluster_path, "certificate-authority-data")?,
        server_name: string(cluster, &cluster_path, "tls-server-name")?,
        identity: identity(user, &user_path)?,
    })
}

fn parse(text: &str) -> Result<Value, Refused> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_anchors: 0, max_aliases: 0, max_events: 20_000 },
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::Error,
        merge_keys: serde_saphyr::MergeKeyPolicy::Error,
    };
    // Its own words would show a piece of the text, which holds secrets.
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let place = error.location().map_or_else(String::new, |at| format!("line {}", at.line()));
        refused(place, "is not one YAML document with every key once and no anchors")
    })
}

/// The fields of an object, each of which may stand there.
fn fields<'a>(value: &'a Value, path: &str, of: &str) -> Result<&'a Map<String, Value>, Refused> {
    let fields = value.as_object().ok_or_else(|| refused(path, "must be a mapping"))?;
    for field in fields.keys() {
        let path = join(path, field);
        match rule(of, field) {
            Some(Rule::Allowed) => {}
            Some(Rule::Refused(reason)) => return Err(refused(path, reason)),
            None => return Err(refused(path, "is not known here; remove it")),
        }
    }
    Ok(fields)
}

fn join(path: &str, field: &str) -> String {
    let field: String = field.chars().take(60).flat_map(char::escape_debug).collect();
    if path.is_empty() { field } else { format!("{path}.{field}") }
}

fn entries<'a>(root: &'a Map<String, Value>, list: &str) -> Result<&'a [Value], Refused> {
    let entries = root.get(list).ok_or_else(|| refused(list, "is missing"))?;
    entries.as_array().map(Vec::as_slice).ok_or_else(|| refused(list, "must be a list"))
}

/// The only entry of a list that is called so.
fn named<'a>(
    root: &'a Map<String, Value>,
    list: &str,
    of: &str,
    name: &str,
) -> Result<(String, &'a Map<String, Value>), Refused> {
    let found: Vec<_> = entries(root, list)?
        .iter()
        .enumerate()
        .filter(|(_, entry)| entry.get("name").and_then(Value::as_str) == Some(name))
        .collect();
    match found.as_slice() {
        [(index, entry)] => {
            let path = format!("{list}[{index}].{of}");
            let inner = entry.get(of).unwrap_or(&Value::Null);
            Ok((path.clone(), fields(inner, &path, of)?))
        }
        [] => Err(refused(list, "has no entry of the name that the current context leads to")),
        _ => Err(refused(list, "has several entries of one name")),
    }
}

fn string(fields: &Map<String, Value>, path: &str, field: &str) -> Result<Option<String>, Refused> {
    match fields.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(refused(join(path, field), "must be text")),
    }
}

fn server(cluster: &Map<String, Value>, path: &str) -> Result<Url, Refused> {
    let at = format!("{path}.server");
    let text = string(cluster, path, "server")?.ok_or_else(|| refused(&at, "is missing"))?;
    let url = Url::parse(&text).map_err(|_| refused(&at, "is not a URL"))?;
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    match (url.scheme(), url.host_str()) {
        ("https", Some(_)) if plain => Ok(url),
        ("https", _) => Err(refused(at, "must be https://host:port, with nothing else in it")),
        _ => Err(refused(at, "must be https: the credentials would be sent in clear")),
    }
}

fn pem(fields: &Map<String, Value>, path: &str, field: &str) -> Result<Option<Vec<u8>>, Refused> {
    let Some(text) = string(fields, path, field)? else { return Ok(None) };
    let bytes = BASE64_STANDARD.decode(text.trim());
    match bytes {
        Ok(bytes) if bytes.starts_with(b"-----BEGIN ") => Ok(Some(bytes)),
        Ok(_) | Err(_) => Err(refused(join(path, field), "must be PEM in base64")),
    }
}

fn identity(user: &Map<String, Value>, path: &str) -> Result<Identity, Refused> {
    let token = string(user, path, "token")?;
    let certificate = pem(user, path, "client-certificate-data")?;
    let key = pem(user, path, "client-key-data")?;
    match (token, certificate, key) {
        (Some(token), None, None) => {
            let sendable = token.bytes().all(|byte| byte.is_ascii_graphic());
            sendable
                .then_some(Identity::Token(token))
                .ok_or_else(|| refused(format!("{path}.token"), "must be printable ASCII"))
        }
        (None, Some(certificate), Some(key)) => Ok(Identity::Certificate { certificate, key }),
        (None, None, None) => Err(refused(
            path,
            "has no credentials: give a token, or client-certificate-data with client-key-data",
        )),
        (Some(_), _, _) => Err(refused(path, "has both a token and a certificate; give one")),
        (None, _, _) => {
            Err(refused(path, "needs both client-certificate-data and client-key-data"))
        }
    }
}
