//! `zonegate revoke` from outside: the resulting file, also with other writers at the same time. The fixed texts are in
//! `tests/cmd/revoke.trycmd`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may panic

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;
use zonegate_issuer::{SigningKey, spki_pem};

const ECDS: &str = include_str!("cmd/revoke.in/zonegate.yaml");
const TOKEN: &str = include_str!("cmd/revoke.in/good.token");
const BROKEN: &str = include_str!("cmd/revoke.in/no-id.token");

fn revoke(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().unwrap()
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zonegate"));
    command.arg("revoke").args(arguments).current_dir(folder);
    command
}

fn shown(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

/// Each token goes into the list of its kind and mesh, if a key shows which they are.
#[test]
fn a_token_is_revoked_in_the_list_of_its_kind() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("policy.json");
    let (zones, meshes) =
        (SigningKey::generate(2048).unwrap(), SigningKey::generate(2048).unwrap());
    let key = |kid: &str, key: &SigningKey| serde_json::json!({ "kid": kid, "key": spki_pem(&key.public_key()), "mesh": "east" });
    let mut zone_key = key("z", &zones);
    zone_key.as_object_mut().unwrap().remove("mesh");
    let policy = serde_json::json!({
        "publicKeys": [zone_key],
        "dpToken": { "publicKeys": [key("d", &meshes)] },
        "proxies": { "dataplane": "dpToken" },
    });
    fs::write(&file, policy.to_string()).unwrap();
    fs::write(folder.path().join("key.pem"), zones.to_pem().as_bytes()).unwrap();
    fs::write(folder.path().join("mesh.pem"), meshes.to_pem().as_bytes()).unwrap();
    let generate = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zonegate"));
        let fixed = ["--valid-for=1h", "--kid", arguments[1], "--id", arguments[2]];
        command.arg("generate").arg(arguments[0]).args(fixed).args(&arguments[3..]);
        let output = command.current_dir(folder.path()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let zone = generate(&["zone-token", "z", "id-z", "--zone=a", "--signing-key-path=key.pem"]);
    let mesh = ["dataplane-token", "d", "id-d", "--mesh=east", "--signing-key-path=mesh.pem"];
    let east = generate(&mesh);
    let foreign =
        generate(&["dataplane-token", "x", "id-x", "--mesh=east", "--signing-key-path=key.pem"]);

    let output = revoke(folder.path(), &["policy.json", &zone, &east]);
    let said = shown(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("policy.json: 1 id\n"), "{said}");
    assert!(said.contains("policy.json: dpToken.revocations.east: 1 id\n"), "{said}");
    // No key shows the mesh of this token.
    let output = revoke(folder.path(), &["policy.json", &foreign]);
    assert_eq!(output.status.code(), Some(2));
    assert!(shown(&output).contains("\"id-x\": the ID of a dataplane token"), "{}", shown(&output));
    assert!(shown(&output).ends_with("give --mesh\n"), "{}", shown(&output));
    let output = revoke(folder.path(), &["policy.json", &east, "--mesh=west"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        shown(&output)
            .contains("belongs in dpToken.revocations.east, not in dpToken.revocations.west"),
        "{}",
        shown(&output)
    );
    assert!(revoke(folder.path(), &["policy.json", &foreign, "--mesh=west"]).status.success());
    assert!(revoke(folder.path(), &["policy.json", "id-s", "--service-account"]).status.success());
    let text = fs::read_to_string(&file).unwrap();
    let policy: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(policy["revocations"], "id-z");
    let meshes = serde_json::json!({ "east": "id-d", "west": "id-x" });
    assert_eq!(policy["dpToken"]["revocations"], meshes);
    assert_eq!(policy["serviceAccountToken"]["revocations"], "id-s");
}

/// Parallel runs lose no revocation, and no reader sees half a file.
#[test]
fn many_at_once_lose_nothing() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("zonegate.yaml");
    fs::write(&file, ECDS).unwrap();
    let ids: Vec<String> = (0..12).map(|number| format!("new-{number}")).collect();
    let mut children: Vec<_> = ids
        .iter()
        .map(|id| {
            command(folder.path(), &["zonegate.yaml", id])
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    while children.iter_mut().any(|child| child.try_wait().unwrap().is_none()) {
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("# The filter") && text.ends_with("onExpired: keep\n"), "{text}");
    }
    assert!(children.iter_mut().all(|child| child.wait().unwrap().success()));
    let text = fs::read_to_string(&file).unwrap();
    let line = text.lines().find(|line| line.contains(" revocations:")).unwrap();
    let found: BTreeSet<&str> =
        line.split(['"', ',', ' ']).filter(|id| id.starts_with("new-")).collect();
    assert_eq!(found, ids.iter().map(String::as_str).collect());
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
}

#[test]
fn mode_and_symlink_stay_and_a_config_map_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("real.txt"), "id1\n").unwrap();
    fs::set_permissions(path("real.txt"), fs::Permissions::from_mode(0o640)).unwrap();
    symlink("real.txt", path("link.txt")).unwrap();
    assert!(revoke(folder.path(), &["link.txt", "id2"]).status.success());
    assert_eq!(fs::read_to_string(path("real.txt")).unwrap(), "id1,id2\n");
    assert_eq!(fs::metadata(path("real.txt")).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(fs::symlink_metadata(path("link.txt")).unwrap().is_symlink());

    fs::create_dir(path("..2026")).unwrap();
    fs::write(path("..2026/zonegate.yaml"), ECDS).unwrap();
    symlink("..2026", path("..data")).unwrap();
    symlink("..data/zonegate.yaml", path("zonegate.yaml")).unwrap();
    let output = revoke(folder.path(), &["zonegate.yaml", "id3"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(shown(&output).contains("mounted from a ConfigMap or Secret"), "{}", shown(&output));
    assert_eq!(fs::read_to_string(path("zonegate.yaml")).unwrap(), ECDS);
}

#[test]
fn a_dry_run_and_a_failure_write_nothing() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("zonegate.yaml");
    fs::write(&file, ECDS).unwrap();
    let before = fs::metadata(&file).unwrap().modified().unwrap();
    for arguments in [
        &["zonegate.yaml", "id3", "--dry-run"][..],
        &["zonegate.yaml", "id3", BROKEN],
        &["zonegate.yaml", "id1"],
    ] {
        revoke(folder.path(), arguments);
        assert_eq!(fs::read_to_string(&file).unwrap(), ECDS);
        assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), before, "{arguments:?}");
    }
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
}

/// The token is not shown, whether it is accepted or refused.
#[test]
fn a_token_is_never_shown() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("list.txt"), "id1\n").unwrap();
    fs::write(folder.path().join("zonegate.yaml"), ECDS).unwrap();
    let cut = TOKEN.get(..TOKEN.len() - 40).unwrap();
    let text = format!("x{TOKEN}");
    for token in [TOKEN, BROKEN, cut, &TOKEN.replacen('.', "..", 1), &text] {
        for arguments in [&["list.txt", token][..], &["zonegate.yaml", token], &[token, "id1"]] {
            let output = revoke(folder.path(), arguments);
            let shown = shown(&output);
            for part in token.split('.').filter(|part| part.len() > 40) {
                assert!(!shown.contains(part), "{shown}");
            }
        }
    }
}

/// An ID that no token has would look revoked.
#[test]
fn a_slip_is_refused_at_that_moment() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("zonegate.yaml");
    fs::write(&file, ECDS).unwrap();
    for id in [
        "\"id1\"",
        "'id1'",
        "\u{feff}id1",
        "id\u{200b}1",
        "a\u{2011}b",
        "id1;id2",
        "aWQxLGlkMg==",
        "[id1]",
        "#id1",
    ] {
        let output = revoke(folder.path(), &["zonegate.yaml", id]);
        assert_eq!(output.status.code(), Some(2), "{id}: {}", shown(&output));
        assert!(shown(&output).contains("--literal revokes it as it is"), "{}", shown(&output));
        assert_eq!(fs::read_to_string(&file).unwrap(), ECDS);
    }
    let output = revoke(folder.path(), &["zonegate.yaml", "\"id1\"", "--literal"]);
    assert!(output.status.success() && shown(&output).contains("warning: "), "{}", shown(&output));
    // Odd ids that are already in the file cause a warning too.
    let output = revoke(folder.path(), &["zonegate.yaml", "id9", "AeyJb"]);
    assert!(output.status.success(), "{}", shown(&output));
    assert!(shown(&output).contains("a quote or bracket is at its end"), "{}", shown(&output));
}

/// The written list is read as a list again.
#[test]
fn what_was_written_is_read_back() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("list");
    for (before, id) in [("", "{"), ("", "a:"), ("", "- "), ("", "#x")] {
        fs::write(&file, before).unwrap();
        let output = revoke(folder.path(), &["list", id, "--literal"]);
        assert_eq!(output.status.code(), Some(2), "{id:?}: {}", shown(&output));
        assert_eq!(fs::read_to_string(&file).unwrap(), before);
    }
    fs::write(&file, "urn:uuid:1,b").unwrap();
    assert!(revoke(folder.path(), &["list", "c"]).status.success());
    assert!(revoke(folder.path(), &["list", "d"]).status.success());
    assert_eq!(fs::read_to_string(&file).unwrap(), "urn:uuid:1,b,c,d");
}

/// It takes seconds in a debug build. An earlier version took minutes for a tenth of the ids.
#[test]
fn many_ids_are_revoked_in_linear_time() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("zonegate.yaml"), ECDS).unwrap();
    let ids = |count: u32| {
        (0..count).map(|id| format!("{id:08}-1111-4222-8333-444444444444\n")).collect::<String>()
    };
    let start = std::time::Instant::now();
    fs::write(folder.path().join("ids"), ids(50_000)).unwrap();
    let output = revoke(folder.path(), &["zonegate.yaml", "--from", "ids"]);
    assert!(output.status.success());
    assert!(shown(&output).ends_with("zonegate.yaml: 50002 ids\n"));
    assert!(start.elapsed().as_secs() < 30, "{:?}", start.elapsed());
}

#[test]
fn endless_input_is_refused() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("list.txt"), "id1\n").unwrap();
    for arguments in
        [&["list.txt", "--from", "/dev/zero"][..], &["list.txt", "id2", "--keys", "/dev/zero"]]
    {
        let output = revoke(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(2));
        assert!(shown(&output).contains("is larger than"), "{}", shown(&output));
    }
    assert_eq!(fs::read_to_string(folder.path().join("list.txt")).unwrap(), "id1\n");
}
