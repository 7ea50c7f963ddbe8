use std::rc::Rc;

/// One segment of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    /// `notes`: itself, decoded.
    Fixed(Box<str>),
    /// `{id}`: any one segment.
    Param(Box<str>),
    /// `{*rest}`: all that is left, also nothing.
    Rest(Box<str>),
}

/// Reads a pattern, in the words of the host's manifest. The error says what to write.
pub(super) fn parse(pattern: &str) -> Result<Vec<Segment>, String> {
    let Some(relative) = pattern.strip_prefix('/') else {
        return Err(format!("the pattern \"{pattern}\" must begin with a slash: write \"/{pattern}\""));
    };
    let relative = relative.strip_suffix('/').unwrap_or(relative);
    if relative.is_empty() {
        return Ok(Vec::new());
    }
    let mut segments: Vec<Segment> = Vec::new();
    for part in relative.split('/') {
        if let Some(Segment::Rest(name)) = segments.last() {
            return Err(format!(
                "in \"{pattern}\", \"{{*{name}}}\" takes all that is left, so it must be the last segment"
            ));
        }
        let segment = segment(part).map_err(|what| format!("in \"{pattern}\", {what}"))?;
        let name = name_of(&segment);
        if name.is_some() && segments.iter().any(|earlier| name_of(earlier) == name) {
            return Err(format!("\"{pattern}\" has \"{part}\" twice: rename one of them"));
        }
        segments.push(segment);
    }
    Ok(segments)
}

/// The names of a pattern's parameters, in their order.
pub(super) fn names(segments: &[Segment]) -> Rc<[Box<str>]> {
    segments.iter().filter_map(|segment| name_of(segment).map(Box::from)).collect()
}

fn name_of(segment: &Segment) -> Option<&str> {
    match segment {
        Segment::Fixed(_) => None,
        Segment::Param(name) | Segment::Rest(name) => Some(name),
    }
}

fn segment(part: &str) -> Result<Segment, String> {
    if let Some(inner) = part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
        let rest = inner.strip_prefix('*');
        let name = rest.unwrap_or(inner);
        let valid = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(valid) {
            return Err(format!(
                "\"{part}\" needs a name of letters, digits and underscores, such as {{id}}"
            ));
        }
        return Ok(if rest.is_some() { Segment::Rest(name.into()) } else { Segment::Param(name.into()) });
    }
    match part {
        "" => Err("one slash should stand where there are two".to_owned()),
        "." | ".." => Err(format!("\"{part}\" never matches, since the host resolves it: leave it out")),
        _ if part.contains(['{', '}']) => Err(format!(
            "a parameter is a whole segment, and \"{part}\" is more: take it apart in the function"
        )),
        _ if part.starts_with(':') => Err(format!("write \"{{{}}}\" instead of \"{part}\"", &part[1..])),
        _ if part.contains('*') => Err(format!("write \"{{*rest}}\" instead of \"{part}\"")),
        _ if part.contains(['?', '#']) => Err("the query has no place: take it with Query<T>".to_owned()),
        _ if part.contains('%') => Err(format!("\"{part}\" must be written decoded")),
        _ => Ok(Segment::Fixed(part.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_read_as_the_manifest_reads_them() {
        assert_eq!(parse("/").expect("the root"), []);
        assert_eq!(parse("/notes/").expect("valid"), [Segment::Fixed("notes".into())]);
        assert_eq!(
            parse("/notes/{id}/{*rest}").expect("valid"),
            [Segment::Fixed("notes".into()), Segment::Param("id".into()), Segment::Rest("rest".into())]
        );
    }

    #[test]
    fn a_wrong_pattern_is_answered_with_what_to_write() {
        for (pattern, says) in [
            ("notes", "write \"/notes\""),
            ("", "write \"/\""),
            ("/a//b", "one slash"),
            ("/{}", "such as {id}"),
            ("/{1a}", "such as {id}"),
            ("/v{version}", "a whole segment"),
            ("/:id", "write \"{id}\""),
            ("/*", "{*rest}"),
            ("/{*rest}/b", "must be the last"),
            ("/{a}/{a}", "twice"),
            ("/a?b=c", "Query<T>"),
            ("/a/../b", "leave it out"),
            ("/a%20b", "decoded"),
        ] {
            let error = parse(pattern).expect_err(pattern);
            assert!(error.contains(says), "{pattern}: {error}");
        }
    }
}
