//! Commands of the pages on installing, Kubernetes and keys, and of the scripts that build.

use super::*;

#[test]
fn the_files_are_installed_where_the_gateway_looks_for_them() {
    let dir = TempDir::new().unwrap();
    let etc = dir.path().join("etc");
    fs::create_dir(dir.path().join("target")).unwrap();
    fs::write(dir.path().join("target/zonegate.wasm"), "module").unwrap();
    symlink(root().join("envoy"), dir.path().join("envoy")).unwrap();
    let commands = commands_after("docs/install.md", "## From source");
    let here = commands.replace("sudo ", "").replace("/etc/zonegate", etc.to_str().unwrap());
    let output = shell(dir.path(), here.strip_prefix("make wasm\n").unwrap());
    assert!(output.status.success(), "{output:?}");
    let gateway = fs::read_to_string(etc.join("gateway.yaml")).unwrap();
    let watched = fs::read_to_string(etc.join("ecds/zonegate.yaml")).unwrap();
    let secrets = ["sds/gateway-certificate.yaml", "sds/control-plane-ca.yaml"];
    let secrets = secrets.map(|path| (&gateway, path));
    for (text, path) in
        [(&gateway, "ecds/zonegate.yaml"), (&watched, "zonegate.wasm")].into_iter().chain(secrets)
    {
        assert!(text.contains(&format!("/etc/zonegate/{path}")) && etc.join(path).exists());
    }
    let secret = fs::read_to_string(etc.join("sds/gateway-certificate.yaml")).unwrap();
    assert!(secret.contains("/etc/zonegate/tls/") && etc.join("tls").is_dir());
    assert_eq!(gateway.matches("SET: ").count(), 6);
    for page in ["docs/install.md", "docs/configure.md"] {
        let words = read(page).split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
        assert!(words.contains("six values") && words.contains("marked set"), "{page}");
    }
}

/// The configuration on the page is valid, its issuer keys are a cluster's, and no setting is missing.
#[test]
fn the_configuration_on_the_page_on_kubernetes_works() {
    let page = read("docs/kubernetes.md");
    let json = page.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    let config = Config::from_json(json.as_bytes()).unwrap();
    assert_eq!(config.warnings, []);
    assert_eq!(config.policy.issuers.keys().count(), 1);
    let value: Value = serde_json::from_str(json).unwrap();
    let jwks: Value =
        serde_json::from_str(&read("tests/data/service-account-jwks-west.json")).unwrap();
    assert_eq!(value["serviceAccountToken"]["issuers"][0]["jwks"], jwks);
    let schema: Value =
        serde_json::from_str(&read("tool/src/plugin_config/plugin.schema.json")).unwrap();
    let block = &schema["properties"]["serviceAccountToken"]["properties"];
    let cluster = &block["issuers"]["items"]["properties"];
    let settings = [block, cluster].into_iter().flat_map(|of| of.as_object().unwrap().keys());
    for setting in settings {
        let is_there =
            page.contains(&format!("`{setting}`")) || page.contains(&format!("\"{setting}\""));
        assert!(is_there, "{setting}");
    }
}

/// The commands make secrets in the checkout. git must ignore them.
#[test]
fn what_the_commands_for_keys_and_tokens_make_is_ignored_by_git() {
    let dir = TempDir::new().unwrap();
    for heading in ["## Make a signing key", "## Issue a token", "## See what a token says"] {
        let output = shell(dir.path(), &commands_after("docs/tokens.md", heading));
        assert!(output.status.success(), "{heading}: {output:?}");
    }
    assert!(dir.path().join("signing-key.pem").exists());
    assert!(dir.path().join("web-1.token").exists());
    fs::write(dir.path().join(".gitignore"), read(".gitignore") + "/.gitignore\n").unwrap();
    let status = shell(dir.path(), "git init --quiet . && git status --porcelain");
    if !status.status.success() {
        println!("skipped: {status:?}");
        return;
    }
    // The policy has no secret in it.
    assert_eq!(String::from_utf8_lossy(&status.stdout), "?? zonegate.yaml\n");
}

/// Runs `scripts/wasm` as root on a Debian without Rust. Returns its output, and whether it installed packages.
fn wasm_without_rust(environment: &[(&str, &str)]) -> (String, bool) {
    let dir = TempDir::new().unwrap();
    let (programs, checkout) = (dir.path().join("bin"), dir.path().join("checkout"));
    fs::create_dir_all(checkout.join("scripts")).unwrap();
    fs::create_dir(&programs).unwrap();
    fs::copy(root().join("scripts/wasm"), checkout.join("scripts/wasm")).unwrap();
    let installed = dir.path().join("installed");
    let apt_get = format!("touch {}; exit 1", installed.display());
    let fake = [("id", "echo 0"), ("dpkg-query", "exit 1"), ("apt-get", &apt_get)];
    for (name, text) in fake {
        let path = programs.join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    for name in ["sh", "dirname", "touch", "mkdir"] {
        symlink(on_path(name), programs.join(name)).unwrap();
    }
    let mut script = Command::new(programs.join("sh"));
    script.arg(checkout.join("scripts/wasm")).env_clear().env("PATH", &programs);
    let output = script.env("HOME", dir.path()).envs(environment.iter().copied()).output().unwrap();
    assert!(!output.status.success());
    (String::from_utf8(output.stderr).unwrap(), installed.exists())
}

fn on_path(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.exists()).unwrap()
}

#[test]
fn no_packages_are_installed_unless_someone_says_so() {
    let (said, is_installed) = wasm_without_rust(&[]);
    assert!(!is_installed, "{said}");
    assert!(said.contains("ZONEGATE_INSTALL=yes") && said.contains("rustup"), "{said}");
    let (said, is_installed) = wasm_without_rust(&[("ZONEGATE_INSTALL", "yes")]);
    assert!(is_installed, "{said}");
}
