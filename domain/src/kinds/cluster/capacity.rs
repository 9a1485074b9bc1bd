//! What the nodes of a cluster have room for in all, as it publishes it.

use std::fmt;

use crate::text::{OutputMap, OutputValue};

/// The output of a cluster that says it, as a [`Capacity`].
pub const CAPACITY: &str = "capacity";

/// The room on nodes that pods can be scheduled on.
///
/// Written as `3 nodes, 330 pods, 12000m cpu, 49152Mi memory`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capacity {
    /// Nodes.
    pub nodes: u64,
    /// Pods that they take.
    pub pods: u64,
    /// Processors, in thousandths of a core.
    pub cpu_millis: u64,
    /// Memory in MiB.
    pub memory_mib: u64,
}

impl Capacity {
    /// What a cluster published; none before it did, and where it does not let us look.
    #[must_use]
    pub fn of(outputs: &OutputMap) -> Option<Self> {
        match outputs.get(CAPACITY)? {
            OutputValue::Plain(text) => Self::read(text),
            OutputValue::Secret(_) => None,
        }
    }

    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split(", ");
        let mut number = |unit: &str| parts.next()?.strip_suffix(unit)?.parse().ok();
        Some(Self {
            nodes: number(" nodes")?,
            pods: number(" pods")?,
            cpu_millis: number("m cpu")?,
            memory_mib: number("Mi memory")?,
        })
    }

    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            nodes: self.nodes.saturating_add(other.nodes),
            pods: self.pods.saturating_add(other.pods),
            cpu_millis: self.cpu_millis.saturating_add(other.cpu_millis),
            memory_mib: self.memory_mib.saturating_add(other.memory_mib),
        }
    }
}

impl fmt::Display for Capacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { nodes, pods, cpu_millis, memory_mib } = self;
        write!(f, "{nodes} nodes, {pods} pods, {cpu_millis}m cpu, {memory_mib}Mi memory")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_is_read_as_it_was_written() {
        let node = Capacity { nodes: 1, pods: 110, cpu_millis: 3_920, memory_mib: 15_000 };
        let all = node.and(node);
        assert_eq!(all.to_string(), "2 nodes, 220 pods, 7840m cpu, 30000Mi memory");
        let published = |text: &str| OutputMap::from([(CAPACITY.to_owned(), OutputValue::plain(text))]);
        assert_eq!(Capacity::of(&published(&all.to_string())), Some(all));
        for other in ["", "many", "2 nodes", "2 nodes, -1 pods, 1m cpu, 1Mi memory"] {
            assert_eq!(Capacity::of(&published(other)), None, "{other}");
        }
        assert_eq!(Capacity::of(&OutputMap::new()), None);
    }
}
