//! The commands of `docs/global-kds.md` that install files, run in another folder. `make test-kuma` runs the commands
//! that ask a control plane.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Runs the first block of commands after a line of the page, with another folder in place of `/etc/zonegate`.
fn run_block_after(line: &str, folder: &Path) {
    let page = fs::read_to_string(format!("{ROOT}/docs/global-kds.md")).unwrap();
    let (_, after) = page.split_once(line).unwrap_or_else(|| panic!("the page has no {line:?}"));
    let block = after.split("```\n").nth(1).unwrap();
    let etc = folder.join("etc");
    let commands = block
        .replace("make wasm\n", "")
        .replace("sudo ", "")
        .replace(" -o envoy", "")
        .replace("/etc/zonegate", etc.to_str().unwrap());
    let mut shell = Command::new("sh");
    let output = shell.args(["-euc", &commands]).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{commands}{output:?}");
}

/// A checkout after `make wasm`, with the files that users provide.
fn checkout() -> TempDir {
    let dir = TempDir::new().unwrap();
    symlink(format!("{ROOT}/envoy"), dir.path().join("envoy")).unwrap();
    fs::create_dir(dir.path().join("target")).unwrap();
    for (name, text) in
        [("target/zonegate.wasm", "module"), ("ca.pem", "CA"), ("east.token", "token\n")]
    {
        fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn yaml(path: &Path) -> Value {
    serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn the_gateway_of_a_global_control_plane_is_the_shipped_one_at_another_port() {
    const LISTENER: &str = "/static_resources/listeners/0/address/socket_address/port_value";
    const CLUSTER: &str = "/static_resources/clusters/0/load_assignment/endpoints/0/lb_endpoints/0/endpoint\
                           /address/socket_address/port_value";
    let dir = checkout();
    run_block_after("**Make the files of the gateway**", dir.path());
    let made = yaml(&dir.path().join("etc/gateway.yaml"));
    let mut shipped = yaml(&Path::new(ROOT).join("envoy/gateway.yaml"));
    for place in [LISTENER, CLUSTER] {
        assert_eq!(shipped.pointer(place), Some(&json!(5678)));
        *shipped.pointer_mut(place).unwrap() = json!(5685);
    }
    assert_eq!(made, shipped);
    assert!(dir.path().join("etc/zonegate.wasm").exists());
    assert!(dir.path().join("etc/ecds").is_dir());
    let text = fs::read_to_string(dir.path().join("etc/gateway.yaml")).unwrap();
    let named: Vec<&str> = text.split("/etc/zonegate/sds/").skip(1).collect();
    assert_eq!(named.len(), 2);
    for rest in named {
        let name = rest.split([' ', '\n']).next().unwrap();
        assert!(dir.path().join("etc/sds").join(name).exists(), "{name}");
    }
}

/// Every file that the Envoy beside a zone reads exists, and only its owner can read the token.
#[test]
fn the_side_of_a_zone_finds_its_files() {
    use std::os::unix::fs::PermissionsExt;
    let dir = checkout();
    run_block_after("**Give the zone its side**", dir.path());
    let etc = dir.path().join("etc");
    let mut named = 0;
    for name in ["zone-side.yaml", "zone-token.yaml"] {
        let text = fs::read_to_string(etc.join(name)).unwrap();
        let code = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        for path in code.filter_map(|line| line.split_once("/etc/zonegate/")) {
            let path = path.1.trim_end_matches([' ', '}']);
            assert!(etc.join(path).exists(), "{name} names {path}");
            named += 1;
        }
    }
    assert_eq!(named, 4, "the secret, its folder, the CA; the token");
    assert_eq!(fs::read_to_string(etc.join("zone-token/token")).unwrap(), "token\n");
    let mode = |path: &str| fs::metadata(etc.join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("zone-token/token"), mode("zone-token")), (0o600, 0o700));
    let side = fs::read_to_string(etc.join("zone-side.yaml")).unwrap();
    assert_eq!(side.matches("SET: ").count(), 3);
    assert!(side.contains("the three values marked SET"));
}
