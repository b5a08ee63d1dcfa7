//! A test runs every block of commands in the documents as it is written, or the block is listed here with the reason
//! why no test can run it.
//!
//! In: the blocks without a language and those marked `sh`. `tests/cli.rs` runs the blocks marked `console`; `text`,
//! `yaml` and `json` are no commands. The commands of a page run block after block, in one folder whose name has a
//! space. Another folder replaces `/etc/zonegate`. Stand-ins replace programs of other projects, and check their
//! arguments. The output of the commands is not compared.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::blocks::BLOCKS;
use crate::blocks::Fate::{By, Here, Like, Not};
use crate::{documents, files, read, root};

/// The blocks of commands of a document, in order, each with the indentation of a list removed.
fn blocks(document: &str) -> Vec<String> {
    let text = read(document);
    let fenced = text.split("```").skip(1).step_by(2);
    let marked = fenced.filter_map(|block| block.split_once('\n'));
    let commands = marked.filter(|(language, _)| ["", "sh"].contains(language));
    let lines = |block: &str| block.lines().map(str::trim_start).collect::<Vec<_>>().join("\n");
    commands.map(|(_, block)| lines(block).trim_end().to_owned() + "\n").collect()
}

#[test]
fn every_block_of_commands_has_a_test_or_a_reason() {
    let code = ["src", "tests", "tool/src", "filters"].into_iter();
    let code = code.flat_map(|folder| files(folder, ".rs"));
    let code: String = code.map(|file| read(file.to_str().unwrap())).collect();
    let mut listed = BLOCKS.iter();
    for document in documents().iter().filter_map(|path| path.to_str()).collect::<BTreeSet<_>>() {
        for block in blocks(document) {
            let Some((page, begins, fate)) = listed.next() else {
                panic!("{document}: {block} is not in the table")
            };
            assert!(*page == document && block.starts_with(begins), "{document}: {block}");
            if let By(test) | Like(test, _) = fate {
                assert!(code.contains(&format!("fn {test}(")), "{document}: {test}");
            }
            if let Like(_, why) | Not(why) = fate {
                assert!(!why.is_empty(), "{document}: {block}");
            }
        }
    }
    assert_eq!(listed.next().map(|(page, begins, _)| (page, begins)), None);
}

#[test]
fn the_commands_of_the_pages_work() {
    let pages: BTreeSet<&str> = BLOCKS.iter().map(|(page, _, _)| *page).collect();
    let mut run = 0;
    for page in pages {
        let sandbox = Sandbox::new();
        let fates = BLOCKS.iter().filter(|(document, _, _)| *document == page);
        for (block, (_, _, fate)) in blocks(page).iter().zip(fates) {
            if let Here(codes) = fate {
                sandbox.run(page, block, codes);
                run += 1;
            }
        }
    }
    assert!(run > 20, "{run}");
}

/// The reader's environment: a gateway's folder, files of their own, and programs.
struct Sandbox {
    dir: TempDir,
    home: PathBuf,
    etc: PathBuf,
}

impl Sandbox {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let (home, etc) = (dir.path().join("a folder"), dir.path().join("etc"));
        let this = Self { home, etc, dir };
        this.install();
        this.fill_home();
        this.make_programs();
        this
    }

    /// Installs as `docs/install.md` says, with a policy of the keys in `home`.
    fn install(&self) {
        for folder in ["ecds", "tls", "zone-token"] {
            fs::create_dir_all(self.etc.join(folder)).unwrap();
        }
        let policy = root().join("docs/tool.in/zonegate.yaml");
        fs::copy(policy, self.etc.join("ecds/zonegate.yaml")).unwrap();
        fs::write(self.etc.join("zone-token/token"), "old").unwrap();
    }

    fn fill_home(&self) {
        fs::create_dir_all(self.home.join("tokens")).unwrap();
        let given = root().join("docs/tool.in");
        for (from, to) in [
            ("key.pem", "signing-key.pem"),
            ("east.token", "east.token"),
            ("east.token", "leaked.token"),
            ("east.token", "ingress.token"),
            ("east.token", "tokens.txt"),
            ("zonegate.yaml", "zonegate.yaml"),
            ("revoked.yaml", "new.yaml"),
            ("public.pem", "key-2.pub.pem"),
        ] {
            fs::copy(given.join(from), self.home.join(to)).unwrap();
        }
        for name in ["new.pem", "new.key", "new.token", "east-new.token"] {
            fs::write(self.home.join(name), "new").unwrap();
        }
        let walk = self.dir.path().join("rotation");
        fs::create_dir(&walk).unwrap();
        fs::copy(self.home.join("zonegate.yaml"), walk.join("2-both.yaml")).unwrap();
        // The token expires within the hour, whenever the test runs.
        let soon = "zonegate generate zone-token --zone east --valid-for 1h --kid 1 \
                    --signing-key-path signing-key.pem --output-file tokens/soon.token";
        assert!(self.shell(soon).status().unwrap().success());
    }

    /// The stand-ins for programs of other projects print what a page needs.
    fn make_programs(&self) {
        let secrets = root().join("docs/tool.in/secrets.yaml");
        let key = root().join("docs/tool.in/key.pem");
        let encoded = format!("base64 -w0 < '{}'", key.display());
        let kumactl = format!(
            "case \"$*\" in\n\
             'get global-secrets -o yaml') cat '{}' ;;\n\
             'get global-secret zone-token-signing-key-1 -o json') printf '{{\"data\":\"%s\"}}' \"$({encoded})\" ;;\n\
             *) exit 64 ;;\nesac",
            secrets.display()
        );
        let access_log = root().join("docs/tool.in/access.log");
        let access_log = format!("cat '{}'", access_log.display());
        let kubectl = format!(
            "case \"$*\" in\n\
             'get secret -n kuma-system zone-token-signing-key-1 -o jsonpath={{.data.value}}') {encoded} ;;\n\
             'logs -n kuma-system -l app.kubernetes.io/name=zonegate --since 3m --tail -1') {access_log} ;;\n\
             *) exit 64 ;;\nesac"
        );
        let journal = format!(
            "case \"$*\" in\n\
             '-u zonegate-gateway -o cat --since -3min') {access_log} ;;\n\
             '-u zonegate-gateway --since '*) echo 'zonegate: denied reason=expired' ;;\n\
             *) exit 64 ;;\nesac"
        );
        let vi = "[ $# = 1 ] && sed -i 's/^\\( *\\)zone: east$/\\1zone: west/' \"$1\"";
        let jq = "sed 's/.*\"data\":\"\\([^\"]*\\)\".*/\\1/'";
        for (name, text) in [
            ("kumactl", kumactl.as_str()),
            ("kubectl", kubectl.as_str()),
            ("journalctl", journal.as_str()),
            ("vi", vi),
            ("jq", jq),
            ("man", "[ \"$*\" = '-l -' ] && cat > /dev/null"),
            ("sudo", "exec \"$@\""),
        ] {
            let path = self.bin().join(name);
            fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    fn bin(&self) -> PathBuf {
        let bin = self.dir.path().join("bin");
        if !bin.exists() {
            fs::create_dir(&bin).unwrap();
            symlink(env!("CARGO_BIN_EXE_zonegate"), bin.join("zonegate")).unwrap();
        }
        bin
    }

    /// A shell that continues where the block before left off. bash, because a page uses its completion.
    fn shell(&self, commands: &str) -> Command {
        let mut shell = Command::new("bash");
        let path = format!("{}:{}", self.bin().display(), std::env::var("PATH").unwrap());
        shell.args(["-uc", commands]).env("PATH", path).env("HOME", &self.home);
        let before = fs::read_to_string(self.dir.path().join("cwd")).ok();
        shell.current_dir(
            before.as_deref().map_or(self.home.as_path(), |it| Path::new(it.trim_end())),
        );
        shell
    }

    fn run(&self, page: &str, block: &str, codes: &[i32]) {
        let place = |path: &str| self.dir.path().join(path).to_str().unwrap().to_owned();
        let block = block
            .replace("/etc/zonegate", self.etc.to_str().unwrap())
            .replace("/tmp/rotation", &place("rotation"))
            .replace("/usr/local/share", &place("share"))
            .replace(" -o envoy", ""); // a user that is not on every machine
        let commands = commands(&block);
        let seen = place("codes");
        fs::write(&seen, "").unwrap();
        let mut script = String::new();
        for command in &commands {
            self.make_room(command);
            script += &format!("{command}\necho $? >> '{seen}'\n");
        }
        let output = self.shell(&format!("{script}pwd > '{}'", place("cwd"))).output().unwrap();
        let seen = fs::read_to_string(&seen).unwrap();
        let seen: Vec<i32> = seen.lines().map(|code| code.parse().unwrap()).collect();
        let zeros = vec![0; commands.len()];
        let wanted = if codes.is_empty() { zeros.as_slice() } else { codes };
        let said =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert_eq!(seen, wanted, "{page}:\n{block}\n{said}");
    }

    /// Removes the file that a command is to write: the reader does not have it yet.
    fn make_room(&self, command: &str) {
        let words: Vec<&str> = command.split_whitespace().collect();
        for pair in words.windows(2).filter(|pair| pair[0] == "--output-file") {
            let path = self.home.join(pair[1]);
            if path.starts_with(&self.home) && path.exists() {
                fs::remove_file(path).unwrap();
            }
        }
    }
}

/// The commands of a block, each with its continuation lines.
fn commands(block: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in block.lines() {
        match all.last_mut() {
            Some(last) if goes_on => *last += &format!("\n{line}"),
            _ => all.push(line.to_owned()),
        }
        goes_on = line.ends_with('\\') || line.ends_with('|');
    }
    all
}
