//! Two clusters, and the objects in them.
//!
//! Both have the default issuer of clusters, and so differ only in their keys. East signs with RSA, and also accepts a
//! P-256 and a P-384 key; west signs with another P-256 key.

use rcgen::{KeyPair, PKCS_ECDSA_P384_SHA384};
use serde_json::Value;
use zonegate_issuer::{SigningKey, spki_pem};
use zonegate_testkit::kubernetes::{Api, Cluster, Options, Programs};

use crate::mint::Keys;

/// The default issuer of clusters.
pub(crate) const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
/// A former issuer, which east still accepts.
pub(crate) const FORMER_ISSUER: &str = "https://former.example";
/// The namespace of everything except `other`.
pub(crate) const NAMESPACE: &str = "demo";
/// The pod of the service account `backend`, which sends most tokens.
pub(crate) const POD: &str = "backend-7d9f4c-x2x8k";

/// Both clusters.
pub(crate) struct World {
    pub(crate) east: Place,
    pub(crate) west: Place,
    /// The private keys of east.
    pub(crate) keys: Keys,
}

/// One cluster.
pub(crate) struct Place {
    pub(crate) name: &'static str,
    pub(crate) cluster: Cluster,
    /// The document `/openid/v1/jwks`, unchanged.
    pub(crate) jwks: String,
}

impl World {
    pub(crate) async fn start() -> Self {
        let programs = Programs::from_environment().unwrap_or_else(|error| panic!("{error:#}"));
        let rsa = SigningKey::generate(2048).unwrap();
        let p256 = KeyPair::generate().unwrap();
        let p384 = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
        let mut options = Options::new(&rsa.to_pem(), &spki_pem(&rsa.public_key()));
        options.public_keys.extend([&p256, &p384].map(KeyPair::public_key_pem));
        options.more_issuers = vec![FORMER_ISSUER.to_owned()];
        let western = KeyPair::generate().unwrap();
        let western = Options::new(&western.serialize_pem(), &western.public_key_pem());
        let (east, west) = tokio::join!(
            Place::start("east", &programs, &options),
            Place::start("west", &programs, &western),
        );
        let keys = Keys::new(&rsa, &p256, &p384, &east.jwks);
        Self { east, west, keys }
    }
}

impl Place {
    async fn start(name: &'static str, programs: &Programs, options: &Options) -> Self {
        let cluster = Cluster::start(programs, options).await;
        let cluster = cluster.unwrap_or_else(|error| panic!("{name}: {error:#}"));
        let jwks = cluster.api().jwks().await.unwrap();
        populate(cluster.api()).await.unwrap_or_else(|error| panic!("{name}: {error:#}"));
        Self { name, cluster, jwks }
    }

    pub(crate) fn api(&self) -> &Api {
        self.cluster.api()
    }

    /// The service account of the pod with this node id, as the API server knows it.
    pub(crate) async fn account_of(&self, node_id: &str) -> Option<String> {
        let (_mesh, name) = node_id.split_once('.').unwrap();
        let (pod, namespace) = name.rsplit_once('.').unwrap();
        let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}");
        let pod: Value = serde_json::from_str(&self.api().get(&path).await.unwrap()?).unwrap();
        Some(pod["spec"]["serviceAccountName"].as_str().unwrap().to_owned())
    }
}

async fn populate(api: &Api) -> anyhow::Result<()> {
    api.create_node("node-1").await?;
    for (namespace, account) in
        [(NAMESPACE, "backend"), (NAMESPACE, "frontend"), ("other", "backend")]
    {
        if account == "backend" {
            api.create_namespace(namespace).await?;
        }
        api.create_service_account(namespace, account).await?;
    }
    let pods = [
        (NAMESPACE, POD, "backend", None),
        (NAMESPACE, "backend-7d9f4c-second", "backend", None),
        (NAMESPACE, "backend-on-a-node", "backend", Some("node-1")),
        (NAMESPACE, "backend.with.dots", "backend", None),
        (NAMESPACE, "frontend-0", "frontend", None),
        ("other", "backend-0", "backend", None),
    ];
    for (namespace, name, account, node) in pods {
        api.create_pod(namespace, name, account, node).await?;
    }
    Ok(())
}
