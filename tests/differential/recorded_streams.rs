//! The recorded streams of proxies with dataplane tokens, `tests/data/kuma-dataplane-token.json`.
//!
//! In: what a proxy sends and what a control plane knows, written by hand. Checked: the recorded answer is that of
//! `tests/kuma`, so that the file agrees with Kuma's rules. With `ZONEGATE_RECORD=1` the answers are written anew
//! instead; read the difference before you keep it.

use std::collections::BTreeSet;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::golang_jwt::{self, GoStreams};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/kuma-dataplane-token.json");

/// Members that describe a vector.
const LABELS: [&str; 4] = ["id", "desc", "jose_header", "claims"];
/// Members of the program's answer.
const ANSWER: [&str; 5] = ["accept", "error", "step", "proxy", "unused"];

#[test]
fn the_recorded_streams_are_answered_as_recorded() {
    let Some(program) = golang_jwt::build().unwrap() else {
        println!("skipped: the recorded streams (no Go to build tests/kuma with)");
        return;
    };
    let mut file: Value = read();
    let mut control_plane = GoStreams::start(&program, &file["keys"]).unwrap();
    let vectors = file["vectors"].as_array_mut().unwrap();
    let streams: Vec<Value> = vectors.iter().map(without_answer).collect();
    let answers: Vec<Map<String, Value>> = control_plane.judge(&streams).unwrap();
    let mut different = Vec::new();
    for (vector, answer) in vectors.iter_mut().zip(answers) {
        let vector = vector.as_object_mut().unwrap();
        let recorded: Map<_, _> =
            ANSWER.iter().map(|name| (String::from(*name), vector[*name].clone())).collect();
        if recorded != answer {
            different.push(format!("{} {}: {answer:#?}", vector["id"], vector["desc"]));
            vector.extend(answer);
        }
    }
    if std::env::var_os("ZONEGATE_RECORD").is_some() {
        std::fs::write(FILE, pretty(&file)).unwrap();
        return;
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

/// The header and the claims that the file shows for a token are those in the token.
#[test]
fn the_recorded_tokens_say_what_the_file_says() {
    let file = read();
    let vectors = file["vectors"].as_array().unwrap();
    let ids: BTreeSet<_> = vectors.iter().map(|vector| vector["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), vectors.len(), "two vectors have one id");
    assert!(vectors.len() > 300, "{}", vectors.len());
    let mut compared = 0;
    for vector in vectors {
        let Some(claims) = vector["claims"].as_str() else { continue };
        let token = vector["authorization"][0].as_str().unwrap();
        let mut segments = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
        let mut next = || String::from_utf8(segments.next().unwrap()).unwrap();
        assert_eq!(next(), vector["jose_header"], "{}", vector["id"]);
        assert_eq!(next(), claims, "{}", vector["id"]);
        compared += 1;
    }
    assert!(compared > 290, "{compared}");
}

fn read() -> Value {
    serde_json::from_str(&std::fs::read_to_string(Path::new(FILE)).unwrap()).unwrap()
}

fn without_answer(vector: &Value) -> Value {
    let members = vector.as_object().unwrap().iter();
    let asked = members
        .filter(|(name, _)| !LABELS.contains(&name.as_str()) && !ANSWER.contains(&name.as_str()));
    asked.map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>().into()
}

/// The form of the file: one space per level, and a line feed at the end.
fn pretty(file: &Value) -> Vec<u8> {
    use serde::Serialize;

    let mut text = Vec::new();
    let form = serde_json::ser::PrettyFormatter::with_indent(b" ");
    file.serialize(&mut serde_json::Serializer::with_formatter(&mut text, form)).unwrap();
    text.push(b'\n');
    text
}
