//! How much of the machine a command may take.

/// A number of bytes with an optional unit: `256MiB`, `2GB`, `65536`.
pub(crate) fn size(text: &str) -> Result<usize, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let unit =
        match text.get(digits.len()..).unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "kb" => 1_000,
            "mb" => 1_000_000,
            "gb" => 1_000_000_000,
            "k" | "kib" => 1 << 10,
            "m" | "mib" => 1 << 20,
            "g" | "gib" => 1 << 30,
            unit => {
                return Err(format!("unknown unit `{unit}`; there are KiB, MiB, GiB, kB, MB, GB"));
            }
        };
    let number: usize = digits
        .trim()
        .parse()
        .map_err(|_| "expected a number of bytes, such as 256MiB".to_owned())?;
    number.checked_mul(unit).filter(|bytes| *bytes > 0).ok_or_else(|| "out of range".to_owned())
}

/// A quarter of the memory of the machine or of the container, at most 2 GiB.
pub(crate) fn default_memory() -> usize {
    const MOST: usize = 2 << 30;
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let of_machine = of_machine(&read("/proc/meminfo"));
    // Version 2 of control groups, and version 1; inside a container, its own group is the root.
    let groups = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let of_group = groups.iter().filter_map(|file| read(file).trim().parse::<usize>().ok());
    let least = of_machine.into_iter().chain(of_group).min();
    least.map_or(MOST, |bytes| (bytes / 4).min(MOST))
}

/// The bytes of a machine, after `/proc/meminfo`.
fn of_machine(meminfo: &str) -> Option<usize> {
    let kib = meminfo.lines().find_map(|line| {
        line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()
    })?;
    kib.checked_mul(1024)
}

/// The machine's cores.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r17_memory_of_a_machine() {
        assert_eq!(of_machine("MemFree: 1 kB\nMemTotal:  2048 kB\n"), Some(2 << 20));
        assert_eq!(of_machine(""), None);
        assert!(default_memory() <= 2 << 30);
    }
}
