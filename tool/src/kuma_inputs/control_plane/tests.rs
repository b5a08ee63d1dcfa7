#![allow(clippy::unwrap_used)] // a test may panic

use super::*;

const FILE: &str = r#"
mode: zone
environment: universal
multizone:
  zone: { name: us-east }
dpServer:
  authn:
    zoneProxy:
      type: ""
      zoneToken:
        enableIssuer: false
        validator:
          useSecrets: false
          publicKeys:
          - kid: 1
            key: PEM
          - kid: "2"
            keyFile: /keys/public.pem
"#;

#[test]
fn the_file_is_read_where_zone_tokens_are_concerned() {
    let read = ControlPlane::parse(FILE.as_bytes()).unwrap();
    assert_eq!(read.zone(), Some("us-east"));
    let keys: Vec<_> = read.keys().iter().map(|key| (key.kid.as_str(), &key.key)).collect();
    let file = KeySource::File("/keys/public.pem".into());
    assert_eq!(keys, [("1", &KeySource::Text("PEM".into())), ("2", &file)]);
    assert_eq!(read.notices(false, false), []);
}

#[test]
fn the_environment_has_the_last_word() {
    let mut read = ControlPlane::parse(FILE.as_bytes()).unwrap();
    read.override_by(
        "# from kuma-cp\n\nPATH=/bin\nexport KUMA_MULTIZONE_ZONE_NAME='west'\nKUMA_MODE=global\n\
         KUMA_DP_SERVER_AUTHN_ZONE_PROXY_ZONE_TOKEN_VALIDATOR_USE_SECRETS=\"T\"\n",
    )
    .unwrap();
    assert_eq!(read.zone(), Some("west"));
    assert_eq!(read.notices(false, false), [Notice::Global, Notice::SecretsToo]);
    assert_eq!(read.notices(true, false), [Notice::Global]);
    assert_eq!(read.notices(true, true), []);
}

#[test]
fn an_environment_of_the_kernel_is_read_too() {
    let mut read = ControlPlane::default();
    read.override_by("A=x\ny\0KUMA_MULTIZONE_ZONE_NAME=east\0KUMA_MODE=zone\0").unwrap();
    assert_eq!(read.zone(), Some("east"));
    let broken = read.override_by("A=1\0secret\0");
    assert_eq!(broken, Err(ControlPlaneError::Line(2)));
}

#[test]
fn an_authentication_without_zone_tokens_is_noticed() {
    let other = |kind: &str| vec![Notice::OtherAuthentication(kind.into())];
    for (file, wanted) in [
        ("environment: kubernetes", other("serviceAccountToken")),
        ("dpServer: {authn: {zoneProxy: {type: none}}}", other("none")),
        ("environment: kubernetes\ndpServer: {authn: {zoneProxy: {type: zoneToken}}}", vec![]),
        ("environment: universal", vec![]),
    ] {
        assert_eq!(
            ControlPlane::parse(file.as_bytes()).unwrap().notices(true, false),
            wanted,
            "{file}"
        );
    }
}

#[test]
fn a_field_that_kuma_refuses_is_refused_with_its_path() {
    let keys = |items: &str| {
        format!(
            "dpServer: {{authn: {{zoneProxy: {{zoneToken: {{validator: {{publicKeys: {items}}}}}}}}}}}"
        )
    };
    let path = format!("{VALIDATOR}.publicKeys");
    for (file, wanted) in [
        (String::new(), "it is empty".to_owned()),
        ("[]".to_owned(), "not a configuration of kuma-cp: no fields in it".to_owned()),
        ("multizone: {zone: x}".to_owned(), "multizone.zone: must be an object".to_owned()),
        ("mode: [zone]".to_owned(), "mode: must be text".to_owned()),
        (keys("{}"), format!("{path}: must be a list of kid and key")),
        (keys("[{key: a}]"), format!("{path}[0].kid: must be there, and not empty")),
        (keys("[{kid: a}]"), format!("{path}[0]: must be a kid with either key or keyFile")),
        (
            keys("[{kid: a, key: b, keyFile: c}]"),
            format!("{path}[0]: must be a kid with either key or keyFile"),
        ),
        (keys("[{kid: [a], key: b}]"), format!("{path}[0].kid: must be text: write it in quotes")),
    ] {
        let error = ControlPlane::parse(file.as_bytes()).unwrap_err().to_string();
        assert_eq!(error, wanted, "{file}");
    }
    let mut none = ControlPlane::default();
    assert_eq!(none.override_by("A=1\nsecret"), Err(ControlPlaneError::Line(2)));
    let bad = none.override_by(&format!("{USE_SECRETS}=yes"));
    assert_eq!(bad, Err(field(USE_SECRETS, "true or false")));
}

#[test]
fn a_configuration_of_kuma_3_is_noticed() {
    let setting = "multizone: {zone: {kds: {eventBasedWatchdog: {flushInterval: 1s}}}}";
    let map = |version: &str| {
        format!(
            "{{kind: ConfigMap, metadata: {{labels: {{app.kubernetes.io/version: {version}}}}}, \
             data: {{config.yaml: 'multizone: {{zone: {{name: east}}}}'}}}}"
        )
    };
    for (file, is_3) in [
        (setting.to_owned(), true),
        (map("3.0.0"), true),
        (map("2.14.3"), false),
        ("experimental: {kdsEventBasedWatchdog: {enabled: true}}".to_owned(), false),
    ] {
        let read = ControlPlane::parse(file.as_bytes()).unwrap();
        let notices = read.notices(true, false);
        let is_noticed = matches!(notices.as_slice(), [Notice::NoZoneTokens(_)]);
        assert_eq!(is_noticed, is_3, "{file}: {notices:?}");
        assert_eq!(read.notices(true, true), [], "{file}");
    }
    let mut read = ControlPlane::default();
    read.override_by("KUMA_MULTIZONE_ZONE_KDS_EVENT_BASED_WATCHDOG_FLUSH_INTERVAL=1s").unwrap();
    assert!(read.no_zone_tokens().is_some());
}
