//! The page of `zonegate sync` with the metrics of a real Envoy.

use tokio::time::{Duration, sleep, timeout};
use zonegate_testkit::zone_proxy::Claimed;
use zonegate_tool::sync::{GatewayAdmin, Status};

use crate::form::FilterOnly;
use crate::harness::{Bench, LIMIT};

#[tokio::test]
async fn the_page_shows_what_a_real_envoy_counts() {
    if FilterOnly::Stats.is_left_out() {
        return;
    }
    let setup = Bench::new().start().await;
    let connection = setup.connect().await;
    connection.sotw(Some("garbage"), Claimed::INGRESS).await.unwrap_err();
    let mut open = connection.sotw(Some(&setup.token()), Claimed::INGRESS).await.unwrap();
    assert!(open.next().await.unwrap().is_some());
    let url = format!("http://{}", setup.gateway.admin_address());
    let (admin, status) = (GatewayAdmin::parse(&url).unwrap(), Status::default());
    let row = "<code>malformed_token</code></td><td data-label=\"Last hour\" class=\"number\">0</td>\
               <td data-label=\"Since the start\" class=\"number\">1</td>";
    let shown = async {
        // The gauge is updated every tenth of a second, and Envoy is asked every five seconds.
        while !(status.page().contains(row) && status.page().contains("<dt>Open</dt><dd>1</dd>")) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        never = admin.watch(&status, |line| panic!("{line}")) => match never {},
        shown = timeout(LIMIT, shown) => assert!(shown.is_ok(), "{}", status.page()),
    }
}
