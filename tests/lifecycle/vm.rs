//! The gateways of one VM: each has its own lifecycle, and their gauges are added up.

use std::sync::Arc;
use std::time::Duration;

use zonegate::gate::{ADS_SOTW, Now, UnixTime};
use zonegate::lifecycle::{Clocks, Effect, Request, Step, StreamId};
use zonegate::metrics::{Change, Gauge, Metric};
use zonegate::token::RSA_CRATE;
use zonegate::vm::Vm;

use crate::host::{START, Shown, bytes, token};
use crate::vm_host::{Shared, revoking};

const NOW: Clocks =
    Clocks { wall: Now(Some(UnixTime::from_secs(START))), monotonic: Duration::from_secs(1) };

/// Configures a gateway with a policy that revokes these ids.
fn configure(vm: &mut Vm, shared: &Shared, gateway: &Arc<str>, revoked: &str) {
    let configuration = revoking(revoked);
    let gateway = vm.gateway(gateway);
    let configured = gateway.on_configuration(shared, configuration, NOW, &mut Vec::new());
    assert!(configured.is_accepted);
}

/// Whether a stream with the token `good` is let in; it stays open.
fn lets_in(vm: &mut Vm, gateway: &Arc<str>, id: u32) -> bool {
    let (id, text, mut effects) = (StreamId(id), token("good"), Vec::new());
    let headers: [(&[u8], &[u8]); 4] = [
        (b":method", b"POST"),
        (b":path", ADS_SOTW.as_bytes()),
        (b"content-type", b"application/grpc"),
        (b"authorization", text.as_bytes()),
    ];
    let life = &mut vm.gateway(gateway).lifecycle;
    let request = Request::new(id, life.policy_number(), headers.into_iter(), false);
    let _ = life.on_headers(&request, NOW.wall, &mut effects);
    let message = bytes("ingress");
    life.on_body(id, &Shown(&message), false, &|| NOW.wall, &mut effects) == Step::Continue
}

/// How much a tick of this gateway changes the total number of open streams.
fn reports(vm: &mut Vm, shared: &Shared, gateway: &Arc<str>) -> i64 {
    let mut effects = Vec::new();
    vm.gateway(gateway).on_tick(shared, NOW, &mut effects);
    let changes = effects.iter().filter_map(|effect| match effect {
        Effect::Change(Metric::Gauge(Gauge::Open), Change::Add(by)) => Some(*by),
        _ => None,
    });
    changes.sum()
}

#[test]
fn each_gateway_of_a_vm_has_a_life_of_its_own() {
    let (shared, [first, second]) = (Shared::default(), ["first", "second"].map(Arc::from));
    let mut vm = Vm::new(1, 1, &RSA_CRATE);
    configure(&mut vm, &shared, &first, "");
    configure(&mut vm, &shared, &second, "id-1");
    assert!(lets_in(&mut vm, &first, 1));
    assert!(!lets_in(&mut vm, &second, 2));
    assert!(lets_in(&mut vm, &Arc::from("first"), 3), "a gateway is known by its name");
    assert_eq!(vm.gateway(&first).lifecycle.gauges().open, 2);
}

/// Two gateways in each of two VMs, each with one open stream.
#[test]
fn the_reports_of_the_gateways_of_all_vms_add_up() {
    let (shared, names) = (Shared::default(), ["first", "second"].map(Arc::from));
    let mut sum = 0;
    for mut vm in [Vm::new(1, 1, &RSA_CRATE), Vm::new(2, 1, &RSA_CRATE)] {
        for name in &names {
            configure(&mut vm, &shared, name, "");
            assert!(lets_in(&mut vm, name, 1));
            sum += reports(&mut vm, &shared, name);
        }
    }
    assert_eq!(sum, 4);
}

/// Envoy makes new VMs for another VM configuration. Those before it, which follow them, do not go back to a
/// configuration that they had before.
#[test]
fn another_vm_configuration_makes_another_module() {
    let (shared, name) = (Shared::default(), Arc::from("gateway"));
    let configure = |vm: &mut Vm, revoked: &str| {
        let gateway = vm.gateway(&name);
        let given = gateway.on_configuration(&shared, revoking(revoked), NOW, &mut Vec::new());
        given.number.unwrap()
    };
    let [mut before, mut after] = [(1, "before"), (2, "after")].map(|(number, configuration)| {
        let mut vm = Vm::new(number, 1, &RSA_CRATE);
        vm.start(&RSA_CRATE, configuration.as_bytes());
        vm
    });
    let dropped = configure(&mut before, "id-1");
    configure(&mut before, "");
    let _ = reports(&mut before, &shared, &name);
    configure(&mut after, "id-1");
    let tick = |vm: &mut Vm, seconds| {
        let now = Clocks { monotonic: Duration::from_secs(seconds), ..NOW };
        vm.gateway(&name).on_tick(&shared, now, &mut Vec::new());
    };
    tick(&mut after, 2);
    tick(&mut before, 2);
    before.gateway(&name).on_configuration_dropped(&shared, dropped);
    tick(&mut before, 3);
    tick(&mut after, 3);
    for vm in [&mut before, &mut after] {
        assert!(!lets_in(vm, &name, 1), "the policy that came last revokes it");
    }
}
