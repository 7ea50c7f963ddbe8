//! A component without the debug information that it brings along.
//!
//! To name the source line of a frame, wasmtime reads the DWARF of its module anew for every frame of a backtrace, on
//! the thread that the guest ran on. What that takes grows with what the component's author has put there: twenty
//! megabytes of it held a thread for seconds with each trap. It is kept only of plugins that are trusted with that.

/// The bytes that a section of a module or a component begins with, and those of modules and components themselves.
const CUSTOM: u8 = 0;
const CORE_MODULE: u8 = 1;
const COMPONENT: u8 = 4;
const PREAMBLE_BYTES: usize = 8;
/// How the names of sections with DWARF begin.
const PREFIX: &[u8] = b".debug_";
/// What their first byte becomes: a custom section may have any name.
const HIDDEN: u8 = b'_';

/// Renames every section with DWARF, so that nothing reads it; all else, and each offset, stays as it is. What cannot
/// be followed is left alone: that is for the compiler to refuse.
pub(super) fn hide(component: &mut [u8]) {
    // Ranges of sections that are still to be looked through, and whether they are those of a component.
    let mut unseen = vec![(PREAMBLE_BYTES, component.len(), true)];
    while let Some((mut at, end, in_component)) = unseen.pop() {
        while let Some(section) = Section::read(component, at, end) {
            at = section.end;
            match section.id {
                CUSTOM => {
                    let name = number(component, section.start, section.end);
                    let name = name.filter(|(_, at)| component[*at..section.end].starts_with(PREFIX));
                    if let Some((_, at)) = name {
                        component[at] = HIDDEN;
                    }
                }
                CORE_MODULE | COMPONENT if in_component => {
                    unseen.push((section.start + PREAMBLE_BYTES, section.end, section.id == COMPONENT));
                }
                _ => {}
            }
        }
    }
}

/// Where the content of a section is.
struct Section {
    id: u8,
    start: usize,
    end: usize,
}

impl Section {
    fn read(bytes: &[u8], at: usize, end: usize) -> Option<Self> {
        let id = *bytes.get(at).filter(|_| at < end)?;
        let (length, start) = number(bytes, at + 1, end)?;
        let after = start.checked_add(length).filter(|after| *after <= end)?;
        Some(Section { id, start, end: after })
    }
}

/// An unsigned LEB128 number of 32 bits that ends before `end`, and where it ends.
fn number(bytes: &[u8], at: usize, end: usize) -> Option<(usize, usize)> {
    let mut value = 0u64;
    for (index, byte) in bytes.get(at..end)?.iter().take(5).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, at + index + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(id: u8, content: &[u8]) -> Vec<u8> {
        // Two bytes for the length, as some tools write it.
        let length = [content.len() as u8 & 0x7f | 0x80, (content.len() >> 7) as u8];
        [&[id], &length[..], content].concat()
    }

    fn custom(name: &str) -> Vec<u8> {
        section(CUSTOM, &[&[name.len() as u8], name.as_bytes(), b"content"].concat())
    }

    /// A component with modules at two depths, whose sections have these names.
    fn component(names: [&str; 4]) -> Vec<u8> {
        let module = |name: &str| [b"\0asm\x01\0\0\0", &*custom("name"), &custom(name)].concat();
        let inner =
            [b"\0asm\x0d\0\x01\0", &*section(CORE_MODULE, &module(names[0])), &custom(names[1])].concat();
        [
            b"\0asm\x0d\0\x01\0",
            &*section(CORE_MODULE, &module(names[2])),
            &section(COMPONENT, &inner),
            // Of another kind, whatever it looks like.
            &section(7, &custom(".debug_info")),
            &custom(names[3]),
        ]
        .concat()
    }

    #[test]
    fn all_of_it_is_hidden_and_nothing_else_changes() {
        let mut with = component([".debug_info", ".debug_line", ".debug_str", ".debug_abbrev"]);
        hide(&mut with);
        assert_eq!(with, component(["_debug_info", "_debug_line", "_debug_str", "_debug_abbrev"]));
        let without = component(["x.debug_info", ".debu", "producers", ""]);
        let mut same = without.clone();
        hide(&mut same);
        assert_eq!(same, without);
    }

    #[test]
    fn what_is_cut_off_or_wrong_is_followed_as_far_as_it_goes() {
        let whole = component([".debug_info", ".debug_line", ".debug_str", ".debug_abbrev"]);
        for length in 0..whole.len() {
            hide(&mut whole[..length].to_vec());
            let mut wrong = whole.clone();
            wrong[length] = 0xff;
            hide(&mut wrong);
        }
    }
}
