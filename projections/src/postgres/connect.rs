//! Reaching the server: the URL, TLS, and how a connection is set up.

use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Connection, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;
use tracing::debug;

use super::fault::unavailable;
use crate::store::StoreError;

/// The most connections that read at once. PostgreSQL has 100 in all unless told otherwise, for every replica.
const READERS_MAX: usize = 8;
/// The longest that a reader waits for a connection to come free, or to be made.
const WAIT: Duration = Duration::from_secs(5);
/// The longest that one read or write may take: a question that takes longer is a mistake of ours.
const STATEMENT_TIMEOUT: &str = "30s";
/// How long a transaction may stand still: a runner whose machine vanished must not hold the checkpoint.
const IDLE_TIMEOUT: &str = "10s";
/// How long a connection may be silent before the other side is asked whether it is there.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// How long data may be on its way before the connection counts as broken.
const UNACKNOWLEDGED: Duration = Duration::from_secs(15);

/// Every statement goes by an index, from what it has to what it needs: as SQLite does it, whatever the statistics
/// say of tables that were empty a moment ago. So a plan is good for ever, and is made once.
pub(crate) const PLANNING: &[(&str, &str)] = &[
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("join_collapse_limit", "1"),
    ("jit", "off"),
];

/// Where the views are, and how to get there.
#[derive(Clone)]
pub(super) struct Server {
    config: Config,
    tls: MakeRustlsConnect,
}

/// A connection that gives its messages to whoever polls it.
type Listening = Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Writes that are acknowledged.
    Write,
    /// Writes that can be made again, into views that nobody sees yet.
    Fill,
    /// Reads.
    Read,
}

impl Server {
    /// Reads a URL. Beyond what libpq's `sslmode` means to the client library, `verify-ca` and `verify-full` are
    /// taken as `require`, which verifies as they do, and `sslrootcert` names a file of certificates to trust
    /// instead of the system's. Over a socket of this machine there is no TLS unless it is asked for.
    pub(super) fn at(url: &str) -> Result<Self, StoreError> {
        let (url, root_file) = without_root_file(url);
        let url = url.replace("sslmode=verify-full", "sslmode=require");
        let url = url.replace("sslmode=verify-ca", "sslmode=require");
        let mut config: Config = url.parse().map_err(|error| unavailable(&error))?;
        let local = config.get_hosts().iter().all(is_local);
        if local && config.get_ssl_mode() == SslMode::Prefer {
            config.ssl_mode(SslMode::Disable);
        }
        config.connect_timeout(WAIT).keepalives(true).keepalives_idle(KEEPALIVE);
        config.tcp_user_timeout(UNACKNOWLEDGED);
        let roots = if config.get_ssl_mode() == SslMode::Disable {
            RootCertStore::empty()
        } else {
            roots(root_file.as_deref())?
        };
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| unavailable(&error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { config, tls: MakeRustlsConnect::new(tls) })
    }

    /// Connections that only read one schema, made as they are needed.
    pub(super) fn readers(&self, schema: &str) -> Result<Pool, StoreError> {
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let config = self.config(schema, Purpose::Read);
        Pool::builder(Manager::from_config(config, self.tls.clone(), recycling))
            .max_size(READERS_MAX)
            .runtime(Runtime::Tokio1)
            .timeouts(deadpool_postgres::Timeouts {
                wait: Some(WAIT),
                create: Some(WAIT),
                recycle: Some(WAIT),
            })
            .build()
            .map_err(|error| unavailable(&error))
    }

    /// One connection. It ends when the client is dropped, and whatever it had begun is undone.
    pub(super) async fn connect(
        &self,
        schema: &str,
        purpose: Purpose,
    ) -> Result<Client, StoreError> {
        let (client, connection) = self.config(schema, purpose).connect(self.tls.clone()).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                debug!(%error, "a connection to the views ended");
            }
        });
        Ok(client)
    }

    /// A connection whose messages the caller reads.
    pub(super) async fn listen(&self) -> Result<(Client, Listening), StoreError> {
        Ok(self.config("public", Purpose::Read).connect(self.tls.clone()).await?)
    }

    fn config(&self, schema: &str, purpose: Purpose) -> Config {
        let mut config = self.config.clone();
        let mut options = config.get_options().unwrap_or_default().to_owned();
        let settings = [
            ("search_path", schema),
            ("statement_timeout", if purpose == Purpose::Read { STATEMENT_TIMEOUT } else { "0" }),
            ("idle_in_transaction_session_timeout", IDLE_TIMEOUT),
            ("synchronous_commit", if purpose == Purpose::Fill { "off" } else { "on" }),
        ];
        for (name, value) in settings.iter().chain(PLANNING) {
            options.push_str(&format!(" -c {name}={value}"));
        }
        config.options(options.trim_start().to_owned());
        if config.get_application_name().is_none() {
            config.application_name("cairn");
        }
        config
    }
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name == "localhost"
                || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

/// Takes `sslrootcert=<file>` out of a URL's query: the client library does not know it.
fn without_root_file(url: &str) -> (String, Option<String>) {
    let Some((before, query)) = url.split_once('?') else { return (url.to_owned(), None) };
    let (named, others): (Vec<&str>, Vec<&str>) =
        query.split('&').partition(|pair| pair.starts_with("sslrootcert="));
    let file = named.first().and_then(|pair| pair.split_once('=')).map(|(_, file)| file.to_owned());
    let separator = if others.is_empty() { "" } else { "?" };
    (format!("{before}{separator}{}", others.join("&")), file)
}

fn roots(file: Option<&str>) -> Result<RootCertStore, StoreError> {
    let mut roots = RootCertStore::empty();
    if let Some(file) = file {
        let unreadable = |error: &dyn std::error::Error| StoreError::Unavailable {
            reason: format!("cannot read certificates from {file}: {error}"),
        };
        let certificates =
            CertificateDer::pem_file_iter(file).map_err(|error| unreadable(&error))?;
        for certificate in certificates {
            let certificate = certificate.map_err(|error| unreadable(&error))?;
            roots.add(certificate).map_err(|error| unreadable(&error))?;
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_certificates_is_taken_out_of_the_url() {
        let url = "postgres://a@h/d?sslmode=require&sslrootcert=/etc/ca.pem&connect_timeout=1";
        let (rest, file) = without_root_file(url);
        assert_eq!(rest, "postgres://a@h/d?sslmode=require&connect_timeout=1");
        assert_eq!(file.as_deref(), Some("/etc/ca.pem"));
        assert_eq!(without_root_file("postgres://h/d"), ("postgres://h/d".to_owned(), None));
    }

    #[test]
    fn tls_is_left_out_only_where_nobody_can_listen() {
        let mode = |url| Server::at(url).unwrap().config.get_ssl_mode();
        assert_eq!(mode("postgres://a@127.0.0.1/d"), SslMode::Disable);
        assert_eq!(mode("postgres://a@localhost/d?sslmode=verify-full"), SslMode::Require);
        assert_eq!(mode("postgres://a@db.example.com/d"), SslMode::Prefer);
        let missing = Server::at("postgres://a@h/d?sslmode=require&sslrootcert=/none.pem");
        let reason = missing.err().unwrap().to_string();
        assert!(reason.contains("cannot read certificates from /none.pem"), "{reason}");
    }
}
