//! The recipes of images copy the files of a release to the paths where they are expected.

use std::fs;

use crate::{files, name, read};

/// The instructions of a recipe. Each is one line.
fn instructions(text: &str) -> Vec<(&str, &str)> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines.map(|line| line.split_once(' ').unwrap()).collect()
}

#[test]
fn the_recipes_copy_what_a_release_has() {
    // The lines of `stage` in scripts/release, and the folders that it copies as a whole.
    let script = read("scripts/release");
    for whole in ["zonegate.wasm", "libzonegate.so", "envoy", "\"$ROOT/zonegate\""] {
        assert!(script.contains(whole), "{whole}");
    }
    let mut seen = 0;
    for path in files("deploy/images") {
        let text = fs::read_to_string(&path).unwrap();
        for (instruction, rest) in instructions(&text) {
            let words: Vec<&str> = rest.split_whitespace().collect();
            match instruction {
                "COPY" => {
                    assert!(words[0].starts_with("--chmod=0"), "{rest}");
                    for source in &words[1..words.len() - 1] {
                        let built = ["zonegate", "zonegate.wasm", "libzonegate.so"];
                        let is_there = built.contains(source) || !read(source).is_empty();
                        assert!(is_there, "{}: {source}", name(&path));
                        seen += 1;
                    }
                }
                "USER" => assert_eq!(rest, "65532:65532"),
                "ARG" | "FROM" | "EXPOSE" | "ENTRYPOINT" | "CMD" => {}
                other => panic!("{}: {other}", name(&path)),
            }
        }
        let named = name(&path).strip_suffix(".Dockerfile").unwrap();
        assert!(read("docs/install.md").contains(&format!("deploy/images/{named}.Dockerfile")));
    }
    assert_eq!(seen, 9);
}

/// The paths of the filter in `gateway.yaml` and in the policies.
#[test]
fn the_filter_is_where_the_policies_name_it() {
    for (recipe, policy, file) in [
        ("gateway-wasm", "zonegate", "zonegate.wasm"),
        ("gateway-native", "zonegate-native", "libzonegate.so"),
    ] {
        let recipe = read(&format!("deploy/images/{recipe}.Dockerfile"));
        let line = recipe.lines().find(|line| line.starts_with("COPY ")).unwrap();
        assert!(line.contains(&format!(" {file} ")) && line.ends_with(" /etc/zonegate/"), "{line}");
        let policy = read(&format!("envoy/ecds/{policy}.yaml"));
        assert!(policy.contains(&format!("filename: /etc/zonegate/{file}\n")));
        assert!(recipe.contains("\"/etc/zonegate/gateway.yaml\""));
        // The tested version in `scripts/envoy`.
        let tested = read("scripts/envoy");
        let tested = tested.lines().find_map(|line| line.strip_prefix("tested=")).unwrap();
        let tested = tested.split_whitespace().next().unwrap();
        assert!(recipe.contains(&format!("distroless-v{tested}\n")), "{tested}");
    }
}
