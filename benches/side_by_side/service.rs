//! The authorization service that an Envoy can ask instead: this project's own judge, natively, in a
//! process of its own on one thread.
//!
//! In: a policy on stdin. Out: its address on stdout, then verdicts. It sees the headers only, so it
//! does not know what proxy connects, and no push reaches the streams that it has let pass.

use std::cell::OnceCell;
use std::io::Read;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::SystemTime;

use anyhow::Context;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::HttpRequest;
use envoy_types::pb::envoy::service::auth::v3::authorization_server::{
    Authorization, AuthorizationServer,
};
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{
    CheckRequest, CheckResponse, DeniedHttpResponse, OkHttpResponse,
};
use envoy_types::pb::envoy::r#type::v3::HttpStatus;
use envoy_types::pb::google::rpc;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status};
use zonegate::config::Config;
use zonegate::credential::TokenCache;
use zonegate::gate::{Head, Judge, Now, Policy, UnixTime, Verdict};
use zonegate::token::RSA_CRATE;

/// The argument that makes this program the service.
pub(crate) const SERVE: &str = "serve-ext-authz";

/// A running service. Dropped, it is killed.
pub(crate) struct Service {
    _child: Child,
    pub(crate) pid: u32,
    pub(crate) address: SocketAddr,
}

impl Service {
    pub(crate) async fn start(policy: &Value) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(SERVE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut stdin = child.stdin.take().context("no stdin")?;
        stdin.write_all(policy.to_string().as_bytes()).await?;
        drop(stdin);
        let mut address = String::new();
        let stdout = child.stdout.take().context("no stdout")?;
        BufReader::new(stdout).read_line(&mut address).await?;
        let address = address.trim().parse().context("the service did not start")?;
        let pid = child.id().context("the service has ended")?;
        Ok(Self { _child: child, pid, address })
    }
}

/// The service itself, until it is killed.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let mut policy = Vec::new();
    std::io::stdin().read_to_end(&mut policy)?;
    let Config { policy, warnings: _ } = Config::from_host(policy, &RSA_CRATE)?;
    JUDGE.with(|cell| cell.get_or_init(|| (policy, TokenCache::default())).0.mode);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    Server::builder()
        .add_service(AuthorizationServer::new(Judging))
        .serve_with_incoming(TcpListenerStream::new(listener))
        .await?;
    Ok(())
}

thread_local! {
    /// Of the one thread that there is. It remembers verified tokens, as the filter does.
    static JUDGE: OnceCell<(Policy, TokenCache)> = const { OnceCell::new() };
}

struct Judging;

#[tonic::async_trait]
impl Authorization for Judging {
    async fn check(
        &self,
        request: Request<CheckRequest>,
    ) -> Result<Response<CheckResponse>, Status> {
        let attributes = request.into_inner().attributes.and_then(|all| all.request);
        let http = attributes.and_then(|request| request.http);
        let http = http.ok_or_else(|| Status::invalid_argument("no request to judge"))?;
        let clock = Now(UnixTime::of(SystemTime::now()));
        let verdict = JUDGE.with(|cell| {
            let (policy, cache) = cell.get()?;
            Some(Judge::new(policy, cache).headers(&head(&http), clock))
        });
        Ok(Response::new(match verdict {
            None | Some(Verdict::Deny(_)) => refused(),
            Some(Verdict::Allow(_) | Verdict::Hold(_)) => passed(),
        }))
    }
}

fn head(http: &HttpRequest) -> Head<'_> {
    let all = |name: &str| http.headers.get(name).map(String::as_bytes).into_iter().collect();
    Head {
        method: http.method.as_bytes(),
        path: http.path.as_bytes(),
        content_type: all("content-type"),
        authorization: all("authorization"),
        ..Head::default()
    }
}

fn passed() -> CheckResponse {
    answer(Code::Ok, HttpResponse::OkResponse(OkHttpResponse::default()))
}

fn refused() -> CheckResponse {
    let denied = DeniedHttpResponse {
        status: Some(HttpStatus { code: 401 }),
        ..DeniedHttpResponse::default()
    };
    answer(Code::Unauthenticated, HttpResponse::DeniedResponse(denied))
}

fn answer(code: Code, response: HttpResponse) -> CheckResponse {
    let status = rpc::Status { code: code.into(), ..rpc::Status::default() };
    CheckResponse {
        status: Some(status),
        http_response: Some(response),
        ..CheckResponse::default()
    }
}
