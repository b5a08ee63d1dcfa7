//! The running module is replaced by another, as in an upgrade: Envoy makes a new VM for it, and the old VM stays as
//! long as its streams.
//!
//! The other module is the same code with an added custom section.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use zonegate_testkit::gateway::Form;

use crate::form::{FilterOnly, WasmOnly, faulty_module, form, module};
use crate::harness::{Bench, LIMIT, Setup};
use crate::open_stream::{Sotw, goes_on, is_cut, open};

const OPEN: &str = "zonegate.streams.open";

/// The module under test, with a custom section of this name at its end.
fn wasm(name: &str) -> Vec<u8> {
    let length = u8::try_from(name.len()).unwrap();
    assert!(length < 0x7f, "a byte each for the lengths");
    let section = [&[0, length + 1, length], name.as_bytes()].concat();
    [fs::read(module()).unwrap(), section].concat()
}

/// Writes a module that Envoy treats as another one: Envoy identifies a library by its file.
pub(crate) fn write(folder: &Path, name: &str) -> PathBuf {
    let (path, bytes) = match form() {
        Form::Wasm => (folder.join(format!("{name}.wasm")), wasm(name)),
        Form::Native => (folder.join(format!("{name}.so")), fs::read(module()).unwrap()),
        Form::Service => panic!("a service is no module"),
    };
    fs::write(&path, bytes).unwrap();
    path
}

/// Writes a module that is built in another way, and so is another one for itself, too: the one with injected faults, of
/// which a test that names none sees nothing.
pub(crate) fn write_rebuilt(folder: &Path) -> PathBuf {
    match form() {
        Form::Wasm => faulty_module(),
        _ => write(folder, "rebuilt"),
    }
}

/// How the module is replaced.
#[derive(Debug, Clone, Copy)]
enum Swap {
    /// The configuration names another file.
    OtherFile,
    /// The file has another content.
    SameFile,
}

/// A gateway whose module was replaced, with two streams on each worker that began before.
struct Swapped {
    setup: Setup,
    revoked: Vec<Sotw>,
    kept: Vec<Sotw>,
}

const WORKERS: usize = 2;

async fn before(swap: Swap) -> (Swapped, PathBuf) {
    let mut bench = Bench::text().workers(WORKERS as u32);
    let folder = bench.scratch().to_owned();
    bench.options.module = write(&folder, "first");
    let place = bench.options.module.clone();
    let mut setup = bench.start().await;
    let (mut revoked, mut kept) = (Vec::new(), Vec::new());
    for _ in 0..WORKERS {
        let connection = setup.connect().await;
        revoked.push(open(&connection, &setup.token_of("id-1")).await);
        kept.push(open(&connection, &setup.token_of("id-2")).await);
    }
    assert_eq!(setup.connections_by_worker().await.into_values().collect::<Vec<_>>(), [1, 1]);
    setup.gateway.wait_stat(OPEN, 2 * WORKERS as u64, LIMIT).await.unwrap();
    let second = write(&folder, "second");
    match swap {
        Swap::OtherFile => setup.gateway.use_module(&second).unwrap(),
        Swap::SameFile => fs::rename(&second, &place).unwrap(),
    }
    (Swapped { setup, revoked, kept }, place)
}

impl Swapped {
    /// Asserts that the streams of the old module are open, and counted.
    async fn assert_open(&mut self) {
        self.setup.control_plane.push();
        for stream in self.revoked.iter_mut().chain(&mut self.kept) {
            assert!(goes_on(stream).await);
        }
        self.setup.gateway.wait_stat(OPEN, 2 * WORKERS as u64, LIMIT).await.unwrap();
    }

    /// Asserts that only the revoked streams of the old module are cut.
    async fn assert_cut(mut self) {
        let setup = &self.setup;
        for stream in &mut self.revoked {
            assert!(is_cut(stream).await, "a stream of the old module is not cut");
        }
        let cut = "zonegate.streams.cut.revoked";
        setup.gateway.wait_stat(cut, WORKERS as u64, LIMIT).await.unwrap();
        setup.gateway.wait_stat(OPEN, WORKERS as u64, LIMIT).await.unwrap();
        setup.control_plane.push();
        for stream in &mut self.kept {
            assert!(goes_on(stream).await);
        }
        drop(self.kept);
        setup.gateway.wait_stat(OPEN, 0, LIMIT).await.unwrap();
    }
}

#[tokio::test]
async fn after_an_upgrade_a_revocation_cuts_the_streams_that_were_open() {
    if FilterOnly::Module.is_left_out() {
        return;
    }
    for swap in [Swap::OtherFile, Swap::SameFile] {
        if matches!(swap, Swap::SameFile) && WasmOnly::SameFile.is_left_out() {
            continue;
        }
        println!("{swap:?}");
        let (mut swapped, _) = before(swap).await;
        let setup = &swapped.setup;
        setup.push_with(json!({ "revocations": ["other"] })).await;
        let connection = setup.connect().await;
        setup.refused_as(&connection, &setup.witness("other"), "revoked").await;
        swapped.assert_open().await;
        swapped.setup.push_with(json!({ "revocations": ["id-1"] })).await;
        swapped.assert_cut().await;
    }
}

/// One push does both.
#[tokio::test]
async fn an_upgrade_that_revokes_cuts_the_streams_that_were_open() {
    if FilterOnly::Module.is_left_out() {
        return;
    }
    let (swapped, _) = before(Swap::OtherFile).await;
    swapped.setup.push_with(json!({ "revocations": ["id-1"] })).await;
    swapped.assert_cut().await;
}

/// The old module comes back while its VM still exists.
#[tokio::test]
async fn a_module_that_comes_back_is_told_what_was_revoked_meanwhile() {
    if FilterOnly::Module.is_left_out() {
        return;
    }
    let (mut swapped, first) = before(Swap::OtherFile).await;
    let setup = &swapped.setup;
    setup.push_with(json!({ "revocations": ["other"] })).await;
    let connection = setup.connect().await;
    setup.refused_as(&connection, &setup.witness("other"), "revoked").await;
    let mut second = open(&connection, &setup.token_of("id-3")).await;
    swapped.setup.gateway.use_module(&first).unwrap();
    swapped.setup.push_with(json!({ "revocations": ["id-1", "id-3"] })).await;
    assert!(is_cut(&mut second).await, "a stream of the module in between is not cut");
    for stream in &mut swapped.revoked {
        assert!(is_cut(stream).await, "a stream of the first module is not cut");
    }
    swapped.setup.control_plane.push();
    for stream in &mut swapped.kept {
        assert!(goes_on(stream).await);
    }
    swapped.setup.gateway.wait_stat(OPEN, WORKERS as u64, LIMIT).await.unwrap();
}
