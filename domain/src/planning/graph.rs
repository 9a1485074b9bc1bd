//! Orders in which everything comes after what it waits for.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Orders the nodes `0..before.len()`, where `before[n]` must come before `n`; among those that may come next, the
/// lowest first.
///
/// # Errors
/// A cycle: each node waits for the next, the last for the first.
pub(super) fn order(before: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut waiting: Vec<usize> = vec![0; before.len()];
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); before.len()];
    for (node, firsts) in before.iter().enumerate() {
        for first in firsts {
            if let (Some(count), Some(nexts)) = (waiting.get_mut(node), after.get_mut(*first)) {
                *count += 1;
                nexts.push(node);
            }
        }
    }
    let free = waiting.iter().enumerate().filter(|(_, count)| **count == 0);
    let mut ready: BinaryHeap<Reverse<usize>> = free.map(|(node, _)| Reverse(node)).collect();
    let mut order = Vec::with_capacity(before.len());
    while let Some(Reverse(node)) = ready.pop() {
        order.push(node);
        for next in after.get(node).into_iter().flatten() {
            if let Some(count) = waiting.get_mut(*next) {
                *count -= 1;
                if *count == 0 {
                    ready.push(Reverse(*next));
                }
            }
        }
    }
    if order.len() == before.len() { Ok(order) } else { Err(cycle(before, &waiting)) }
}

/// Walks from a node that could not be ordered to one it waits for, until one comes again.
fn cycle(before: &[Vec<usize>], waiting: &[usize]) -> Vec<usize> {
    let stuck = |node: &usize| waiting.get(*node).is_some_and(|count| *count > 0);
    let mut seen = vec![usize::MAX; before.len()];
    let mut path = Vec::new();
    let mut current = (0..before.len()).find(stuck);
    while let Some(node) = current {
        match seen.get_mut(node) {
            Some(at) if *at == usize::MAX => *at = path.len(),
            Some(at) => return path.split_off(*at),
            None => break,
        }
        path.push(node);
        current = before.get(node).into_iter().flatten().copied().find(stuck);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_comes_after_what_it_waits_for() {
        assert_eq!(order(&[vec![2], vec![], vec![1]]), Ok(vec![1, 2, 0]));
        assert_eq!(order(&[]), Ok(vec![]));
    }

    #[test]
    fn a_cycle_is_shown_without_what_leads_to_it() {
        let before = [vec![1], vec![2], vec![3], vec![1], vec![]];
        let cycle = order(&before).unwrap_err();
        assert_eq!(cycle, [1, 2, 3]);
        assert_eq!(order(&[vec![0]]), Err(vec![0]));
    }
}
