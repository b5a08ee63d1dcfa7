//! Gives the module an identity: a hash of the sources, the versions of the dependencies and the profile, so that the
//! VMs of one module know which configurations of a host another module was given. The same sources give the same
//! module.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = vec![root.join("Cargo.lock")];
    for folder in ["src", "filters/wasm/src"] {
        println!("cargo:rerun-if-changed={}", root.join(folder).display());
        collect(&root.join(folder), &mut files)?;
    }
    files.sort();
    // FNV-1a, which gives the same on every machine and with every compiler.
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut add = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    };
    add(env::var("PROFILE").unwrap_or_default().as_bytes());
    for file in files {
        add(&fs::read(file)?);
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(out.join("identity"), hash.to_le_bytes())?;
    println!("cargo:rerun-if-changed={}", root.join("Cargo.lock").display());
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        match path.is_dir() {
            true => collect(&path, files)?,
            false => files.push(path),
        }
    }
    Ok(())
}
