//! Where a request for a chart may go. An application's file names addresses, so none of them is trusted.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use futures::FutureExt as _;
use reqwest::Client;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use url::{Host, Url};

use crate::Error;

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
struct Resolver(Reach);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        async move {
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if let Some(bad) = found.iter().find(|address| !may_be_asked(address.ip(), reach)) {
                return Err(format!("{}, where {} leads", refusal(&bad.ip()), name.as_str()).into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        }
        .boxed()
    }
}

/// A client that goes no further.
pub(super) fn client(
    reach: Reach,
    connect: Duration,
    answer: Duration,
    redirects_max: usize,
) -> Result<Client, Error> {
    let redirects = Policy::custom(move |attempt| {
        if attempt.previous().len() > redirects_max {
            return attempt
                .error(format!("{REFUSED} there: it redirects more than {redirects_max} times"));
        }
        let downgraded = attempt.url().scheme() == "http"
            && attempt.previous().last().is_some_and(|from| from.scheme() == "https");
        match check(attempt.url(), reach) {
            Err(refusal) => attempt.error(refusal),
            Ok(()) if downgraded => {
                attempt.error(format!("{REFUSED} there: it redirects to what is not encrypted"))
            }
            Ok(()) => attempt.follow(),
        }
    });
    Client::builder()
        .no_proxy()
        .dns_resolver(Resolver(reach))
        .redirect(redirects)
        .connect_timeout(connect)
        .timeout(answer)
        .user_agent(concat!("cairn/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| Error::Passing(format!("no charts can be fetched: {error}")))
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
