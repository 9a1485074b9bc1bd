//! Several nats-servers that know each other, through links that can be cut.

use std::sync::Arc;

use serde_json::Value;

use super::{Nats, Options, STARTS_MAX};
use crate::proxy::{Mode, Proxy};
use crate::{Place, Port, until};

/// Servers of one cluster. Dropping it kills them.
#[derive(Debug)]
pub struct Cluster {
    servers: Vec<Nats>,
    links: Vec<Link>,
    _ports: Vec<Port>,
}

/// The way from one server to another, where the cluster can be divided.
#[derive(Debug)]
struct Link {
    from: usize,
    to: usize,
    proxy: Proxy,
}

impl Cluster {
    /// Starts so many servers, and returns when each is ready and all name the same leader.
    #[must_use]
    pub fn start(count: usize, options: &Options) -> Self {
        Self::start_with(count, options, false)
    }

    /// Starts so many servers whose links can be cut by [`Cluster::isolate`]. The links cost a little time.
    #[must_use]
    pub fn start_divisible(count: usize, options: &Options) -> Self {
        Self::start_with(count, options, true)
    }

    fn start_with(count: usize, options: &Options, divisible: bool) -> Self {
        for _ in 0..STARTS_MAX {
            let cluster = Self::new(count, options, divisible);
            cluster.servers.iter().for_each(|server| server.process.start());
            if cluster.servers.iter().all(Nats::becomes_ready) {
                cluster.wait_ready();
                return cluster;
            }
        }
        panic!("a port was taken by somebody else in each of {STARTS_MAX} starts");
    }

    fn new(count: usize, options: &Options, divisible: bool) -> Self {
        let place = Arc::new(Place::new());
        let ports: Vec<Port> = (0..count).map(|_| Port::reserve()).collect();
        // Where nobody listens: servers shall not find ways around the links.
        let nowhere = Port::reserve();
        let mut links = Vec::new();
        let mut servers = Vec::new();
        for from in 0..count {
            let mut routes = String::new();
            for (to, port) in ports.iter().enumerate().filter(|(to, _)| *to != from) {
                let mut number = port.number();
                if divisible {
                    let proxy = Proxy::start(number);
                    number = proxy.port();
                    links.push(Link { from, to, proxy });
                }
                routes += &format!("\"nats://127.0.0.1:{number}\", ");
            }
            let advertise = if divisible {
                format!("advertise: \"127.0.0.1:{}\"", nowhere.number())
            } else {
                String::new()
            };
            let own = ports.get(from).map_or(0, Port::number);
            let section = format!(
                "cluster {{\n  name: cairn\n  listen: \"127.0.0.1:{own}\"\n  no_advertise: true\n  {advertise}\n  \
                 routes: [{routes}]\n}}"
            );
            servers.push(Nats::new(&format!("n{}", from + 1), &place, options, &section));
        }
        let ports = ports.into_iter().chain([nowhere]).collect();
        Self { servers, links, _ports: ports }
    }

    /// The servers.
    #[must_use]
    pub fn servers(&self) -> &[Nats] {
        &self.servers
    }

    /// Where clients connect: all servers, with commas between them.
    #[must_use]
    pub fn url(&self) -> String {
        self.servers.iter().map(Nats::url).collect::<Vec<_>>().join(",")
    }

    /// Waits until every server is ready and all name the same leader.
    pub fn wait_ready(&self) {
        until("the cluster to be ready", || {
            let leaders: Vec<_> = self.servers.iter().map(meta_leader).collect();
            let first = leaders.first()?.as_ref()?;
            let agreed = leaders.iter().all(|leader| leader.as_ref() == Some(first));
            (agreed && self.servers.iter().all(Nats::is_ready)).then_some(())
        });
    }

    /// Which server leads the cluster itself; none while there is none.
    #[must_use]
    pub fn meta_leader(&self) -> Option<usize> {
        let name = self.servers.iter().find_map(meta_leader)?;
        self.named(&name)
    }

    /// Which server leads a JetStream stream; none while there is none.
    #[must_use]
    pub fn leader(&self, stream: &str) -> Option<usize> {
        self.servers.iter().find_map(|server| self.leader_by(server, stream))
    }

    /// Which server leads a JetStream stream by the word of one.
    fn leader_by(&self, server: &Nats, stream: &str) -> Option<usize> {
        let page = server.monitor("/jsz?accounts=true&streams=true")?;
        let accounts = page.get("account_details")?.as_array()?;
        let streams = accounts.iter().filter_map(|account| account.get("stream_detail"));
        let mut streams = streams.filter_map(Value::as_array).flatten();
        let detail = streams.find(|detail| text(detail, "/name") == Some(stream))?;
        self.named(text(detail, "/cluster/leader")?)
    }

    /// Which server leads a JetStream stream; waits until one does.
    #[must_use]
    pub fn wait_leader(&self, stream: &str) -> usize {
        until("a leader of the stream", || self.leader(stream))
    }

    /// Which server leads a JetStream stream by the word of all but one, who may not know that it leads no more;
    /// waits until another does.
    #[must_use]
    pub fn wait_other_leader(&self, stream: &str, than: usize) -> usize {
        until("another leader of the stream", || {
            let others = self.servers.iter().enumerate().filter(|(index, _)| *index != than);
            let mut said = others.filter_map(|(_, server)| self.leader_by(server, stream));
            said.find(|leader| *leader != than)
        })
    }

    /// Parts a server from all others: what they send each other waits, as packets do that are sent again.
    pub fn isolate(&self, server: usize) {
        assert!(!self.links.is_empty(), "only a divisible cluster can be divided");
        self.links_of(server).for_each(|link| link.proxy.set(Mode::Hold));
    }

    /// Lets a server that was parted meet the others again.
    pub fn heal(&self, server: usize) {
        self.links_of(server).for_each(|link| link.proxy.set(Mode::Forward));
    }

    fn links_of(&self, server: usize) -> impl Iterator<Item = &Link> {
        self.links.iter().filter(move |link| link.from == server || link.to == server)
    }

    fn named(&self, name: &str) -> Option<usize> {
        self.servers.iter().position(|server| server.name() == name)
    }
}

fn meta_leader(server: &Nats) -> Option<String> {
    let page = server.monitor("/jsz")?;
    text(&page, "/meta_cluster/leader").map(str::to_owned)
}

fn text<'a>(page: &'a Value, path: &str) -> Option<&'a str> {
    page.pointer(path)?.as_str().filter(|text| !text.is_empty())
}
