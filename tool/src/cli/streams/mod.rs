//! `zonegate streams`.
//!
//! In: the access log of a gateway, in the format of `envoy/gateway.yaml`. Out: the streams that are open according to
//! the log. Envoy is not asked, because it has no list of its streams. The log is not verified.

mod list;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};
use list::{List, Wanted};
use zonegate::gate::UnixTime;
use zonegate::token::NumericDate;

use super::failure::{BadInput, warn};
use super::output::print;
use super::output_value::Format;
use super::{input, time};
use crate::access_log::{Line, OpenStreams, Window};

const EXAMPLES: &str = "\
The log has a line about each open stream every minute (access_log_options in gateway.yaml), so its last three
minutes are enough, and a stream that began within the last minute is not in it yet. A stream that has no line for
--silent-for counts as ended: its Envoy was killed.

Exit code: 0; 1 if --kid, --expiring-within or --would-be-denied finds a stream; 2 if a file cannot be read, or if
there is no line about a stream.

Examples:
  $ journalctl -u zonegate-gateway -o cat --since -3min | zonegate streams -
  $ kubectl logs -n kuma-system -l app.kubernetes.io/name=zonegate --since 3m --tail -1 | zonegate streams -

  Who still uses the old key?
  $ zonegate streams --kid key-1 /var/log/zonegate/access.log

  Whose token expires within a week?
  $ zonegate streams --expiring-within 7d /var/log/zonegate/access.log";

/// List the streams that are open on a gateway, by its access log
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct StreamsArgs {
    /// Access log of a gateway, or of several; - for standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// List only streams with a token that this key signed
    #[arg(long)]
    kid: Option<String>,
    /// List only streams whose token expires within this time, or has expired: 30d, 12h
    #[arg(long, value_name = "DURATION", value_parser = time::span)]
    expiring_within: Option<Duration>,
    /// List only streams that mode shadow let in and mode enforce would refuse
    #[arg(long)]
    would_be_denied: bool,
    /// Order of the list
    #[arg(long, value_name = "FIELD", value_enum, default_value_t = Sort::Expires)]
    sort: Sort,
    /// How long a stream may have no line before it counts as ended; choose more than twice the interval of the log's lines
    #[arg(long, value_name = "DURATION", value_parser = time::span, default_value = "150s")]
    silent_for: Duration,
    /// List the streams that were open at this time, RFC 3339 or seconds since 1970 [default: now]
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    at: Option<UnixTime>,
    /// Output format
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = Format::Table)]
    output: Format,
}

/// The order of the list.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Sort {
    /// By expiry, soonest first
    Expires,
    /// By kid, then by expiry
    Kid,
    /// By start, oldest first
    Since,
}

impl StreamsArgs {
    /// Lists the streams.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let now = time::now();
        let window = Window::of(self.at, now, self.silent_for);
        let mut streams = OpenStreams::new(window);
        let mut is_log = false;
        for file in &self.files {
            input::lines(file, "access log", |text| {
                if let Some(line) = Line::parse(text) {
                    is_log = true;
                    streams.add(line);
                }
            })?;
        }
        if !is_log {
            return Err(BadInput(NO_LINES.to_owned()).into());
        }
        let stale = streams.newest().filter(|newest| self.at.is_none() && *newest < window.start);
        if let Some(newest) = stale {
            warn(&unknown_since(newest, now));
        }
        let now = self.at.unwrap_or(now);
        let mut list = List::of(streams.into_lines(), now);
        let wanted = self.wanted();
        list.keep(&wanted);
        list.sort(self.sort);
        let text = match self.output {
            Format::Table => list.to_table(wanted.is_all() && stale.is_none()),
            Format::Json => list.to_output_value().to_json(),
            Format::Yaml => list.to_output_value().to_yaml(),
        };
        print(&text).context("could not write to standard output")?;
        match wanted.is_all() || list.is_empty() {
            true => Ok(ExitCode::SUCCESS),
            false => Ok(ExitCode::FAILURE),
        }
    }

    fn wanted(&self) -> Wanted<'_> {
        let Self { kid, expiring_within, would_be_denied, .. } = self;
        Wanted {
            kid: kid.as_deref(),
            expiring_within: *expiring_within,
            would_be_denied: *would_be_denied,
        }
    }
}

const NO_LINES: &str = "no line of it is one of the access log of a gateway.yaml that logs open streams: it needs \
                        access_log_options, and the fields time, event, connection and milliseconds";

fn unknown_since(newest: UnixTime, now: UnixTime) -> String {
    let date = NumericDate(i64::try_from(newest.as_secs()).unwrap_or(i64::MAX));
    format!(
        "the last line of the log is from {}: what is open since is not known (does the gateway run?)",
        time::relative(date, now)
    )
}
