//! The forge's workflows only call commands that also work without the forge.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::{files, name, read};

/// The targets of the Makefile that are commands.
fn targets() -> BTreeSet<String> {
    let makefile = read("Makefile").replace("\\\n", " ");
    let line = makefile.lines().find_map(|line| line.strip_prefix(".PHONY:")).unwrap();
    line.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn every_command_of_the_workflows_is_a_make_target_that_exists() {
    let targets = targets();
    let mut seen = BTreeSet::new();
    for path in files(".github/workflows") {
        let text = fs::read_to_string(&path).unwrap();
        let workflow: Value = serde_saphyr::from_str(&text).unwrap();
        for (job, body) in workflow["jobs"].as_object().unwrap() {
            assert!(body["timeout-minutes"].is_u64() || job == "publish", "{job}");
            for step in body["steps"].as_array().unwrap() {
                match (step["run"].as_str(), step["uses"].as_str()) {
                    (Some(command), None) => {
                        let mut words = command.split_whitespace();
                        assert_eq!(words.next(), Some("make"), "{job}: {command}");
                        let target = words.next().unwrap();
                        assert!(targets.contains(target), "{job}: {command}");
                        // The next word is a variable of the Makefile.
                        for word in words {
                            let (variable, _) = word.split_once('=').unwrap();
                            assert!(read("Makefile").contains(variable), "{job}: {command}");
                        }
                        seen.insert(command.to_owned());
                    }
                    (None, Some(action)) => assert!(action.contains('@'), "{job}: {action}"),
                    other => panic!("{}: {job}: {other:?}", name(&path)),
                }
            }
        }
    }
    for wanted in ["make lint", "make test", "make release VERIFY=1", "make test-release"] {
        assert!(seen.contains(wanted), "{seen:?}");
    }
}

#[test]
fn every_target_stands_in_the_help() {
    let makefile = read("Makefile");
    for target in targets().iter().filter(|target| !["help", "tool"].contains(&target.as_str())) {
        assert!(
            makefile.contains(&format!("@echo \"make {target}"))
                || makefile.contains(&format!(", make {target}")),
            "{target}"
        );
    }
}
