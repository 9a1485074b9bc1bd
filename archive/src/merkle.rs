//! A Merkle tree over the log, as RFC 6962 builds it: leaf `n` is the hash of the commit at position `n + 1`.
//!
//! `leaf = SHA-256(0x00 ‖ commit hash)`, `node = SHA-256(0x01 ‖ left ‖ right)`; the left child of a tree of `n` leaves
//! is the largest full tree with fewer than `n`. The tree only grows: its left edge never changes, so [`Peaks`] (at
//! most 64 hashes) are all that is needed to go on.

use domain::commit::Hash;

/// The leaf of a commit.
#[must_use]
pub fn leaf(commit: &Hash) -> Hash {
    let mut bytes = [0_u8; 33];
    let (tag, rest) = bytes.split_at_mut(1);
    tag.fill(0);
    rest.copy_from_slice(commit.as_bytes());
    Hash::of(&bytes)
}

fn node(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [1_u8; 65];
    let (_, rest) = bytes.split_at_mut(1);
    let (first, second) = rest.split_at_mut(32);
    first.copy_from_slice(left.as_bytes());
    second.copy_from_slice(right.as_bytes());
    Hash::of(&bytes)
}

/// How many leaves the left child of a tree of `size` > 1 leaves has.
fn left_of(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

/// The roots of the full trees that a tree is made of, the largest first: enough to add leaves and to know the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peaks {
    size: u64,
    nodes: Vec<Hash>,
}

impl Peaks {
    /// Takes up a tree where it was left. There are as many peaks as the size has binary ones.
    #[must_use]
    pub fn new(size: u64, nodes: Vec<Hash>) -> Option<Self> {
        (nodes.len() == size.count_ones() as usize).then_some(Self { size, nodes })
    }

    /// How many leaves there are.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the full trees, the largest first.
    #[must_use]
    pub fn nodes(&self) -> &[Hash] {
        &self.nodes
    }

    /// Adds a leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut tree = leaf;
        let mut full = self.size;
        while full & 1 == 1 {
            let Some(left) = self.nodes.pop() else { break };
            tree = node(&left, &tree);
            full >>= 1;
        }
        self.nodes.push(tree);
        self.size += 1;
    }

    /// The root of the whole tree; of an empty one, the hash of nothing.
    #[must_use]
    pub fn root(&self) -> Hash {
        fold(&self.nodes)
    }
}

fn fold(peaks: &[Hash]) -> Hash {
    let mut peaks = peaks.iter().rev();
    let Some(&last) = peaks.next() else { return Hash::of(b"") };
    peaks.fold(last, |right, left| node(left, &right))
}

/// The part of a tree that proofs are made from: the peaks of what is before, and every leaf since.
#[derive(Clone, Debug)]
pub struct Grove {
    before: Peaks,
    leaves: Vec<Hash>,
}

impl Grove {
    /// Begins after so many leaves.
    #[must_use]
    pub const fn new(before: Peaks) -> Self {
        Self { before, leaves: Vec::new() }
    }

    /// Adds a leaf.
    pub fn push(&mut self, leaf: Hash) {
        self.leaves.push(leaf);
    }

    /// How many leaves the tree has by now.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.before.size + self.leaves.len() as u64
    }

    /// What lets somebody who has the `selected` leaves (ascending) compute the root of the first `size`.
    #[must_use]
    pub fn prove_leaves(&self, size: u64, selected: &[u64]) -> Option<Vec<Hash>> {
        let mut proof = Vec::new();
        self.cover_leaves(0, size, selected, &mut proof)?;
        Some(proof)
    }

    /// What shows that the first `earlier` leaves of the tree of `size` are a tree of their own.
    #[must_use]
    pub fn prove_growth(&self, earlier: u64, size: u64) -> Option<Vec<Hash>> {
        let mut proof = Vec::new();
        self.cover_growth(0, size, earlier, &mut proof)?;
        Some(proof)
    }

    fn cover_leaves(
        &self,
        low: u64,
        high: u64,
        selected: &[u64],
        into: &mut Vec<Hash>,
    ) -> Option<()> {
        if selected.is_empty() {
            into.push(self.node(low, high)?);
        } else if high - low > 1 {
            let middle = low + left_of(high - low);
            let (left, right) = parted(selected, middle);
            self.cover_leaves(low, middle, left, into)?;
            self.cover_leaves(middle, high, right, into)?;
        }
        Some(())
    }

    fn cover_growth(&self, low: u64, high: u64, edge: u64, into: &mut Vec<Hash>) -> Option<()> {
        if high <= edge || low >= edge {
            into.push(self.node(low, high)?);
            return Some(());
        }
        let middle = low + left_of(high - low);
        self.cover_growth(low, middle, edge, into)?;
        self.cover_growth(middle, high, edge, into)
    }

    /// The root of the leaves from `low` to before `high`, a subtree of the whole.
    fn node(&self, low: u64, high: u64) -> Option<Hash> {
        if high <= self.before.size {
            return self.peak(low, high);
        }
        if high - low == 1 {
            let index = usize::try_from(low.checked_sub(self.before.size)?).ok()?;
            return self.leaves.get(index).copied();
        }
        let middle = low + left_of(high - low);
        Some(node(&self.node(low, middle)?, &self.node(middle, high)?))
    }

    fn peak(&self, low: u64, high: u64) -> Option<Hash> {
        let mut start = 0;
        for (index, peak) in self.before.nodes.iter().enumerate() {
            let rest = self.before.size - start;
            let size = 1 << rest.ilog2();
            if (start, start + size) == (low, high) {
                return self.before.nodes.get(index).map(|_| *peak);
            }
            start += size;
        }
        None
    }
}

fn parted(selected: &[u64], middle: u64) -> (&[u64], &[u64]) {
    selected.split_at(selected.partition_point(|&index| index < middle))
}

/// The root of a tree of `size`, from some of its leaves (ascending, by index) and a proof of the rest. None when the
/// proof does not fit.
#[must_use]
pub fn root_of_leaves(size: u64, leaves: &[(u64, Hash)], proof: &[Hash]) -> Option<Hash> {
    if leaves.last().is_none_or(|(index, _)| *index >= size) {
        return None;
    }
    let mut proof = proof.iter();
    let root = meet_leaves(0, size, leaves, &mut proof)?;
    proof.next().is_none().then_some(root)
}

fn meet_leaves(
    low: u64,
    high: u64,
    leaves: &[(u64, Hash)],
    proof: &mut std::slice::Iter<'_, Hash>,
) -> Option<Hash> {
    if leaves.is_empty() {
        return proof.next().copied();
    }
    if high - low == 1 {
        let [(index, leaf)] = leaves else { return None };
        return (*index == low).then_some(*leaf);
    }
    let middle = low + left_of(high - low);
    let (left, right) = leaves.split_at(leaves.partition_point(|(index, _)| *index < middle));
    let left = meet_leaves(low, middle, left, proof)?;
    let right = meet_leaves(middle, high, right, proof)?;
    Some(node(&left, &right))
}

/// The roots of the first `earlier` leaves and of all `size`, from a proof of growth. None when the proof does not
/// fit.
#[must_use]
pub fn roots_of_growth(earlier: u64, size: u64, proof: &[Hash]) -> Option<(Hash, Hash)> {
    if earlier == 0 || earlier > size {
        return None;
    }
    let (mut proof, mut within) = (proof.iter(), Vec::new());
    let root = meet_growth(0, size, earlier, &mut proof, &mut within)?;
    proof.next().is_none().then(|| (fold(&within), root))
}

fn meet_growth(
    low: u64,
    high: u64,
    edge: u64,
    proof: &mut std::slice::Iter<'_, Hash>,
    within: &mut Vec<Hash>,
) -> Option<Hash> {
    if high <= edge || low >= edge {
        let subtree = proof.next().copied()?;
        if high <= edge {
            within.push(subtree);
        }
        return Some(subtree);
    }
    let middle = low + left_of(high - low);
    let left = meet_growth(low, middle, edge, proof, within)?;
    let right = meet_growth(middle, high, edge, proof, within)?;
    Some(node(&left, &right))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: u64) -> Hash {
        Hash::of(&number.to_be_bytes())
    }

    fn peaks(size: u64) -> Peaks {
        let mut peaks = Peaks::default();
        (0..size).for_each(|n| peaks.push(leaf(&hash(n))));
        peaks
    }

    /// The definition of RFC 6962, section 2.1, word for word.
    fn defined(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Hash::of(b""),
            [only] => leaf(only),
            more => {
                let (left, right) = more.split_at(left_of(more.len() as u64) as usize);
                node(&defined(left), &defined(right))
            }
        }
    }

    fn grove(before: u64, size: u64) -> Grove {
        let mut grove = Grove::new(peaks(before));
        (before..size).for_each(|n| grove.push(leaf(&hash(n))));
        grove
    }

    #[test]
    fn the_root_is_that_of_rfc_6962() {
        for size in 0..70 {
            let leaves: Vec<_> = (0..size).map(hash).collect();
            assert_eq!(peaks(size).root(), defined(&leaves), "{size}");
        }
        // RFC 6962 test data of the reference implementation: the empty tree, and the leaf of nothing has a tag.
        assert!(peaks(0).root().to_hex().starts_with("e3b0c442"));
    }

    #[test]
    fn any_selection_leads_to_the_root_and_no_other_leaf_does() {
        for size in 1..33_u64 {
            let root = peaks(size).root();
            for before in 0..size {
                let grove = grove(before, size);
                for (from, to, step) in [(before, size, 1), (before, size, 3), (size - 1, size, 1)]
                {
                    let selected: Vec<u64> = (from..to).step_by(step).collect();
                    let proof = grove.prove_leaves(size, &selected).unwrap();
                    let mut leaves: Vec<_> =
                        selected.iter().map(|&n| (n, leaf(&hash(n)))).collect();
                    assert_eq!(root_of_leaves(size, &leaves, &proof), Some(root));
                    let last = leaves.last_mut().unwrap();
                    last.1 = leaf(&hash(99));
                    assert_ne!(root_of_leaves(size, &leaves, &proof), Some(root));
                    let more = [proof.as_slice(), &[hash(1)]].concat();
                    assert_eq!(root_of_leaves(size, &leaves, &more), None);
                }
            }
        }
    }

    #[test]
    fn growth_shows_both_roots() {
        for size in 1..40_u64 {
            for earlier in 1..=size {
                let proof = grove(earlier / 2, size).prove_growth(earlier, size).unwrap();
                let roots = roots_of_growth(earlier, size, &proof);
                assert_eq!(roots, Some((peaks(earlier).root(), peaks(size).root())));
            }
        }
    }
}
