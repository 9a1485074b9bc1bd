//! Who should hold what: functions of names, the same in every process and every version of Cairn.
//!
//! Written out, as replicas of different builds must agree: the hash of a library may change.

use uuid::Uuid;

use super::Partition;

/// FNV-1a, 64 bits.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The last step of SplitMix64: every bit depends on every bit.
fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// One of so many parts.
pub(super) fn part(name: &str, parts: u8) -> u8 {
    let part = mix(fnv(name.as_bytes())) % u64::from(parts.max(1));
    u8::try_from(part).unwrap_or_default()
}

/// Rendezvous: whoever has the highest weight. A member that comes or goes moves only what it gets or had.
pub(super) fn owner(partition: Partition, members: impl Iterator<Item = Uuid>) -> Option<Uuid> {
    let weight = |member: &Uuid| {
        let (high, low) = member.as_u64_pair();
        mix(mix(high ^ mix(low)) ^ u64::from(partition.0))
    };
    members.max_by_key(|member| (weight(member), *member))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::leases::PARTITIONS;

    #[test]
    fn the_part_of_a_stream_is_the_same_for_ever() {
        assert_eq!(part("ev.acme.bucket.files", PARTITIONS), 16);
        assert_eq!(part("ev.acme.deployment.dev_shop", PARTITIONS), 7);
    }

    #[test]
    fn the_work_is_spread() {
        let mut counts = BTreeMap::new();
        for number in 0..64_000 {
            let name = format!("ev.acme.bucket.n{number}");
            *counts.entry(part(&name, PARTITIONS)).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), usize::from(PARTITIONS));
        assert!(counts.values().all(|count| (850..1_150).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_member_that_goes_moves_only_what_it_had() {
        let members: Vec<Uuid> = (0..5).map(|n| Uuid::from_u64_pair(n, 7)).collect();
        let gone = members[2];
        for partition in Partition::all() {
            let before = owner(partition, members.iter().copied());
            let after = owner(partition, members.iter().copied().filter(|member| *member != gone));
            assert!(before == Some(gone) || before == after);
        }
    }
}
