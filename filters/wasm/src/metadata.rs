//! Metadata of the module: the custom sections `version`, `description` and `licenses`,
//! each with one text, as `wasm-tools metadata show` and other tools of WebAssembly read them.
//!
//! In: the fields of `Cargo.toml`. Out: bytes that no code reads. The commit is not among them: equal sources
//! give equal modules.

#![allow(unsafe_code)]

/// The text as the bytes of a section.
const fn bytes<const LENGTH: usize>(text: &str) -> [u8; LENGTH] {
    match text.as_bytes().first_chunk() {
        Some(bytes) => *bytes,
        None => [0; LENGTH],
    }
}

const VERSION: &str = env!("CARGO_PKG_VERSION");
const DESCRIPTION: &str = env!("CARGO_PKG_DESCRIPTION");
const LICENSES: &str = env!("CARGO_PKG_LICENSE");

// SAFETY: No code reads these bytes, and a custom section does not change how a module works.
#[used]
#[unsafe(link_section = "version")]
static VERSION_SECTION: [u8; VERSION.len()] = bytes(VERSION);
#[used]
#[unsafe(link_section = "description")]
static DESCRIPTION_SECTION: [u8; DESCRIPTION.len()] = bytes(DESCRIPTION);
#[used]
#[unsafe(link_section = "licenses")]
static LICENSES_SECTION: [u8; LICENSES.len()] = bytes(LICENSES);
