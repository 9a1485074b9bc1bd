//! Where a request for a chart may go. An application's file names addresses, so none of them is trusted.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::header::{HeaderName, LOCATION, USER_AGENT};
use http::{Request, Response};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client as Legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore};
use url::{Host, Url};

use super::told;
use crate::Error;

/// How long a server may take to be connected to.
const CONNECT: Duration = Duration::from_secs(10);
/// How long one answer may take in all: 16 MB over a slow line.
pub(super) const ANSWER: Duration = Duration::from_secs(120);
/// What a server may send one on to.
const REDIRECTS_MAX: usize = 5;
/// Who asks.
const AGENT: &str = concat!("cairn/", env!("CARGO_PKG_VERSION"));
/// In every refusal.
pub(super) const REFUSED: &str = "charts are not fetched from";
/// Where AWS answers questions about the machine that asks, in IPv6 (EC2: instance metadata).
const METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// How far requests may go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// Public addresses.
    #[default]
    Public,
    /// Private networks and this machine as well.
    Private,
}

/// Whether an address may be asked.
fn may_be_asked(address: IpAddr, reach: Reach) -> bool {
    match address {
        IpAddr::V4(four) => {
            let [first, second, ..] = four.octets();
            let shared = first == 100 && (64..128).contains(&second);
            let odd = first == 0
                || first >= 240
                || (first == 192 && second == 0 && four.octets().get(2) == Some(&0))
                || (first == 198 && (second & 0xfe) == 18);
            let private = four.is_private() || four.is_loopback() || shared;
            !four.is_link_local()
                && !four.is_multicast()
                && !four.is_broadcast()
                && !odd
                && (reach == Reach::Private || !private)
        }
        IpAddr::V6(six) => match embedded(six) {
            Some(four) => may_be_asked(IpAddr::V4(four), reach),
            None => {
                let private = six.is_unique_local() || six.is_loopback();
                !six.is_unicast_link_local()
                    && !six.is_unspecified()
                    && !six.is_multicast()
                    && six != METADATA
                    && (reach == Reach::Private || !private)
            }
        },
    }
}

/// The IPv4 address that one of IPv6 leads to: mapped, compatible, or translated (RFC 6052: 64:ff9b::/96; RFC 3056:
/// 2002::/16).
fn embedded(six: Ipv6Addr) -> Option<std::net::Ipv4Addr> {
    let segments = six.segments();
    let of = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        std::net::Ipv4Addr::new(a, b, c, d)
    };
    match segments {
        [0x2002, high, low, ..] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(of(high, low)),
        [0, 0, 0, 0, 0, 0, high, low] if (high, low) != (0, 0) && (high, low) != (0, 1) => {
            Some(of(high, low))
        }
        _ => six.to_ipv4_mapped(),
    }
}

/// Refuses an address that is written as such, and every scheme but two. Names are judged by what they lead to.
pub(super) fn check(url: &Url, reach: Reach) -> Result<(), String> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("{REFUSED} {url}: only http and https are spoken"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!("{REFUSED} an address with a name or password in it"));
    }
    let address = match url.host() {
        Some(Host::Ipv4(four)) => IpAddr::V4(four),
        Some(Host::Ipv6(six)) => IpAddr::V6(six),
        Some(Host::Domain(_)) => return Ok(()),
        None => return Err(format!("{REFUSED} {url}: it has no host")),
    };
    if may_be_asked(address, reach) { Ok(()) } else { Err(refusal(&address)) }
}

fn refusal(address: &IpAddr) -> String {
    format!(
        "{REFUSED} {address}: private addresses are for mirrors (--charts), or for a server that is started with --charts-private"
    )
}

/// Whether a request does not leave this machine.
pub(super) fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(four)) => four.is_loopback(),
        Some(Host::Ipv6(six)) => six.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Gives the addresses of a name that may be asked. A connection goes to one of them, so a name that leads elsewhere
/// a moment later gains nothing.
async fn resolve(name: Name, reach: Reach) -> Result<std::vec::IntoIter<SocketAddr>, BoxError> {
    let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
    if let Some(bad) = found.iter().find(|address| !may_be_asked(address.ip(), reach)) {
        return Err(format!("{}, where {} leads", refusal(&bad.ip()), name.as_str()).into());
    }
    Ok(found.into_iter())
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A request without a body.
type Ask = Request<Empty<Bytes>>;

/// What sends a request.
type Sender = dyn Fn(Ask) -> BoxFuture<'static, Result<Response<Incoming>, String>> + Send + Sync;

/// A client that goes no further. Nothing of the environment is used: no proxy, no credentials, no cookies.
pub(super) struct Client {
    reach: Reach,
    send: Box<Sender>,
}

impl Client {
    pub(super) fn new(reach: Reach) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let tls =
            tls.map_err(|error| Error::Passing(format!("no charts can be fetched: {error}")))?;
        let tls = tls.with_root_certificates(roots).with_no_client_auth();
        let resolver = tower::service_fn(move |name: Name| resolve(name, reach));
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
        let connector = connector.enable_http1().wrap_connector({
            let mut http = HttpConnector::new_with_resolver(resolver);
            http.enforce_http(false);
            http.set_connect_timeout(Some(CONNECT));
            http
        });
        let client = Legacy::builder(TokioExecutor::new()).build::<_, Empty<Bytes>>(connector);
        let send: Box<Sender> = Box::new(move |request| {
            let sent = client.request(request);
            async move { sent.await.map_err(|error| told(&error)) }.boxed()
        });
        Ok(Self { reach, send })
    }

    /// How far it goes.
    pub(super) const fn reach(&self) -> Reach {
        self.reach
    }

    /// Asks, and follows a few redirects, each of which is checked as the first request was. Headers are for the first
    /// host alone.
    pub(super) async fn get(
        &self,
        url: Url,
        headers: &[(HeaderName, String)],
    ) -> Result<Response<Incoming>, Error> {
        let (mut at, first) = (url.clone(), url);
        for _ in 0..=REDIRECTS_MAX {
            let for_it = if at.origin() == first.origin() { headers } else { &[] };
            let answer = self.once(&at, for_it).await?;
            let location =
                answer.headers().get(LOCATION).filter(|_| answer.status().is_redirection());
            let Some(location) = location.and_then(|to| to.to_str().ok()) else {
                return Ok(answer);
            };
            let next = at.join(location);
            let next = next.map_err(|_| Error::Lasting(format!("{at} redirects to no address")))?;
            if at.scheme() == "https" && next.scheme() == "http" {
                return Err(Error::Lasting(format!(
                    "{REFUSED} {next}: {at} redirects to what is not encrypted"
                )));
            }
            at = next;
        }
        Err(Error::Lasting(format!(
            "{REFUSED} {first}: it redirects more than {REDIRECTS_MAX} times"
        )))
    }

    /// Asks, and takes what is answered.
    pub(super) async fn once(
        &self,
        at: &Url,
        headers: &[(HeaderName, String)],
    ) -> Result<Response<Incoming>, Error> {
        check(at, self.reach).map_err(Error::Lasting)?;
        let mut request = Request::get(at.as_str()).header(USER_AGENT, AGENT);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(Empty::new());
        let request = request.map_err(|error| Error::Lasting(format!("{at}: {error}")))?;
        let answer = tokio::time::timeout(ANSWER, (self.send)(request)).await;
        let answer = answer.map_err(|_| Error::Passing(format!("{at} does not answer")))?;
        answer.map_err(|words| {
            let told = format!("{at}: {words}");
            if words.contains(REFUSED) { Error::Lasting(told) } else { Error::Passing(told) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_public_is_not_asked() {
        for bad in [
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://10.1.2.3/",
            "http://100.64.0.1/",
            "http://169.254.169.254/latest",
            "http://[fe80::1]/",
            "http://[fd00:ec2::254]/",
            "http://[::1]/",
            "http://[::ffff:10.0.0.1]/",
            "http://[64:ff9b::a9fe:a9fe]/",
            "http://[2002:7f00:1::]/",
            "http://0.0.0.0/",
            "http://[::127.0.0.1]/",
            "http://[fd12::1]/",
            "http://192.168.1.1/",
            "http://224.0.0.1/",
            "ftp://example.com/",
            "file:///etc/passwd",
            "http://ada:x@example.com/",
            "http://255.255.255.255/",
        ] {
            assert!(check(&bad.parse().unwrap(), Reach::Public).is_err(), "{bad}");
        }
        for good in ["https://93.184.216.34/", "https://example.com", "https://[2606:2800::1]/"] {
            check(&good.parse().unwrap(), Reach::Public).unwrap();
        }
        let metadata = "http://169.254.169.254/";
        assert!(check(&metadata.parse().unwrap(), Reach::Private).is_err());
        check(&"http://127.0.0.1:8080/".parse().unwrap(), Reach::Private).unwrap();
    }
}
