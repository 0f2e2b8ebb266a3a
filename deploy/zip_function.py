#!/usr/bin/env python3
"""The zip of the function: the program `ingest` as `bootstrap`, and the sources.

    zip_function.py PROGRAM SOURCES ZIP

PROGRAM is `ingest` as it was built on a Linux of the function's architecture, `target/dist/ingest` for one. One that asks for a
newer C library than Amazon Linux 2023 has is refused here, since it would only fail when it is invoked. The same files
give the same zip.
"""

import argparse
import re
import stat
import sys
import zipfile
from pathlib import Path

GLIBC = (2, 34)
"""That of Amazon Linux 2023, and so of the runtime provided.al2023."""
ARCHITECTURES = {0x3E: "x86_64", 0xB7: "arm64"}
"""By the machine in the head of an ELF file."""
TIME = (1980, 1, 1, 0, 0, 0)


def architecture(program: bytes) -> str:
    """What a program runs on, as Lambda names it."""
    machine = int.from_bytes(program[18:20], "little")
    if program[:4] != b"\x7fELF" or machine not in ARCHITECTURES:
        sys.exit("the program is none for Linux on arm64 or x86_64")
    return ARCHITECTURES[machine]


def glibc(program: bytes) -> tuple[int, int]:
    """The newest version of the C library that a program asks for; packed relocations have come with 2.36."""
    if b"GLIBC_ABI_DT_RELR" in program:
        return (2, 36)
    versions = re.findall(rb"GLIBC_(\d+)\.(\d+)", program)
    return max(((int(major), int(minor)) for major, minor in versions), default=(0, 0))


def add(archive: zipfile.ZipFile, name: str, content: bytes, mode: int) -> None:
    entry = zipfile.ZipInfo(name, TIME)
    entry.compress_type = zipfile.ZIP_DEFLATED
    # Without the bits of a file, Lambda cannot start what is in it.
    entry.external_attr = (stat.S_IFREG | mode) << 16
    entry.create_system = 3
    archive.writestr(entry, content)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program", type=Path, help="the program, such as target/dist/ingest")
    parser.add_argument("sources", type=Path, help="the folder of source files; it becomes `sources/`")
    parser.add_argument("zip", type=Path, help="the file to write")
    given = parser.parse_args()
    program = given.program.read_bytes()
    machine = architecture(program)
    needed = glibc(program)
    if needed > GLIBC:
        sys.exit(f"{given.program} needs glibc {needed[0]}.{needed[1]}, and the function has {GLIBC[0]}.{GLIBC[1]}: "
                 "build it as deploy/README.md says")  # fmt: skip
    files = sorted(path for path in given.sources.rglob("*") if path.is_file())
    if not files:
        sys.exit(f"there is no source in {given.sources}")
    with zipfile.ZipFile(given.zip, "w") as archive:
        add(archive, "bootstrap", program, 0o755)
        for file in files:
            add(archive, f"sources/{file.relative_to(given.sources).as_posix()}", file.read_bytes(), 0o644)
    print(f"{given.zip}: {machine}, {len(files)} files in sources/, {given.zip.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
