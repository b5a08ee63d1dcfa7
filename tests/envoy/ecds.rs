//! The two other ways in which a policy reaches Envoy: a ConfigMap's symlink swap, and a management server.

use std::fs;
use std::os::unix::fs::symlink;
use std::pin::Pin;
use std::time::Instant;

use envoy_types::pb::envoy::config::core::v3::{
    AsyncDataSource, DataSource, TypedExtensionConfig, async_data_source, data_source,
};
use envoy_types::pb::envoy::extensions::dynamic_modules::v3::DynamicModuleConfig;
use envoy_types::pb::envoy::extensions::filters::http::dynamic_modules::v3::DynamicModuleFilter;
use envoy_types::pb::envoy::extensions::filters::http::wasm::v3::Wasm;
use envoy_types::pb::envoy::extensions::wasm::v3::{PluginConfig, VmConfig, plugin_config};
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use envoy_types::pb::envoy::service::extension::v3::extension_config_discovery_service_server::{
    ExtensionConfigDiscoveryService, ExtensionConfigDiscoveryServiceServer,
};
use envoy_types::pb::google::protobuf::{Any, BoolValue, StringValue};
use prost::Message;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};
use zonegate_testkit::gateway::{Form, Gateway};
use zonegate_testkit::zone_proxy::Claimed;

use crate::form::{FilterOnly, form, module};
use crate::harness::{Bench, LIMIT, Setup, policy};

/// The source of the policy in `envoy/gateway.yaml`.
pub(crate) const SOURCE: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config\
                      /http_filters/0/config_discovery/config_source";

/// Waits until the token of the harness is refused, as revoked.
pub(crate) async fn is_revoked(setup: &Setup) {
    let (token, connection) = (setup.token(), setup.connect().await);
    let start = Instant::now();
    loop {
        let opened = connection.sotw(Some(&token), Claimed::INGRESS).await;
        // A stream that began before the push may be cut by it.
        if matches!(&opened, Err(refused) if refused.message().starts_with("zonegate: revoked: ")) {
            return;
        }
        assert!(start.elapsed() < LIMIT, "the push did not arrive: {:?}", opened.err());
    }
}

/// Kubernetes writes a ConfigMap into a new folder and swaps the symlink `..data` by a rename.
#[tokio::test]
async fn the_symlink_swap_of_a_config_map_is_a_push() {
    if FilterOnly::Pushes.is_left_out() {
        return;
    }
    let mut bench = Bench::new();
    let map = bench.scratch().join("map");
    fs::create_dir_all(map.join("..1")).unwrap();
    fs::create_dir(map.join("..2")).unwrap();
    symlink("..1", map.join("..data")).unwrap();
    symlink("..data/zonegate.yaml", map.join("zonegate.yaml")).unwrap();
    let file = |folder: &str| map.join(folder).join("zonegate.yaml");
    bench.options.edits = vec![
        (format!("{SOURCE}/path_config_source/path"), json!(map.join("zonegate.yaml"))),
        (format!("{SOURCE}/path_config_source/watched_directory/path"), json!(map)),
    ];
    let key_policy = policy(&bench.key);
    fs::write(file("..1"), resource(&key_policy)).unwrap();
    let setup = bench.start().await;
    let token = setup.token();
    setup.connect().await.sotw(Some(&token), Claimed::INGRESS).await.unwrap();
    let mut revoking = key_policy;
    revoking["revocations"] = json!("id-1");
    fs::write(file("..2"), resource(&revoking)).unwrap();
    symlink("..2", map.join("..data_tmp")).unwrap();
    fs::rename(map.join("..data_tmp"), map.join("..data")).unwrap();
    is_revoked(&setup).await;
}

/// The ECDS file of the form under test, with this policy.
pub(crate) fn resource(policy: &Value) -> String {
    let form = form();
    let mut ecds: Value = serde_saphyr::from_str(form.ecds()).unwrap();
    let filter = ecds.pointer_mut("/resources/0/typed_config").unwrap();
    *filter.pointer_mut(form.code()).unwrap() = json!(module());
    filter.pointer_mut(form.policy()).unwrap()["value"] = policy.clone();
    ecds.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_management_server_pushes_by_grpc() {
    if FilterOnly::Pushes.is_left_out() {
        return;
    }
    let mut bench = Bench::new();
    let (pushes, policies) = watch::channel(policy(&bench.key));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let module = module().to_str().unwrap().to_owned();
    let server = ExtensionConfigDiscoveryServiceServer::new(Management { policies, module });
    let serving = tonic::transport::Server::builder()
        .add_service(server)
        .serve_with_incoming(TcpListenerStream::new(listener));
    let serving = tokio::spawn(serving);
    let service = json!({ "google_grpc": { "target_uri": target, "stat_prefix": "management" } });
    let source = json!({
        "resource_api_version": "V3",
        "initial_fetch_timeout": "15s",
        "api_config_source": {
            "api_type": "GRPC",
            "transport_api_version": "V3",
            "grpc_services": [service],
        },
    });
    bench.options.edits.push((SOURCE.to_owned(), source));
    let setup = bench.start().await;
    let (token, connection) = (setup.token(), setup.connect().await);
    let mut stream = connection.sotw(Some(&token), Claimed::INGRESS).await.unwrap();
    stream.next().await.unwrap().unwrap();
    // A bad policy first, which changes nothing.
    let mut bad = policy(&setup.key);
    bad["zone"] = json!("");
    pushes.send_replace(bad);
    rejected(&setup.gateway).await;
    connection.sotw(Some(&token), Claimed::INGRESS).await.unwrap();
    let mut revoking = policy(&setup.key);
    revoking["revocations"] = json!("id-1");
    pushes.send_replace(revoking);
    is_revoked(&setup).await;
    assert!(tokio::time::timeout(LIMIT, stream.next()).await.unwrap().is_err());
    serving.abort();
}

async fn rejected(gateway: &Gateway) {
    let stat = "extension_config_discovery.http_filter.zonegate.update_rejected";
    gateway.wait_stat(stat, 1, LIMIT).await.unwrap();
    assert!(gateway.log().unwrap().contains("configuration refused: zone: must not be empty"));
}

/// A management server with one resource.
struct Management {
    policies: watch::Receiver<Value>,
    module: String,
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl ExtensionConfigDiscoveryService for Management {
    type StreamExtensionConfigsStream = Answers<DiscoveryResponse>;
    type DeltaExtensionConfigsStream = Answers<DeltaDiscoveryResponse>;

    async fn stream_extension_configs(
        &self,
        request: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamExtensionConfigsStream>, Status> {
        let (mut policies, module) = (self.policies.clone(), self.module.clone());
        let (sender, receiver) = mpsc::channel(4);
        let mut requests = request.into_inner();
        tokio::spawn(async move {
            requests.next().await;
            policies.mark_changed();
            let mut version = 0;
            // ACKs and NACKs are read and not answered.
            let acknowledged = async { while requests.next().await.is_some() {} };
            let pushed = async {
                while policies.changed().await.is_ok() {
                    version += 1;
                    let response = response(version, &policies.borrow_and_update(), &module);
                    sender.send(Ok(response)).await.ok();
                }
            };
            tokio::select! { () = acknowledged => {}, () = pushed => {} }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn delta_extension_configs(
        &self,
        _: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaExtensionConfigsStream>, Status> {
        Err(Status::unimplemented("state of the world only"))
    }

    async fn fetch_extension_configs(
        &self,
        _: Request<DiscoveryRequest>,
    ) -> Result<Response<DiscoveryResponse>, Status> {
        Err(Status::unimplemented("streams only"))
    }
}

fn response(version: u32, policy: &Value, module: &str) -> DiscoveryResponse {
    let filter = match form() {
        Form::Wasm => any("envoy.extensions.filters.http.wasm.v3.Wasm", &wasm(policy, module)),
        Form::Native => any(
            "envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter",
            &native(policy, module),
        ),
        Form::Service => panic!("a management server pushes no policy to a service"),
    };
    let config = TypedExtensionConfig { name: "zonegate".to_owned(), typed_config: Some(filter) };
    DiscoveryResponse {
        version_info: version.to_string(),
        nonce: version.to_string(),
        type_url: "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig".to_owned(),
        resources: vec![any("envoy.config.core.v3.TypedExtensionConfig", &config)],
        ..DiscoveryResponse::default()
    }
}

/// As in `envoy/ecds/zonegate.yaml`, with the policy as JSON in a `StringValue`.
fn wasm(policy: &Value, module: &str) -> Wasm {
    let json = StringValue { value: policy.to_string() };
    let vm = VmConfig {
        vm_id: "zonegate".to_owned(),
        runtime: "envoy.wasm.runtime.v8".to_owned(),
        code: Some(local(module)),
        ..VmConfig::default()
    };
    Wasm {
        config: Some(PluginConfig {
            name: "zonegate".to_owned(),
            root_id: "zonegate".to_owned(),
            configuration: Some(any("google.protobuf.StringValue", &json)),
            vm: Some(plugin_config::Vm::VmConfig(vm)),
            allow_on_headers_stop_iteration: Some(BoolValue { value: true }),
            ..PluginConfig::default()
        }),
    }
}

/// As in `envoy/ecds/zonegate-native.yaml`, with the policy as JSON in a `StringValue`.
fn native(policy: &Value, module: &str) -> DynamicModuleFilter {
    let json = StringValue { value: policy.to_string() };
    DynamicModuleFilter {
        dynamic_module_config: Some(DynamicModuleConfig {
            module: Some(local(module)),
            do_not_close: true,
            ..DynamicModuleConfig::default()
        }),
        filter_name: "zonegate".to_owned(),
        filter_config: Some(any("google.protobuf.StringValue", &json)),
        ..DynamicModuleFilter::default()
    }
}

fn local(file: &str) -> AsyncDataSource {
    let file = data_source::Specifier::Filename(file.to_owned());
    let local = DataSource { specifier: Some(file), ..DataSource::default() };
    AsyncDataSource { specifier: Some(async_data_source::Specifier::Local(local)) }
}

fn any(name: &str, message: &impl Message) -> Any {
    Any { type_url: format!("type.googleapis.com/{name}"), value: message.encode_to_vec() }
}
