//! Streams that pass, and what the control plane sees of them.

use zonegate::demo::zone_proxy::Claimed;

use crate::harness::{Bench, LIMIT};

#[tokio::test]
async fn a_good_token_opens_a_stream() {
    let setup = Bench::new().start().await;
    let token = setup.token();
    let connection = setup.connect().await;
    let mut sotw = connection.sotw(Some(&token), Claimed::INGRESS).await.unwrap();
    assert!(sotw.next().await.unwrap().is_some());
    let mut delta = connection.delta(Some(&token), Claimed::EGRESS).await.unwrap();
    assert!(delta.next().await.unwrap().is_some());
    setup.gateway.wait_stat("wasmcustom.zonegate.streams.open", 2, LIMIT).await.unwrap();
    sotw.close().await.unwrap();
    delta.close().await.unwrap();
    setup.gateway.wait_stat("wasmcustom.zonegate.streams.open", 0, LIMIT).await.unwrap();
    let refused = connection.sotw(None, Claimed::INGRESS).await.unwrap_err();
    println!("{refused:?}");
    println!("{}", setup.gateway.log().unwrap());
    println!("{}", setup.gateway.admin("/stats?filter=zonegate").await.unwrap());
    setup.gateway.stop().await;
}
