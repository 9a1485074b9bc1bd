//! Where a cluster's name leads, and where it must not.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use domain::lifecycle::FailureClass;
use reconcilers::CallError;
use url::{Host, Url};

/// Where AWS answers questions about the machine that asks, in IPv6 (EC2: instance metadata).
const METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// The address that a server's name leads to now, to be kept for as long as the client lives.
///
/// # Errors
/// When it leads nowhere, or to what is no cluster: addresses of this link, at which clouds hand out credentials.
pub(super) async fn resolve(server: &Url) -> Result<SocketAddr, CallError> {
    let refused = |class, message: String| CallError { class, message };
    let port = server.port_or_known_default().unwrap_or(443);
    let found: Vec<SocketAddr> = match server.host() {
        Some(Host::Ipv4(address)) => vec![(address, port).into()],
        Some(Host::Ipv6(address)) => vec![(address, port).into()],
        Some(Host::Domain(name)) => tokio::net::lookup_host((name, port))
            .await
            .map_err(|error| {
                refused(FailureClass::Retry, format!("{name} cannot be resolved: {error}"))
            })?
            .collect(),
        None => Vec::new(),
    };
    if let Some(bad) = found.iter().find(|address| !may_be_a_cluster(address.ip())) {
        let message = format!("{server} leads to {}, where no cluster may be", bad.ip());
        return Err(refused(FailureClass::Terminal, message));
    }
    let first = found.first().copied();
    first.ok_or_else(|| refused(FailureClass::Retry, format!("{server} has no address")))
}

/// Whoever runs the server put the kubeconfig there, so private networks and this machine are allowed.
fn may_be_a_cluster(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => {
            !four.is_link_local()
                && !four.is_unspecified()
                && !four.is_multicast()
                && !four.is_broadcast()
        }
        IpAddr::V6(six) => match six.to_ipv4_mapped() {
            Some(four) => may_be_a_cluster(IpAddr::V4(four)),
            None => {
                !six.is_unicast_link_local()
                    && !six.is_unspecified()
                    && !six.is_multicast()
                    && six != METADATA
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_hands_out_credentials_is_no_cluster() {
        for bad in [
            "https://169.254.169.254/",
            "https://[fe80::1]/",
            "https://[fd00:ec2::254]:6443/",
            "https://[::ffff:169.254.169.254]/",
            "https://0.0.0.0/",
            "https://224.0.0.1/",
            "https://0xa9.0xfe.0xa9.0xfe/",
            "https://2852039166/",
        ] {
            let refused = resolve(&bad.parse().unwrap()).await.unwrap_err();
            assert!(refused.message.contains("no cluster may be"), "{bad}: {refused}");
        }
        for good in ["https://127.0.0.1:6443", "https://10.0.0.1", "https://[fd12::1]"] {
            resolve(&good.parse().unwrap()).await.unwrap();
        }
    }
}
