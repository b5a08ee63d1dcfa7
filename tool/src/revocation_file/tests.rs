#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects
)] // a test may panic

use serde_json::json;

use super::*;

const ECDS: &str = include_str!("../../../envoy/ecds/zonegate.yaml");
const KEY: &str = include_str!("../../../tests/data/key-1.pub.pem");

fn edit(file: &str, add: &[&str], drop: &[&str]) -> Result<Edited, RevokeError> {
    edit_with(file, add, drop, Reformat::Never)
}

fn edit_with(
    file: &str,
    add: &[&str],
    drop: &[&str],
    reformat: Reformat,
) -> Result<Edited, RevokeError> {
    let owned = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    let drop = owned(drop).into_iter().collect();
    edit_at(&RevocationPlace::ZoneTokens, file, &owned(add), &drop, reformat)
}

fn edit_at(
    place: &RevocationPlace,
    file: &str,
    add: &[String],
    drop: &BTreeSet<String>,
    reformat: Reformat,
) -> Result<Edited, RevokeError> {
    let read = RevocationFile::read(file.as_bytes(), place)?;
    read.edit(add, drop, reformat, &Generation::of("g"))
}

/// Whether parents of the mesh's list exist or not: nothing else in the file changes.
#[test]
fn the_list_of_a_mesh_is_changed_or_made_in_its_place() {
    let key = json!([{ "kid": "1", "key": KEY }]).to_string();
    let new = r#"{"revocations":{"m":"new"}}"#;
    let proxies = "proxies: { ingress: deny, egress: deny, dataplane: dpToken }\n";
    let mesh = RevocationPlace::Mesh("m".into());
    let in_mesh = |before: &str, after: &str| (mesh.clone(), before.to_owned(), after.to_owned());
    let flow = |lists: &str| format!("dpToken: {{ publicKeys: {key}{lists} }} # theirs\n{proxies}");
    let block = |lists: &str| format!("dpToken:\n{lists}  publicKeys: {key}\n{proxies}");
    let json =
        |lists: &str| format!(r#"{{"publicKeys":{key},"dpToken":{{"publicKeys":{key}{lists}}}}}"#);
    let zone = format!("publicKeys: {key}\n");
    for (place, before, after) in [
        in_mesh(
            &flow(r#", revocations: {"m": "a,new"}"#),
            &flow(r#", revocations: {"m": "a,new"}"#),
        ),
        in_mesh(&flow(", revocations: { m: a }"), &flow(r#", revocations: { m: "a,new" }"#)),
        in_mesh(&flow(", revocations: { m: [a] }"), &flow(r#", revocations: { m: [a, "new"] }"#)),
        in_mesh(&flow(", revocations: {}"), &flow(r#", revocations: {"m":"new"}"#)),
        in_mesh(
            &block("  revocations: # by mesh\n    n: a # one\n"),
            &block("  revocations: # by mesh\n    \"m\": \"new\"\n    n: a # one\n"),
        ),
        in_mesh(&block(""), &block("  revocations: {\"m\":\"new\"}\n")),
        in_mesh(&json(r#","revocations":{"m":"a"}"#), &json(r#","revocations":{"m":"a,new"}"#)),
        in_mesh(&zone, &format!("dpToken: {new}\n{zone}")),
        (
            RevocationPlace::ServiceAccounts,
            zone.clone(),
            format!("serviceAccountToken: {{\"revocations\":\"new\"}}\n{zone}"),
        ),
    ] {
        let edited = edit_at(&place, &before, &["new".into()], &BTreeSet::new(), Reformat::Never);
        let edited = edited.unwrap_or_else(|error| panic!("{error}: {before}"));
        // Another test checks the place of the generation.
        let text = edited.text.replace("generation: \"g\"\n", "");
        let text = text.replace("\"generation\": \"g\", ", "").replace("generation: \"g\", ", "");
        assert_eq!((text, edited.layout), (after, Layout::Kept), "{before}");
    }
}

/// A plugin configuration in YAML with these lines.
fn policy(lines: &str) -> String {
    let key = KEY.lines().map(|line| format!("    {line}\n")).collect::<String>();
    format!(
        "# Ours.\nzone: z\npublicKeys:\n- kid: \"1\"\n  key: |\n{key}{lines}mode: enforce # for now\n"
    )
}

/// The file with the new generation.
fn changed(file: &str) -> String {
    let feed = if file.contains("\r\n") { "\r\n" } else { "\n" };
    let keys = file.find("publicKeys:").unwrap();
    let margin = " ".repeat(keys - file[..keys].rfind('\n').map_or(0, |feed| feed + 1));
    let new = format!("generation: \"g\"{feed}{margin}");
    file[..keys].to_owned() + &new + &file[keys..]
}

#[test]
fn a_list_grows_and_shrinks_in_its_form() {
    for (text, add, drop, wanted) in [
        ("", &["a"][..], &[][..], "a\n"),
        ("\n", &["a"], &[], ",a\n"),
        ("a,b", &["c"], &[], "a,b,c"),
        ("a,b\n", &["c", "b"], &["a"], "b,c\n"),
        ("a,", &["b"], &[], "a,,b"),
        ("a, b\n", &["c"], &[], "a,b,c\n"),
        ("a\nb\r\n", &["c"], &[], "a,b,c\n"),
        ("a,b\n", &["b"], &["c"], "a,b\n"),
        ("a\nb", &["b"], &[], "a\nb"),
        ("\u{feff}a\n", &["a"], &[], "\u{feff}a\n"),
        ("\u{feff}a\r\n", &["b"], &[], "a,b\n"),
        ("a,b\n", &[], &["a", "b"], ""),
        ("urn:uuid:1,b", &["c"], &[], "urn:uuid:1,b,c"),
    ] {
        assert_eq!(edit(text, add, drop).unwrap().text, wanted, "{text:?}");
    }
    let edited = edit("a,b", &["b", "c", "c"], &["a"]).unwrap();
    assert_eq!(
        (edited.added, edited.already),
        (vec!["c".to_owned()], vec!["b".into(), "c".into()])
    );
    assert_eq!((edited.dropped, edited.total), (vec!["a".to_owned()], 2));
    assert_eq!(edit("a, b", &["c"], &[]).unwrap().layout, Layout::Commas);
}

#[test]
fn the_shipped_file_keeps_every_other_byte() {
    let edited = edit(ECDS, &["id-1", "id-2"], &[]).unwrap();
    let wanted = changed(&ECDS.replace("revocations: \"\"", "revocations: \"id-1,id-2\""));
    assert_eq!((edited.text.as_str(), edited.layout), (wanted.as_str(), Layout::Kept));
    let again = edit(&edited.text, &["id-2"], &["id-1"]).unwrap();
    assert_eq!(again.text, changed(&ECDS.replace("revocations: \"\"", "revocations: \"id-2\"")));
    let unchanged = edit(&edited.text, &["id-2"], &[]).unwrap();
    assert_eq!((unchanged.text, unchanged.already.len()), (edited.text, 1));
}

#[test]
fn the_layout_is_kept_wherever_the_revocations_can_be_found() {
    for (before, after) in [
        ("revocations: a,b # why\n", "revocations: a,b,c # why\n"),
        ("revocations: a\t# why\n", "revocations: a,c\t# why\n"),
        ("revocations: 'a' # 'x'\n", "revocations: 'a,c' # 'x'\n"),
        ("revocations: \"a\\u0062\"\n", "revocations: \"a\\u0062,c\"\n"),
        ("revocations: \"a,\n  b\"\n", "revocations: \"a,\n  b, c\"\n"),
        ("revocations: \"\"\n", "revocations: \"c\"\n"),
        ("revocations: | # why\n  id1\n\n# end\n", "revocations: | # why\n  id1,c\n\n# end\n"),
        ("revocations: |-\n  a\n  b\n", "revocations: |-\n  a\n  b\n  c\n"),
        ("revocations: >\n   a,\n   b\n", "revocations: >\n   a,\n   b,\n   c\n"),
        ("revocations: |+\n  a\n\n", "revocations: |+\n  a,c\n\n"),
        ("revocations: |2\n  a\n", "revocations: |2\n  a,c\n"),
        ("revocations: | # none\n", "revocations: \"c\" # none\n"),
        ("revocations: [a, \"b\"] # why\n", "revocations: [a, \"b\", \"c\"] # why\n"),
        ("revocations: [] # why\n", "revocations: [\"c\"] # why\n"),
        (
            "revocations: [ # all\n  a, # one\n\n  'b' # two\n]\n",
            "revocations: [ # all\n  a, # one\n\n  'b', # two\n  \"c\"\n]\n",
        ),
        (
            "revocations:\n  [\n    a,\n    b, # two\n  ]\n",
            "revocations:\n  [\n    a,\n    b, # two\n    \"c\",\n  ]\n",
        ),
        (
            "revocations:\n- a # first\n# note\n- 'b'\n",
            "revocations:\n- a # first\n# note\n- 'b'\n- \"c\"\n",
        ),
        (
            "revocations:\n\n  # all\n  - a\n\n  - b # two\n\n  # end\n",
            "revocations:\n\n  # all\n  - a\n\n  - b # two\n  - \"c\"\n\n  # end\n",
        ),
        ("revocations:\n  - a\n", "revocations:\n  - a\n  - \"c\"\n"),
        ("# revocations: x\nrevocations: a\n", "# revocations: x\nrevocations: a,c\n"),
        ("'revocations':  a\n", "'revocations':  a,c\n"),
    ] {
        // Line ends with and without carriage returns.
        for feed in ["\n", "\r\n"] {
            let (before, after) =
                (policy(before).replace('\n', feed), changed(&policy(after).replace('\n', feed)));
            let edited = edit(&before, &["c"], &[]).unwrap();
            assert_eq!((edited.text, edited.layout), (after.clone(), Layout::Kept), "{before}");
            let again = edit(&after, &["c"], &[]).unwrap();
            assert_eq!((again.text, again.already.len()), (after, 1));
        }
    }
    for (before, after) in [
        ("revocations: a,b # why\n", "revocations: b # why\n"),
        ("revocations: 'a' # x\n", "revocations: '' # x\n"),
        ("revocations: a # x\n", "revocations: \"\" # x\n"),
        ("revocations: |\n  a\n  b\n# x\n", "revocations: |\n  b\n# x\n"),
        ("revocations: [a, b] # x\n", "revocations: [b] # x\n"),
        ("revocations: [b, a] # x\n", "revocations: [b] # x\n"),
        ("revocations: [a]\n", "revocations: []\n"),
        ("revocations:\n- a # old\n# x\n- b # y\n", "revocations:\n# x\n- b # y\n"),
    ] {
        let edited = edit(&policy(before), &[], &["a"]).unwrap();
        assert_eq!(
            (edited.text, edited.layout),
            (changed(&policy(after)), Layout::Kept),
            "{before}"
        );
    }
    let edited = edit(&policy("revocations:\n- a # first\n- b\n"), &["c"], &["b"]).unwrap();
    assert_eq!(edited.text, changed(&policy("revocations:\n- a # first\n- \"c\"\n")));
    let none = edit(&policy(""), &["c"], &[]).unwrap();
    let wanted = "revocations: \"c\"\ngeneration: \"g\"\npublicKeys:";
    assert_eq!(none.text, policy("").replace("publicKeys:", wanted));
}

#[test]
fn a_file_is_only_rewritten_if_that_is_allowed() {
    let aliased = policy("x: &ids a,b\nrevocations: *ids\n").replace("x: &ids a,b\n", "");
    let aliased =
        aliased.replace("zone: z", "zone: &ids z").replace("mode: enforce # for now\n", "");
    assert_eq!(edit(&aliased, &["c"], &[]).unwrap_err(), RevokeError::LayoutLost);
    let edited = edit_with(&aliased, &["c"], &[], Reformat::WhereNeeded).unwrap();
    assert_eq!((edited.layout, edited.total), (Layout::Anew, 2));
    let read = PluginConfiguration::find(edited.text.as_bytes()).unwrap().config().unwrap();
    assert!(["z", "c"].iter().all(|id| read.policy.issuers.zone_token.revocations.contains(id)));
}

#[test]
fn a_policy_in_a_text_is_changed_there() {
    let inner =
        serde_json::json!({ "revocations": "a", "publicKeys": [{ "kid": "1", "key": KEY }] });
    let file = |value: &str| {
        format!(
            "# Ours.\n\"@type\": x/envoy.extensions.filters.http.wasm.v3.Wasm\nconfig:\n  configuration:\n    \
             \"@type\": x/google.protobuf.StringValue\n    value: {value}\n# end\n"
        )
    };
    let lines = serde_json::to_string_pretty(&inner).unwrap().replace('\n', "\n      ");
    for value in [
        Value::from(inner.to_string()).to_string(),
        format!("'{inner}'"),
        format!("|\n      {lines}"),
    ] {
        let edited = edit(&file(&value), &["c"], &[]).unwrap();
        assert_eq!(edited.layout, Layout::Kept, "{value}");
        let changed = file(&value).replace("\"a\"", "\"a,c\"").replace("\\\"a\\\"", "\\\"a,c\\\"");
        let without = edited.text.replace("\"generation\": \"g\", ", "");
        let without = without.replace("\"generation\": \"g\",\n        ", "");
        assert_eq!(without.replace("\\\"generation\\\": \\\"g\\\", ", ""), changed);
    }
}

/// A task of a second or two in a release build must not take a debug build minutes.
#[test]
fn long_lists_take_linear_time() {
    let ids: Vec<String> =
        (0..20_000).map(|id| format!("{id:08}-1111-4222-8333-444444444444")).collect();
    let more: Vec<String> =
        (0..20_000).map(|id| format!("{id:08}-2222-4222-8333-444444444444")).collect();
    let list = format!("revocations:\n- {}\n", ids.join("\n- "));
    let text = format!("revocations: \"{}\"\n", ids.join(","));
    let drop: BTreeSet<String> = ids.iter().step_by(2).cloned().collect();
    for file in [policy(&list), policy(&text), ids.join(",")] {
        let read = RevocationFile::read(file.as_bytes(), &RevocationPlace::ZoneTokens).unwrap();
        let start = std::time::Instant::now();
        let edited = read.edit(&more, &drop, Reformat::Never, &Generation::of("g")).unwrap();
        assert_eq!(edited.total, 30_000);
        assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    }
}

#[test]
fn json_keeps_its_layout_too() {
    let json = |revocations: &str| {
        format!(
            "{{\n  \"revocations\": {revocations},\n  \"publicKeys\": [ {{ \"key\": {}, \"kid\": \"1\" }} ]\n}}\n",
            Value::from(KEY)
        )
    };
    let edited = edit(&json("\"a\""), &["b"], &[]).unwrap();
    let wanted =
        json("\"a,b\"").replace("  \"publicKeys\"", "  \"generation\": \"g\",\n  \"publicKeys\"");
    assert_eq!((edited.text, edited.layout), (wanted, Layout::Kept));
}

#[test]
fn ids_and_files_that_must_not_be_changed_are_refused() {
    for (file, id, wanted) in [
        ("a", "", RevokeError::EmptyId),
        ("a", "b,c", RevokeError::NotInText("b,c".into())),
        ("a", "b c", RevokeError::NotInText("b c".into())),
        (KEY, "b", RevokeError::NotAList),
        ("", "{", RevokeError::NotReadBack),
        ("", "a:", RevokeError::NotReadBack),
    ] {
        assert_eq!(edit(file, &[id], &[]).unwrap_err(), wanted);
    }
    let in_a_list = edit(&policy("revocations: []\n"), &["b,c"], &[]).unwrap();
    assert!(in_a_list.text.contains("revocations: [\"b,c\"]"), "{}", in_a_list.text);
    for file in ["zone: z\n", "{\"a\": 1}", "a: [", "# only a comment\n", "- a\n- b\n"] {
        assert!(matches!(edit(file, &["a"], &[]), Err(RevokeError::Plugin(_))), "{file}");
    }
    assert!(RevocationFile::read(&[0xff], &RevocationPlace::ZoneTokens).is_err());
}
