//! One version everywhere: in `Cargo.toml`, in the changelog and in the documents.

use std::fs;
use std::path::PathBuf;

use crate::{files, read, root};

fn documents() -> Vec<PathBuf> {
    let own = ["README.md", "CONTRIBUTING.md"].map(|name| root().join(name));
    own.into_iter().chain(files("docs")).filter(|path| path.is_file()).collect()
}

/// The newest section of the changelog has the version of the sources, and the documents name no other version as the
/// current one.
#[test]
fn the_documents_have_the_version_of_the_sources() {
    let version = env!("CARGO_PKG_VERSION");
    let changelog = read("CHANGELOG.md");
    let newest = changelog.lines().find_map(|line| line.strip_prefix("## "));
    assert_eq!(newest, Some(version));
    let section = changelog.split("\n## ").nth(1).unwrap();
    assert!(section.contains("\n### Upgrade\n"), "{section}");
    let mut seen = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for start in ["configured version=", "zonegate:", "zonegate_", "zonegate-"] {
            for after in text.split(start).skip(1) {
                let is_version = |end: &char| end.is_ascii_digit() || *end == '.';
                let found: String = after.chars().take_while(is_version).collect();
                let found = found.trim_end_matches('.');
                if found.matches('.').count() == 2 {
                    assert_eq!(found, version, "{}: {start}{found}", document.display());
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 0);
}
