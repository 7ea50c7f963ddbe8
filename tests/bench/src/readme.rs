use std::path::Path;

use crate::Result;

/// Replaces what is between `<!-- NAME: begin -->` and `<!-- NAME: end -->` of a page.
pub(crate) fn replace(page: &Path, name: &str, text: &str) -> Result<()> {
    let old = std::fs::read_to_string(page)?;
    let new = replaced(&old, name, text)
        .ok_or_else(|| format!("{} has no markers for {name:?}", page.display()))?;
    std::fs::write(page, new)?;
    Ok(())
}

fn replaced(page: &str, name: &str, text: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- {name}: begin -->\n"), format!("<!-- {name}: end -->"));
    let (before, rest) = page.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n{}\n\n{end}{after}", text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let page = "a\n<!-- x: begin -->\nold\n<!-- x: end -->\nb\n";
        let new = replaced(page, "x", "new\n").expect("has markers");
        assert_eq!(new, "a\n<!-- x: begin -->\n\nnew\n\n<!-- x: end -->\nb\n");
        assert_eq!(replaced(&new, "x", "new").as_deref(), Some(&*new));
        assert_eq!(replaced(page, "y", "new"), None);
    }
}
