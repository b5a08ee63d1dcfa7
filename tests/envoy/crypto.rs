//! Signatures are verified by Envoy's cryptography or by the module's own.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Signer;
use rsa::PrivateKey;
use rsa::pkcs1::{EncodeRsaPrivateKey, LineEnding};
use serde_json::json;
use zonegate_issuer::SigningKey;
use zonegate_testkit::gateway::{Delivery, Form};
use zonegate_testkit::zone_proxy::Claimed;

use crate::form::{FilterOnly, WasmOnly, form};
use crate::harness::{Bench, Setup, claims};

const VM: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/\
                  http_filters/0/typed_config/config/vm_config";

/// A gateway whose VM configuration is `text`.
fn with_vm_configuration(text: &str) -> Bench {
    let mut bench = Bench::new();
    bench.options.delivery = Delivery::Gateway;
    let vm = json!({
        "vm_id": "zonegate",
        "runtime": "envoy.wasm.runtime.v8",
        "code": { "local": { "filename": bench.options.module } },
        "configuration": {
            "@type": "type.googleapis.com/google.protobuf.StringValue",
            "value": text,
        },
    });
    bench.options.edits.push((VM.to_owned(), vm));
    bench
}

/// A good token passes; a token that another key signed under the same kid does not.
async fn assert_tells_good_from_bad(setup: &Setup) {
    let connection = setup.connect().await;
    let good = setup.token();
    let mut stream = connection.sotw(Some(&good), Claimed::INGRESS).await.unwrap();
    stream.next().await.unwrap().unwrap();
    let stranger = SigningKey::generate(2048).unwrap();
    let forged = stranger.sign_raw(r#"{"alg":"RS256","kid":"1"}"#, claims().to_string());
    let refused = connection.sotw(Some(&forged), Claimed::INGRESS).await.unwrap_err();
    assert!(refused.message().starts_with("zonegate: invalid_signature: "), "{refused:?}");
}

#[tokio::test]
async fn envoys_arithmetic_is_used_unless_the_modules_own_is_asked_for() {
    if FilterOnly::Pushes.is_left_out() {
        return;
    }
    if WasmOnly::VmConfiguration.is_left_out() {
        return;
    }
    for (text, wanted) in [("", " crypto=host "), ("crypto=crate", " crypto=crate ")] {
        let setup = with_vm_configuration(text).start().await;
        assert_tells_good_from_bad(&setup).await;
        let log = setup.gateway.log().unwrap();
        assert!(log.contains(wanted), "{text:?}: {log}");
    }
}

/// A signature in a token consists of r and s; Envoy's cryptography needs DER.
#[tokio::test]
async fn es256_signatures_are_verified_by_envoy_and_by_the_module() {
    let signer = p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
    let point = signer.verifying_key().to_sec1_point(false);
    let jwk = json!({
        "kty": "EC", "crv": "P-256", "kid": "e",
        "x": URL_SAFE_NO_PAD.encode(point.x().unwrap()),
        "y": URL_SAFE_NO_PAD.encode(point.y().unwrap()),
    });
    let issuers = json!([{ "issuer": "https://east.example", "jwks": { "keys": [jwk] } }]);
    let claims = json!({
        "iss": "https://east.example", "aud": ["https://east.example"], "exp": 4_000_000_000_u64,
        "kubernetes.io": {
            "namespace": "demo", "serviceaccount": { "name": "ingress", "uid": "1" },
        },
    });
    let segments = [json!({ "alg": "ES256", "kid": "e" }), claims];
    let input = segments.map(|json| URL_SAFE_NO_PAD.encode(json.to_string())).join(".");
    let sign = |text: &str| {
        let signature: p256::ecdsa::Signature = signer.sign(text.as_bytes());
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    };
    let benches = match form() {
        Form::Wasm => vec![with_vm_configuration(""), with_vm_configuration("crypto=crate")],
        Form::Native | Form::Service => vec![Bench::new()],
    };
    for bench in benches {
        let setup = bench
            .set("serviceAccountToken", json!({ "issuers": issuers }))
            .set("proxies", json!({ "ingress": "serviceAccountToken" }))
            .start()
            .await;
        let connection = setup.connect().await;
        let refused = connection.sotw(Some(&sign("another")), Claimed::INGRESS).await.unwrap_err();
        assert!(refused.message().starts_with("zonegate: invalid_signature: "), "{refused:?}");
        // The proxy is not in that namespace. The gate says so only for a verified token.
        let opened = connection.sotw(Some(&sign(&input)), Claimed::INGRESS).await;
        let refused = match opened {
            Ok(mut stream) => stream.next().await.unwrap_err(),
            Err(refused) => refused,
        };
        assert!(refused.message().starts_with("zonegate: wrong_service_account: "), "{refused:?}");
    }
}

#[tokio::test]
async fn another_vm_configuration_is_refused() {
    if FilterOnly::Pushes.is_left_out() {
        return;
    }
    if WasmOnly::VmConfiguration.is_left_out() {
        return;
    }
    let mut bench = with_vm_configuration("crypto=none");
    bench.options.control_plane = "127.0.0.1:1".to_owned();
    let error = zonegate_testkit::gateway::Gateway::start(bench.options).await.unwrap_err();
    let error = format!("{error:#}");
    assert!(
        error.contains("VM configuration refused: it must be empty or crypto=crate"),
        "{error}"
    );
}

/// Every kind of key that Go accepts. Otherwise a configuration could be accepted although none of its tokens pass.
#[tokio::test]
async fn the_fast_arithmetic_takes_keys_of_other_sizes_and_exponents() {
    let sizes = [1024, 3072, 4096];
    let usual = sizes.map(|bits| (bits.to_string(), SigningKey::generate(bits).unwrap()));
    let others = [(1025, 65_537_u64), (1031, 3), (1536, 3), (2047, 17), (2048, 2_147_483_647)];
    let others = others.map(|(bits, exponent)| {
        let key = PrivateKey::new_with_exp(&mut rand::rng(), bits, exponent.into()).unwrap();
        let pem = key.to_pkcs1_pem(LineEnding::LF).unwrap();
        (format!("{bits}-{exponent}"), SigningKey::from_pem(&pem).unwrap())
    });
    let keys: Vec<_> = usual.into_iter().chain(others).collect();
    let public: Vec<_> =
        keys.iter().map(|(kid, key)| json!({ "kid": kid, "key": key.public_key_pem() })).collect();
    let setup = Bench::new().set("publicKeys", json!(public)).start().await;
    let connection = setup.connect().await;
    for (kid, key) in &keys {
        let header = json!({ "alg": "RS256", "kid": kid }).to_string();
        let token = key.sign_raw(&header, claims().to_string());
        let opened = connection.sotw(Some(&token), Claimed::INGRESS).await;
        let mut stream = opened.unwrap_or_else(|refused| panic!("{kid}: {refused:?}"));
        stream.next().await.unwrap().unwrap();
    }
    let by = match form() {
        Form::Wasm => " crypto=host ",
        Form::Native => " crypto=aws-lc ",
        Form::Service => " crypto=ring ",
    };
    assert!(setup.gateway.log().unwrap().contains(by));
}
