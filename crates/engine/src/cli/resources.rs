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

/// A quarter of the machine's memory, at most 2 GiB.
pub(crate) fn default_memory() -> usize {
    const MOST: usize = 2 << 30;
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = meminfo.lines().find_map(|line| {
        line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()
    });
    total.map_or(MOST, |kib| (kib * 1024 / 4).min(MOST))
}

/// The machine's cores.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
