//! What this machine gives: cores, memory, open files, a temporary folder.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use super::finding::{Fault, Finding, Verdict};

const ABOUT: &str = "machine";
/// Below this, runs of the usual size are killed: merges need up to 480 MB (docs/operations.md).
const LITTLE_MEMORY_BYTES: u64 = 512 << 20;
/// Below this, a merge that spills or an answer that is kept aside does not find room.
const LITTLE_DISK_BYTES: u64 = 1 << 30;
/// Below this, many tables at a time run out of files; systems for servers give as many.
const FEW_FILES: u64 = 1024;

/// Looks at the machine.
pub(super) fn examine(tell: &mut (dyn FnMut(Finding) + Send)) {
    tell(cores());
    // Version 2 of control groups, and version 1; inside a container, its own group is the root.
    let limits = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    tell(memory(&read("/proc/meminfo"), &limits.map(read)));
    tell(open_files(&read("/proc/self/limits")));
    tell(temporary_folder(&std::env::temp_dir()));
}

fn read(file: &str) -> String {
    std::fs::read_to_string(file).unwrap_or_default()
}

fn cores() -> Finding {
    let tried = "what this process may use";
    match std::thread::available_parallelism() {
        Ok(number) => Finding::new((ABOUT, "cores"), Verdict::Ok, tried, number.to_string()),
        Err(error) => {
            Finding::new((ABOUT, "cores"), Verdict::Warn, tried, format!("1, since: {error}"))
        }
    }
}

/// The least of what the machine has and what control groups allow.
fn memory(meminfo: &str, limits: &[String]) -> Finding {
    let tried = "the machine's, and the limit of its control group";
    let what = (ABOUT, "memory");
    let kib = meminfo.lines().find_map(|line| {
        line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    });
    let Some(total) = kib.and_then(|kib| kib.checked_mul(1024)) else {
        return Finding::new(what, Verdict::Skipped, tried, "this system does not tell");
    };
    let limit = limits.iter().filter_map(|text| text.trim().parse::<u64>().ok()).min();
    let (bytes, came) = match limit.filter(|limit| *limit < total) {
        Some(limit) => (limit, format!("{}, the limit of the control group", size(limit))),
        None => (total, format!("{}, without a limit", size(total))),
    };
    match bytes < LITTLE_MEMORY_BYTES {
        false => Finding::new(what, Verdict::Ok, tried, came),
        true => Finding::new(what, Verdict::Warn, tried, came)
            .with_advice("give the job 1 GiB or more, else the kernel may end it (exit code 137)"),
    }
}

fn open_files(limits: &str) -> Finding {
    let (what, tried) = ((ABOUT, "open files"), "the limit of this process");
    let words = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let mut words = words.unwrap_or_default().split_whitespace();
    let Some(soft) = words.next() else {
        return Finding::new(what, Verdict::Skipped, tried, "this system does not tell");
    };
    let came = match words.next() {
        Some(hard) if hard != soft => format!("{soft} (up to {hard} may be asked for)"),
        _ => soft.to_owned(),
    };
    match soft.parse::<u64>().is_ok_and(|number| number < FEW_FILES) {
        false => Finding::new(what, Verdict::Ok, tried, came),
        true => Finding::new(what, Verdict::Warn, tried, came)
            .with_advice("raise it, with `ulimit -n 4096` or `LimitNOFILE=`"),
    }
}

/// Pages of APIs, joins and results wait in the temporary folder.
fn temporary_folder(folder: &Path) -> Finding {
    let what = (ABOUT, "temp folder");
    let tried = format!("writing a file to {}", folder.display());
    if let Err(error) = try_writing(folder) {
        return Finding::new(what, Verdict::Fail(Fault::Output), tried, error.to_string())
            .with_advice("set `TMPDIR` to a folder that can be written, or mount one there");
    }
    let free = rustix::fs::statvfs(folder).ok();
    let free = free.map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    match free {
        None => Finding::new(what, Verdict::Ok, tried, "written and removed"),
        Some(bytes) if bytes < LITTLE_DISK_BYTES => {
            let came = format!("written and removed, but only {} are free", size(bytes));
            Finding::new(what, Verdict::Warn, tried, came).with_advice(
                "make room, or set `TMPDIR` to a larger disk: merges spill there, and answers of APIs wait there",
            )
        }
        Some(bytes) => {
            let came = format!("written and removed, {} free", size(bytes));
            Finding::new(what, Verdict::Ok, tried, came)
        }
    }
}

fn try_writing(folder: &Path) -> io::Result<()> {
    let path = folder.join(format!(".solder-doctor-{}", uuid::Uuid::new_v4().simple()));
    let mut file = OpenOptions::new().write(true).create_new(true).open(&path)?;
    let written = file.write_all(&[0; 4096]).and_then(|()| file.sync_all());
    let removed = std::fs::remove_file(&path);
    written.and(removed)
}

/// A number of bytes, as people read it.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000_000 => format!("{:.0} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    /// D1: what a container may have, and not what its machine has.
    #[rstest]
    #[case::no_limit("MemTotal: 16000000 kB", "max", Verdict::Ok, "16.4 GB, without a limit")]
    #[case::limit(
        "MemTotal: 16000000 kB",
        "2147483648\n",
        Verdict::Ok,
        "2.1 GB, the limit of the control group"
    )]
    #[case::little(
        "MemTotal: 16000000 kB",
        "268435456",
        Verdict::Warn,
        "268 MB, the limit of the control group"
    )]
    #[case::first_version(
        "MemTotal: 16000000 kB",
        "9223372036854771712",
        Verdict::Ok,
        "16.4 GB, without a limit"
    )]
    #[case::other_system("", "", Verdict::Skipped, "this system does not tell")]
    fn d1_memory(
        #[case] meminfo: &str,
        #[case] limit: &str,
        #[case] verdict: Verdict,
        #[case] came: &str,
    ) {
        let found = memory(meminfo, &[limit.to_owned()]);
        assert_eq!((found.verdict, found.came.as_str()), (verdict, came));
        assert_eq!(found.advice.is_some(), verdict == Verdict::Warn);
    }

    #[rstest]
    #[case::server(
        "Max open files            1024                 524288               files",
        Verdict::Ok,
        "1024 (up to 524288 may be asked for)"
    )]
    #[case::few("Max open files  256  256  files", Verdict::Warn, "256")]
    #[case::without("Max open files  unlimited  unlimited  files", Verdict::Ok, "unlimited")]
    #[case::other_system("", Verdict::Skipped, "this system does not tell")]
    fn d1_open_files(#[case] limits: &str, #[case] verdict: Verdict, #[case] came: &str) {
        let found = open_files(limits);
        assert_eq!((found.verdict, found.came.as_str()), (verdict, came));
    }

    #[test]
    fn d1_a_temporary_folder_is_written_to_and_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let found = temporary_folder(folder.path());
        assert!(!found.has_failed() && found.came.starts_with("written and removed"), "{found:?}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let found = temporary_folder(&folder.path().join("absent"));
        assert_eq!(found.verdict, Verdict::Fail(Fault::Output));
        assert!(found.advice.unwrap().contains("TMPDIR"));
    }
}
