//! Who may see the page: people on this machine.
//!
//! In: the address of the client, and the host that it asked for. Out: whether the client may see the page. Requests
//! through a tunnel (`ssh -L`, `kubectl port-forward`) or a reverse proxy on this machine come from loopback; who may
//! use those is decided elsewhere.
//!
//! The page has names of zones, kids, and notes on revoked tokens, which are for operators only. But the port of the
//! page may be open to proxies and to Prometheus.

use std::net::IpAddr;

/// Why the page is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotShown {
    /// The client is on another machine.
    OtherMachine,
    /// The client asked for another host by name. A stranger's site can make its name resolve to this machine (DNS
    /// rebinding), and its scripts could then read the page.
    OtherHost,
}

impl NotShown {
    /// The text for the client.
    pub fn text(self) -> &'static str {
        match self {
            Self::OtherMachine => {
                "the page is shown on this machine only: use ssh -L or kubectl port-forward, and open it on localhost\n"
            }
            Self::OtherHost => {
                "the page is shown under localhost and addresses only, not under another name\n"
            }
        }
    }
}

/// Whether a client at `peer` that asked for `host`, with or without a port, is shown the page.
///
/// # Errors
/// See [`NotShown`].
pub fn may_see(peer: IpAddr, host: Option<&str>) -> Result<(), NotShown> {
    if !peer.to_canonical().is_loopback() {
        return Err(NotShown::OtherMachine);
    }
    // A request without a host is not from a browser.
    match host.is_none_or(is_own) {
        true => Ok(()),
        false => Err(NotShown::OtherHost),
    }
}

fn is_own(host: &str) -> bool {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split_once(']').is_some_and(|(address, _)| address.parse::<IpAddr>().is_ok());
    }
    let name = host.split_once(':').map_or(host, |(name, _)| name);
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use super::*;

    #[test]
    fn the_page_is_for_this_machine_under_its_own_names() {
        for (peer, host, wanted) in [
            ("127.0.0.1", Some("localhost:9911"), Ok(())),
            ("127.8.8.8", Some("LOCALHOST"), Ok(())),
            ("::1", Some("[::1]:9911"), Ok(())),
            ("::ffff:127.0.0.1", Some("127.0.0.1:9911"), Ok(())),
            ("127.0.0.1", Some("10.0.0.1"), Ok(())),
            ("127.0.0.1", None, Ok(())),
            ("10.0.0.1", Some("localhost"), Err(NotShown::OtherMachine)),
            ("::ffff:10.0.0.1", None, Err(NotShown::OtherMachine)),
            ("127.0.0.1", Some("evil.example:9911"), Err(NotShown::OtherHost)),
            ("127.0.0.1", Some("localhost.evil.example"), Err(NotShown::OtherHost)),
            ("127.0.0.1", Some("127.0.0.1.evil.example"), Err(NotShown::OtherHost)),
            ("127.0.0.1", Some("[evil]:9911"), Err(NotShown::OtherHost)),
            ("127.0.0.1", Some(""), Err(NotShown::OtherHost)),
        ] {
            assert_eq!(may_see(peer.parse().unwrap(), host), wanted, "{peer} {host:?}");
        }
    }
}
