//! `zonegate demo verdicts`: good and bad connections, and their outcomes, as a table.

mod script;

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::Args;
use comfy_table::{Table, presets};
use script::{Connection, Seen};
use serde_json::json;
use zonegate::gate::Reason;
use zonegate_testkit::control_plane::{self, ControlPlane};
use zonegate_testkit::gateway::{Gateway, Pushed};

use super::{Programs, Sandbox};
use crate::cli::output::say;

/// Drive good and bad connections through the gateway and compare the verdicts
#[derive(Args)]
pub(crate) struct Verdicts {
    #[command(flatten)]
    programs: Programs,
}

/// How long an allowed request may take to arrive at the control plane.
const ARRIVAL: Duration = Duration::from_secs(5);

/// A connection and its outcome.
struct Row {
    name: &'static str,
    expected: String,
    seen: Seen,
    arrived: bool,
}

impl Row {
    fn agrees(&self) -> bool {
        let allowed = self.expected == script::ALLOWED;
        self.expected == self.seen.verdict && self.arrived == allowed
    }
}

impl Verdicts {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let sandbox = Sandbox::new()?;
        let behind = control_plane::Options::new(&sandbox.certificates);
        let control_plane = ControlPlane::start(behind).await?;
        let mut policy = sandbox.policy();
        set(&mut policy, "firstMessageSeconds", json!(1))?;
        let address = control_plane.address().to_string();
        say!("Starting Envoy ...");
        let options = sandbox.options(&self.programs, address, policy.clone())?;
        let gateway = Gateway::start(options).await?;
        let mut rows = Vec::new();
        let (before, revoked, after) = script::connections(&sandbox)?;
        for connection in before {
            rows.push(drive(connection, &gateway, &sandbox, &control_plane).await?);
        }
        set(&mut policy, "revocations", json!([revoked]))?;
        set(&mut policy, "proxies", json!({ "dataplane": "pass" }))?;
        let pushed = gateway.push(&policy).await?;
        ensure!(pushed == Pushed::Accepted, "Envoy refused the push");
        for connection in after {
            rows.push(drive(connection, &gateway, &sandbox, &control_plane).await?);
        }
        gateway.stop().await;
        // All earlier requests have arrived by now, because the last connection was one that passes.
        let late = control_plane.recorder().count();
        ensure!(late == 1, "{late} requests reached the control plane at the end, not 1");
        print(&rows);
        control_plane.stop().await;
        conclude(&rows)
    }
}

async fn drive(
    connection: Connection,
    gateway: &Gateway,
    sandbox: &Sandbox,
    control_plane: &ControlPlane,
) -> anyhow::Result<Row> {
    let Connection { name, expected, .. } = &connection;
    let (name, expected) = (*name, expected.clone());
    let recorder = control_plane.recorder();
    recorder.clear();
    let seen = connection.drive(gateway.address(), &sandbox.certificates.ca).await;
    let seen = seen.with_context(|| name.to_owned())?;
    if seen.verdict == script::ALLOWED {
        // An error makes a row that does not agree.
        recorder.wait_for(|recorder| recorder.count() > 0, ARRIVAL).await.ok();
    }
    Ok(Row { name, expected, seen, arrived: recorder.count() > 0 })
}

fn print(rows: &[Row]) {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED);
    table.set_header(["connection", "expected", "seen", "reached the control plane", ""]);
    for row in rows {
        table.add_row([
            row.name,
            &row.expected,
            &row.seen.verdict,
            if row.arrived { "yes" } else { "no" },
            if row.agrees() { "ok" } else { "WRONG" },
        ]);
    }
    say!("\n{table}\n\nWhat a refused proxy is told:\n");
    for row in rows.iter().filter(|row| !row.seen.message.is_empty()) {
        say!("  {}:\n    {}", row.name, row.seen.message);
    }
}

/// Checks that every reason was shown, and that every row agrees.
fn conclude(rows: &[Row]) -> anyhow::Result<()> {
    let shown = |reason: &Reason| rows.iter().any(|row| row.seen.verdict == reason.as_str());
    let missing: Vec<_> = Reason::ALL.into_iter().filter(|reason| !shown(reason)).collect();
    // The demo's policy accepts only zone tokens.
    let of_other_tokens = [Reason::WrongMesh, Reason::WrongProxy, Reason::WrongServiceAccount];
    let in_trouble = [Reason::ClockUnavailable, Reason::PolicyUnavailable, Reason::Overloaded];
    let not_shown = [of_other_tokens, in_trouble];
    ensure!(missing == not_shown.concat(), "these reasons were not seen: {missing:?}");
    let [of_other_tokens, in_trouble] =
        not_shown.map(|reasons| reasons.map(Reason::as_str).join(", "));
    say!(
        "\nNot shown: {of_other_tokens}, for they are of other tokens; {in_trouble}, for each takes a \
         gateway in trouble."
    );
    let wrong = rows.iter().filter(|row| !row.agrees()).count();
    if wrong > 0 {
        bail!("{wrong} of {} verdicts are not as expected", rows.len());
    }
    say!("All {} verdicts are as expected.", rows.len());
    Ok(())
}

fn set(
    policy: &mut serde_json::Value,
    field: &str,
    value: serde_json::Value,
) -> anyhow::Result<()> {
    let fields = policy.as_object_mut().context("the policy is no object")?;
    fields.insert(field.to_owned(), value);
    Ok(())
}
