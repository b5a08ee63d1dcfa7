//! A headless Chromium, controlled by WebDriver (W3C), and by DevTools where WebDriver is not enough.

use std::ffi::OsString;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::sleep;
use zonegate_testkit::process::{Log, Process};

/// Longer than anything here takes on a slow machine.
const LIMIT: Duration = Duration::from_secs(60);

/// A browser with one page. It ends when it is dropped.
pub(crate) struct Browser {
    client: Client<HttpConnector, Full<Bytes>>,
    session: String,
    driver: Process,
    /// The folder of the browser's own files.
    _dir: TempDir,
}

impl Browser {
    /// `None` if there is no ChromeDriver.
    pub(crate) async fn start() -> Option<Self> {
        let named = std::env::var_os("CHROMEDRIVER").filter(|path| !path.is_empty());
        let program = named.unwrap_or_else(|| OsString::from("chromedriver"));
        if std::process::Command::new(&program).arg("--version").output().is_err() {
            println!("skipped: no chromedriver on PATH");
            return None;
        }
        let dir = TempDir::new().unwrap();
        let mut command = Command::new(program);
        command.arg("--port=0");
        let mut driver = Process::start(command, Log::File, dir.path().join("log")).unwrap();
        let port = port(&mut driver).await;
        let client = Client::builder(TokioExecutor::new()).build_http();
        let mut browser =
            Self { client, session: format!("http://127.0.0.1:{port}/session"), driver, _dir: dir };
        let data = browser._dir.path().join("profile");
        let created = browser.command(Method::POST, "", capabilities(data.to_str().unwrap())).await;
        let id = created["sessionId"].as_str().unwrap();
        browser.session = format!("{}/{id}", browser.session);
        Some(browser)
    }

    /// Loads a page.
    pub(crate) async fn open(&self, url: &str) {
        self.command(Method::POST, "/url", json!({ "url": url })).await;
    }

    /// Runs a function with this body in the page. Returns its result.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.command(Method::POST, "/execute/sync", json!({ "script": script, "args": [] })).await
    }

    /// Sets the size of the screen, and the colour scheme that the reader prefers.
    pub(crate) async fn screen(&self, width: u32, height: u32, scheme: &str) {
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600,
        });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// A picture of the whole page, including the part below the screen. The format is png or webp.
    pub(crate) async fn picture(&self, format: &str) -> Vec<u8> {
        let mut whole = json!({ "captureBeyondViewport": true, "format": format });
        if format == "webp" {
            whole["quality"] = json!(60);
        }
        let picture = self.devtools("Page.captureScreenshot", whole).await;
        STANDARD.decode(picture["data"].as_str().unwrap()).unwrap()
    }

    /// The browser's log since the last call: errors of scripts, and what a policy did not allow.
    pub(crate) async fn said(&self) -> Vec<String> {
        let said = self.command(Method::POST, "/se/log", json!({ "type": "browser" })).await;
        let lines = said.as_array().unwrap().iter();
        lines.map(|line| line["message"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) async fn stop(mut self) {
        self.command(Method::DELETE, "", json!({})).await;
        self.driver.stop().await;
    }

    async fn devtools(&self, name: &str, params: Value) -> Value {
        let command = json!({ "cmd": name, "params": params });
        self.command(Method::POST, "/goog/cdp/execute", command).await
    }

    async fn command(&self, method: Method, path: &str, body: Value) -> Value {
        let uri = format!("{}{path}", self.session);
        let request = Request::builder().method(method).uri(&uri);
        let request = request.header("content-type", "application/json");
        let request = request.body(Full::from(body.to_string())).unwrap();
        let asking = async {
            let answer = self.client.request(request).await.unwrap();
            answer.into_body().collect().await.unwrap().to_bytes()
        };
        let answer = tokio::time::timeout(LIMIT, asking).await.unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        let value = answer["value"].clone();
        assert!(value.get("error").is_none(), "{uri}: {value:#}");
        value
    }
}

/// The port that ChromeDriver says it has taken.
async fn port(driver: &mut Process) -> u16 {
    let start = std::time::Instant::now();
    loop {
        let log = driver.log().unwrap();
        let port = log.split("started successfully on port ").nth(1);
        if let Some(port) = port.and_then(|rest| rest.split('.').next()?.parse().ok()) {
            return port;
        }
        let ended = driver.ended().unwrap();
        assert!(ended.is_none() && start.elapsed() < LIMIT, "chromedriver does not start: {log}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// The browser loads only the pages here. Its sandbox does not run in containers.
fn capabilities(data: &str) -> Value {
    let mut options = json!({ "args": [
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic",
        "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
        format!("--user-data-dir={data}"),
    ] });
    if let Some(binary) = std::env::var_os("CHROMIUM").filter(|path| !path.is_empty()) {
        options["binary"] = json!(binary.to_str().unwrap());
    }
    json!({ "capabilities": { "alwaysMatch": {
        "goog:chromeOptions": options,
        "goog:loggingPrefs": { "browser": "ALL" },
    } } })
}
