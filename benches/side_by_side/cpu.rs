//! The cost of a process so far.
//!
//! In: a process id. Out: nanoseconds of CPU, user and system, and bytes of resident memory, as the kernel counts them.
//! Threads that have ended are not counted; the threads of Envoy live as long as Envoy does.

use std::fs;

use anyhow::Context;

/// Nanoseconds of CPU, all threads together. `/proc/PID/stat` counts in hundredths of a second; `schedstat` counts in
/// nanoseconds, from the scheduler.
pub(crate) fn nanoseconds(pid: u32) -> anyhow::Result<u64> {
    let mut total: u64 = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).context("the process has ended")? {
        let path = task?.path().join("schedstat");
        let text = fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
        let on_cpu = text.split_whitespace().next().context("an empty schedstat")?;
        total += on_cpu.parse::<u64>()?;
    }
    Ok(total)
}

/// Resident memory in bytes.
pub(crate) fn resident(pid: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024)
}
