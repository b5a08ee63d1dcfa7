//! Signals, health and metrics.

use crate::api::{Answer, Api};
use crate::tool::{Place, assert_no_secret, once};

#[tokio::test]
async fn both_signals_end_it_well() {
    let (api, place) = (Api::start().await, Place::new());
    api.add_key("1");
    for name in ["INT", "TERM"] {
        let running = place.run(&api, &[]);
        running.says(" keys=1 ").await;
        running.signal(name).await;
        let (status, said) = running.ended().await;
        assert_eq!(status.code(), Some(0), "{said}");
        assert!(said.ends_with(&format!("zonegate sync: stopped by SIG{name}\n")), "{said}");
    }
}

#[tokio::test]
async fn a_signal_ends_it_in_the_middle_of_a_poll_too() {
    let (api, place) = (Api::start().await, Place::new());
    api.state().answer = Answer::Never;
    let running = place.run(&api, &["--timeout", "1h"]);
    api.asked_again(1).await;
    running.stop(&api, &place).await;
    assert!(!place.ecds.exists());
}

#[tokio::test]
async fn hangup_polls_at_once() {
    let (api, place) = (Api::start().await, Place::new());
    api.add_key("1");
    let running = place.run(&api, &["--interval", "1h"]);
    running.says("replaced file=").await;
    api.revoke("id");
    running.signal("HUP").await;
    running.says("ids revoked=1").await;
    assert_eq!(api.asked().len(), 2);
    running.stop(&api, &place).await;
}

#[tokio::test]
async fn it_is_ready_once_the_file_is_current() {
    let (api, place) = (Api::start().await, Place::new());
    let running = place.run(&api, &[]);
    running.says("failed kind=no_keys ").await;
    assert_eq!(running.get("/healthz").await, (200, "ok\n".to_owned()));
    let not_yet = (503, "not current yet since the start\n".to_owned());
    assert_eq!(running.get("/readyz").await, not_yet);
    api.add_key("1");
    running.says("recovered failures=").await;
    assert_eq!(running.get("/readyz").await, (200, "ok\n".to_owned()));
    assert_eq!(running.get("/elsewhere").await.0, 404);
    running.stop(&api, &place).await;
}

#[tokio::test]
async fn metrics_tell_what_happened() {
    let (api, place) = (Api::start().await, Place::new());
    api.state().token = Some("an-admin-token".to_owned());
    let token = place.write("token", "an-admin-token");
    let running = place.run(&api, &["--token-file", &token]);
    running.says("failed kind=no_keys ").await;
    api.add_key("1");
    api.add_key("2");
    api.revoke("a,b,c");
    running.says("recovered failures=").await;
    let before = unix_time();
    api.asked_again(2).await;
    let metrics = running.get("/metrics").await.1;
    let value = |name: &str| -> f64 {
        let line = metrics.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("{name} is not in\n{metrics}")).parse().unwrap()
    };
    for (name, wanted) in [
        ("zonegate_sync_keys", 2.0),
        ("zonegate_sync_revocations", 3.0),
        ("zonegate_sync_changes_total", 1.0),
        ("zonegate_sync_consecutive_failures", 0.0),
        ("zonegate_sync_errors_total{kind=\"connect\"}", 0.0),
    ] {
        assert!((value(name) - wanted).abs() < 0.1, "{name}: {}", value(name));
    }
    assert!(value("zonegate_sync_errors_total{kind=\"no_keys\"}") >= 1.0);
    assert!(value("zonegate_sync_polls_total") >= 3.0);
    let (last, changed) = (
        value("zonegate_sync_last_success_timestamp_seconds"),
        value("zonegate_sync_last_change_timestamp_seconds"),
    );
    assert!(before <= last && last <= unix_time(), "{last}");
    assert!(changed > 0.0 && changed < last, "{changed}");
    assert!(metrics.ends_with("# EOF\n"));
    assert_no_secret(&api, &metrics, place.dir.path());
    running.stop(&api, &place).await;
}

fn unix_time() -> f64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    since.as_secs_f64()
}

/// Prometheus's own tool reads the metrics, if it is installed.
#[tokio::test]
async fn promtool_finds_nothing_wrong_with_the_metrics() {
    let (api, place) = (Api::start().await, Place::new());
    api.add_key("1");
    let running = place.run(&api, &[]);
    running.says("replaced file=").await;
    let metrics = running.get("/metrics").await.1;
    let file = place.write("metrics", &metrics);
    // `make test` sets this variable if it can get promtool.
    let promtool = std::env::var_os("PROMTOOL").filter(|path| !path.is_empty());
    let mut command = std::process::Command::new(promtool.unwrap_or("promtool".into()));
    let input = std::fs::File::open(file).unwrap();
    match command.args(["check", "metrics"]).stdin(input).output() {
        Ok(output) => {
            // promtool reads the older text format, in which a counter's help has _total in its name.
            let said =
                String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            let wrong = said.lines().find(|line| !line.ends_with("_total no help text"));
            assert_eq!(wrong, None, "{said}\n{metrics}");
        }
        Err(error) => println!("skipped: promtool: {error}"),
    }
}

#[tokio::test]
async fn a_listener_that_is_taken_is_an_error() {
    let (api, place) = (Api::start().await, Place::new());
    let taken = api.address.to_string();
    let (code, said) = once(place.command(&api, &["--listen", &taken])).await;
    let wanted = format!(
        "error: could not listen on {taken}; give another --listen (port 0 takes a free one): \
         Address already in use (os error 98)\n"
    );
    assert_eq!((code, said), (1, wanted));
}
