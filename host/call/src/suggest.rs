//! What somebody who wrote a name that does not exist most likely meant.

/// The candidate that `name` was most likely meant to be, if one is near enough.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // One mistake in three letters; "up" is not a misspelt "h2".
    let allowed = (name.chars().count() / 3).max(1);
    let near = candidates.into_iter().map(|candidate| (distance(name, candidate), candidate));
    near.filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, near)| near)
}

/// The optimal string alignment distance: letters to insert, delete, replace, or swap with their neighbour
/// (Damerau 1964), so that `lisetn` is one step from `listen`. `-` and `_` count as the same letter.
fn distance(a: &str, b: &str) -> usize {
    let letters = |text: &str| -> Vec<char> {
        text.chars().map(|char| if char == '-' { '_' } else { char.to_ascii_lowercase() }).collect()
    };
    let (a, b) = (letters(a), letters(b));
    // Names longer than any key of ours are not worth a quadratic table.
    if a.len() > 64 || b.len() > 64 {
        return usize::MAX;
    }
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_fingers_is_one_step() {
        for (slip, meant) in [("lisetn", "listen"), ("listn", "listen"), ("header-bytes", "header_bytes")] {
            assert!(distance(slip, meant) <= 1, "{slip}");
        }
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn only_what_is_near_is_suggested() {
        assert_eq!(nearest("nots", ["hello", "notes"]), Some("notes"));
        assert_eq!(nearest("zebra", ["hello", "notes"]), None);
        assert_eq!(nearest(&"x".repeat(1000), ["notes"]), None);
    }
}
