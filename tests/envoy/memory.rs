//! Envoy's memory in its VMs and outside of them, and its CPU time.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::harness::Setup;

/// V8 reserves gibibytes of addresses after the memory of a module, so that it need not check bounds.
const RESERVED: u64 = 1 << 30;

impl Setup {
    /// The memory of the modules in all VMs together, in bytes. It never shrinks, so this is the peak. Envoy's heap is
    /// not included.
    pub(crate) fn vm_memory(&self) -> u64 {
        let path = format!("/proc/{}/maps", self.gateway.pid().unwrap());
        let maps = fs::read_to_string(path).unwrap();
        let maps: Vec<Mapping> = maps.lines().filter_map(Mapping::read).collect();
        let modules = maps.windows(2).filter(|pair| pair[0].is_memory_before(&pair[1]));
        modules.map(|pair| pair[0].size()).sum()
    }

    /// Envoy's allocated memory without the VMs, in bytes. (Envoy's gauge for it is some seconds old.)
    pub(crate) async fn allocated(&self) -> u64 {
        let memory = self.gateway.admin("/memory").await.unwrap();
        let memory: Value = serde_json::from_str(&memory).unwrap();
        memory["allocated"].as_str().unwrap().parse().unwrap()
    }

    /// The CPU time of Envoy's threads so far.
    pub(crate) fn cpu_time(&self) -> Duration {
        let path = format!("/proc/{}/stat", self.gateway.pid().unwrap());
        let stat = fs::read_to_string(path).unwrap();
        // After the name, which is in brackets: utime and stime, in hundredths of a second.
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 10)
    }
}

struct Mapping {
    start: u64,
    end: u64,
    writable: bool,
    accessible: bool,
    anonymous: bool,
}

impl Mapping {
    /// Reads a line such as `7f00-7f10 rw-p 00000000 00:00 0`, with a file at the end if one is mapped.
    fn read(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let rights = words.next()?;
        Some(Self {
            start: u64::from_str_radix(start, 16).ok()?,
            end: u64::from_str_radix(end, 16).ok()?,
            writable: rights.starts_with("rw-"),
            accessible: !rights.starts_with("---"),
            anonymous: words.nth(3).is_none(),
        })
    }

    fn size(&self) -> u64 {
        self.end - self.start
    }

    /// Whether this is the memory of a module, and `next` the reserved addresses after it.
    fn is_memory_before(&self, next: &Self) -> bool {
        let adjacent = self.end == next.start && self.anonymous && self.writable;
        adjacent && !next.accessible && next.size() > RESERVED
    }
}
