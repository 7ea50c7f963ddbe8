//! `tests/components/zoo/README.md` lists every animal, and says of each what its file says.

use std::fmt::Write;
use std::fs;

use super::animal::Animal;
use super::folder;

/// What comes after it is generated.
const MARK: &str = "<!-- animals -->\n";

#[test]
fn the_page_lists_every_animal() {
    let path = folder().join("README.md");
    let page = fs::read_to_string(&path).unwrap();
    let (written, _) = page.split_once(MARK).expect("the page has its mark");
    let expected = format!("{written}{MARK}{}", tables(&Animal::all(&folder())));
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, &expected).unwrap();
        return;
    }
    assert_eq!(page, expected, "the page is old; UPDATE_EXPECT=1 cargo test zoo rewrites it");
}

#[test]
fn there_are_at_least_sixty_animals_and_each_has_a_name_of_its_own() {
    let animals = Animal::all(&folder());
    let mut names: Vec<&str> = animals.iter().map(|animal| &*animal.name).collect();
    names.sort_unstable();
    names.dedup();
    assert!(names.len() >= 60 && names.len() == animals.len(), "{} of {}", names.len(), animals.len());
}

fn tables(animals: &[Animal]) -> String {
    let mut text = String::new();
    for group in animals.chunk_by(|a, b| a.group == b.group) {
        let _ = write!(
            text,
            "\n## {}\n\n| animal | attacks | what must come of it |\n|---|---|---|\n",
            group[0].group
        );
        for animal in group {
            let _ = writeln!(text, "| `{}` | {} | {} |", animal.name, animal.attacks, animal.expectation());
        }
    }
    text
}
