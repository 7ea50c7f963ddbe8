//! A bounded cache.

use std::collections::HashMap;

/// Keeps what was used lately, in two generations: when the young one is full it becomes the old one, and what was in the
/// old one and not used since is gone. All of it weighs at most twice `weight_max`.
pub(crate) struct Cache<V> {
    young: HashMap<String, (V, usize)>,
    old: HashMap<String, (V, usize)>,
    weight: usize,
    weight_max: usize,
}

impl<V: Clone> Cache<V> {
    pub(crate) fn new(weight_max: usize) -> Self {
        Cache { young: HashMap::new(), old: HashMap::new(), weight: 0, weight_max }
    }

    pub(crate) fn get(&mut self, key: &str) -> Option<V> {
        if let Some((value, _)) = self.young.get(key) {
            return Some(value.clone());
        }
        let (key, (value, weight)) = self.old.remove_entry(key)?;
        self.insert(key, value.clone(), weight);
        Some(value)
    }

    /// What weighs more than all that there is room for is not kept.
    pub(crate) fn insert(&mut self, key: String, value: V, weight: usize) {
        if weight > self.weight_max {
            return;
        }
        if self.weight + weight > self.weight_max {
            self.old = std::mem::take(&mut self.young);
            self.weight = 0;
        }
        if let Some((_, replaced)) = self.young.insert(key, (value, weight)) {
            self.weight -= replaced;
        }
        self.weight += weight;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_what_is_not_goes() {
        let mut cache = Cache::new(3);
        for at in 0..100 {
            cache.insert(format!("new {at}"), at, 1);
            cache.insert("used".into(), -1, 1);
            assert_eq!(cache.get("used"), Some(-1));
        }
        assert_eq!(cache.get("new 0"), None);
        assert_eq!(cache.get("new 99"), Some(99));
        assert!(cache.young.len() + cache.old.len() <= 6);
        cache.insert("heavy".into(), 0, 4);
        assert_eq!(cache.get("heavy"), None);
    }
}
