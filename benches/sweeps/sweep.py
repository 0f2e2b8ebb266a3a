"""Shows how the cost of `engine relationalize` grows.

    python3 benches/sweeps/sweep.py                    # all sweeps: some minutes, 2 GB below --data
    python3 benches/sweeps/sweep.py depth files        # these again, the others as they were
    python3 benches/sweeps/sweep.py --draw             # table and picture from the results alone

Every sweep makes one thing a hundred times larger and leaves the rest as it is:

  records  orders of one file
  columns  optional columns of 10,000 flat records
  tables   arrays side by side in 10,000 records, each a child table
  files    files of 4 kB, some five orders each
  depth    objects inside each other around the ten values of 20,000 records
  arrays   objects and arrays inside each other, 1,000 records; half of the levels are arrays

A run is a process of its own, start to end, on input that the page cache holds. The sizes take turns,
round after round, and the best round counts. Work is what the cost is held against: records, files,
bytes of JSON, or cells, which are rows times columns over all tables. The exponent is the slope of log
seconds over log work: 1 is linear. The cost of a run of one record is taken off before, and points of
less than three times that cost are left out. `upper half` is the same over the last three sizes; above
1.15 it is a knee, and the exit code is 1. Knees are looked for in CPU seconds: the clock on the wall
also sees what else the machine does.

Results are kept in `results.json` beside this file, the picture in `benches/sweeps.svg`, and the table
goes to stdout. Only the standard library is needed.
"""

import argparse
import dataclasses
import json
import math
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable

HERE = pathlib.Path(__file__).resolve().parent
RESULTS = HERE / "results.json"
PICTURE = HERE.parent / "sweeps.svg"

KNEE_EXPONENT = 1.15
NUM_UPPER = 3
MIN_STARTUPS = 3
FILE_BYTES = 4096


@dataclasses.dataclass
class Run:
    """What one size cost."""

    size: int
    seconds: float
    cpu_seconds: float
    peak_mb: float
    json_bytes: int
    records: int
    files: int
    tables: int
    cells: int

    def best_of(self, other):
        least = lambda name: min(getattr(self, name), getattr(other, name))
        names = ("seconds", "cpu_seconds", "peak_mb")
        return dataclasses.replace(self, **{name: least(name) for name in names})


@dataclasses.dataclass(frozen=True)
class Sweep:
    """One thing that grows."""

    name: str
    sizes: tuple[int, ...]
    make: Callable[["Inputs", pathlib.Path, int], None]
    """Writes the input of a size into a folder."""
    work: str
    """The field of `Run` that the cost is held against."""
    unit: str
    """How a unit of work is called, and how many of them the cost is given for."""
    units: int
    caption: str


class Inputs:
    """Writes seeded inputs."""

    def __init__(self, generate, scale):
        self.generate = generate
        self.scale = scale

    def scaled(self, number):
        return max(1, round(number * self.scale))

    def one_file(self, folder, *arguments):
        folder.mkdir()
        with open(folder / "records.ndjson", "wb") as file:
            subprocess.run([self.generate, *map(str, arguments)], stdout=file, check=True)

    def records(self, folder, size):
        self.one_file(folder, "--shape", "orders", "--records", self.scaled(size))

    def columns(self, folder, size):
        records = self.scaled(10_000)
        self.one_file(folder, "--shape", "wide", "--columns", size, "--records", records)

    def tables(self, folder, size):
        records = self.scaled(10_000)
        self.one_file(folder, "--shape", "tables", "--tables", size, "--records", records)

    def files(self, folder, size):
        files = self.scaled(size)
        amount = ["--bytes", str(files * FILE_BYTES), "--files", str(files), "--to", str(folder)]
        subprocess.run([self.generate, "--shape", "orders", *amount], check=True)

    def arrays(self, folder, size):
        records = self.scaled(1_000)
        self.one_file(folder, "--shape", "deep", "--depth", size, "--records", records)

    def depth(self, folder, size):
        """`size` objects, the record itself included; the innermost has the values."""
        levels = [f"level_{level % 10}" for level in range(2, size + 1)]
        opening = "".join(f'"{level}":{{' for level in levels)
        closing = "}" * size + "\n"
        seeded = random.Random(1)
        folder.mkdir()
        with open(folder / "records.ndjson", "w", encoding="ascii", newline="\n") as file:
            for number in range(self.scaled(20_000)):
                values = ",".join(f'"value_{n}":{seeded.randrange(1_000_000)}' for n in range(9))
                file.write(f'{{"id":{number},{opening}{values}{closing}')


SWEEPS = [
    Sweep(
        "records",
        (10_000, 30_000, 100_000, 300_000, 1_000_000),
        Inputs.records,
        "records",
        "µs a record",
        1,
        "orders in one file",
    ),
    Sweep(
        "columns",
        (20, 60, 200, 600, 2_000),
        Inputs.columns,
        "cells",
        "µs a 100 cells",
        100,
        "of one table",
    ),
    Sweep(
        "tables",
        (10, 30, 100, 300, 1_000),
        Inputs.tables,
        "cells",
        "µs a 100 cells",
        100,
        "arrays side by side",
    ),
    Sweep(
        "files",
        (500, 1_500, 5_000, 15_000, 50_000),
        Inputs.files,
        "files",
        "µs a file",
        1,
        "of 4 kB",
    ),
    Sweep(
        "depth",
        (5, 15, 50, 150, 500),
        Inputs.depth,
        "json_bytes",
        "µs a kB of JSON",
        1000,
        "levels of objects",
    ),
    Sweep(
        "arrays",
        (5, 15, 50, 150, 500),
        Inputs.arrays,
        "cells",
        "µs a 100 cells",
        100,
        "levels, half of them arrays",
    ),
]


class Engine:
    """Runs the program and measures it."""

    def __init__(self, program, data, timeout_seconds):
        self.program = program
        self.data = data
        self.timeout_seconds = timeout_seconds
        self.num_runs = 0

    def run(self, folder, size):
        # Results stay until the sweep is over: ext4 searches long for inodes when many were just freed.
        self.num_runs += 1
        output = self.data / f"curated-{self.num_runs}"
        command = [self.program, "relationalize", folder, output, "--report", "json"]
        with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
            began = time.monotonic()
            process = subprocess.Popen(command, stdout=stdout, stderr=stderr)
            timer = threading.Timer(self.timeout_seconds, process.kill)
            timer.start()
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.monotonic() - began
            timer.cancel()
            process.returncode = os.waitstatus_to_exitcode(status)
            stdout.seek(0)
            stderr.seek(0)
            if process.returncode != 0:
                said = stderr.read().decode(errors="replace").strip().splitlines()[-1:]
                sys.exit(f"exit code {process.returncode} on {folder} after {seconds:.1f} s: {said}")
            report = json.load(stdout)
        if report["records_quarantined"] or report["maps"] or report["choices"]:
            sys.exit(f"{folder}: the run was to keep every record as it is, see {output}")
        peak_bytes = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        return Run(
            size=size,
            seconds=seconds,
            cpu_seconds=usage.ru_utime + usage.ru_stime,
            peak_mb=peak_bytes / 1e6,
            json_bytes=report["bytes_read"],
            records=report["records_read"],
            files=report["objects_read"],
            tables=len(report["tables"]),
            cells=sum(table["rows"] * table["columns"] for table in report["tables"]),
        )


def measure(sweep, inputs, engine, num_rounds):
    """The best of some rounds for every size, and for a run of one record."""
    folders = {size: engine.data / f"{sweep.name}-{size}" for size in sweep.sizes}
    for size, folder in folders.items():
        progress(f"{sweep.name}: making {size:,}")
        sweep.make(inputs, folder, size)
    folders[0] = engine.data / "one-record"
    Inputs(inputs.generate, 0).records(folders[0], 1)
    os.sync()
    best = {}
    for number in range(num_rounds):
        for size, folder in folders.items():
            progress(f"{sweep.name}: {size:,}, round {number + 1} of {num_rounds}")
            run = engine.run(folder, size)
            best[size] = run.best_of(best.get(size, run))
    for path in engine.data.iterdir():
        shutil.rmtree(path)
    startup = best.pop(0)
    runs = [dataclasses.asdict(run) for run in best.values()]
    return {"startup": dataclasses.asdict(startup), "runs": runs}


def progress(text):
    print(text, file=sys.stderr, flush=True)


@dataclasses.dataclass(frozen=True)
class Result:
    """A sweep as measured."""

    sweep: Sweep
    startup: Run
    runs: list[Run]

    def work(self, run):
        return getattr(run, self.sweep.work)

    def exponent(self, clock, runs):
        """The slope of log cost over log work; `None` with fewer than two points above start-up."""
        fixed = getattr(self.startup, clock)
        points = [
            (math.log(self.work(run)), math.log(getattr(run, clock) - fixed))
            for run in runs
            if getattr(run, clock) >= MIN_STARTUPS * max(fixed, 0.005)
        ]
        if len(points) < 2:
            return None
        mean_x, mean_y = (sum(values) / len(points) for values in zip(*points))
        covariance = sum((x - mean_x) * (y - mean_y) for x, y in points)
        return covariance / sum((x - mean_x) ** 2 for x, _ in points)

    def whole(self, clock):
        return self.exponent(clock, self.runs)

    def upper(self, clock):
        return self.exponent(clock, self.runs[-NUM_UPPER:])

    def has_knee(self):
        upper = self.upper("cpu_seconds")
        return upper is not None and upper > KNEE_EXPONENT

    def unit_costs(self):
        """Microseconds of CPU for the units of the sweep, for the sizes of the upper half."""
        scale = 1e6 * self.sweep.units
        return [run.cpu_seconds * scale / self.work(run) for run in self.runs[-NUM_UPPER:]]


def load_results():
    if not RESULTS.exists():
        return {}
    return json.loads(RESULTS.read_text(encoding="utf-8"))


def save_results(stored):
    RESULTS.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")


def results_of(stored):
    return [
        Result(sweep, Run(**found["startup"]), [Run(**run) for run in found["runs"]])
        for sweep in SWEEPS
        if (found := stored.get(sweep.name))
    ]


# The table.


def shown(number):
    """Two significant digits, or whole."""
    if number is None:
        return "–"
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}" if number < 1 else f"{number:.1f}"


def slope(number):
    return "–" if number is None else f"{number:.2f}"


def table(results):
    heads = ["grows", "sizes", "seconds", "CPU seconds", "memory, MB", "CPU of the upper half"]
    heads += ["exponent, wall", "exponent, CPU", "upper half, CPU"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for result in results:
        runs = result.runs
        costs = " · ".join(shown(cost) for cost in result.unit_costs())
        upper = slope(result.upper("cpu_seconds"))
        cells = [
            result.sweep.name,
            f"{runs[0].size:,} … {runs[-1].size:,}",
            " · ".join(shown(run.seconds) for run in runs),
            " · ".join(shown(run.cpu_seconds) for run in runs),
            " · ".join(shown(run.peak_mb) for run in runs),
            f"{costs} {result.sweep.unit}",
            slope(result.whole("seconds")),
            slope(result.whole("cpu_seconds")),
            f"**{upper}, knee**" if result.has_knee() else upper,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


# The picture: a panel for every sweep, all with the same seconds, so that slopes can be compared.

NUM_PANELS_ACROSS = 3
PANEL_WIDTH, PANEL_HEIGHT = 250, 230
PLOT_LEFT, PLOT_TOP, PLOT_WIDTH, PLOT_HEIGHT = 46, 48, 190, 140
STYLE = """
text { font: 12px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #59636e }
.name { font-size: 14px; font-weight: 600; fill: #1f2328 }
.grid { stroke: #818b98; stroke-opacity: .3 }
.linear { stroke: #818b98; stroke-width: 1.5; stroke-dasharray: 3 4; fill: none; clip-path: url(#plot) }
.cost { stroke: #2f81f7; stroke-width: 2; fill: none; stroke-linejoin: round }
.point { fill: #2f81f7 }
@media (prefers-color-scheme: dark) { text { fill: #9198a1 } .name { fill: #f0f6fc } }
"""


def picture(results):
    seconds = [run.seconds for result in results for run in result.runs]
    low, high = math.floor(math.log10(min(seconds))), math.ceil(math.log10(max(seconds)))
    width = NUM_PANELS_ACROSS * PANEL_WIDTH
    height = -(-len(results) // NUM_PANELS_ACROSS) * PANEL_HEIGHT
    panels = []
    for number, result in enumerate(results):
        x = number % NUM_PANELS_ACROSS * PANEL_WIDTH
        y = number // NUM_PANELS_ACROSS * PANEL_HEIGHT
        panels.append(f'<g transform="translate({x} {y})">\n{panel(result, low, high)}\n</g>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" aria-label="Seconds over size, log-log">\n'
        f"<style>{STYLE}</style>\n"
        f'<clipPath id="plot"><rect x="{PLOT_LEFT}" y="{PLOT_TOP}" '
        f'width="{PLOT_WIDTH}" height="{PLOT_HEIGHT}"/></clipPath>\n'
        + "\n".join(panels)
        + "\n</svg>\n"
    )


def panel(result, low, high):
    runs = result.runs
    first, last = math.log10(runs[0].size), math.log10(runs[-1].size)

    def x_of(size):
        return PLOT_LEFT + (math.log10(size) - first) / (last - first) * PLOT_WIDTH

    def y_of(seconds):
        share = (math.log10(seconds) - low) / (high - low)
        return PLOT_TOP + (1 - share) * PLOT_HEIGHT

    def polyline(kind, points):
        joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        return f'<polyline class="{kind}" points="{joined}"/>'

    bottom = PLOT_TOP + PLOT_HEIGHT
    lines = [
        f'<text class="name" x="{PLOT_LEFT}" y="20">{result.sweep.name}</text>',
        f'<text x="{PLOT_LEFT}" y="37">{result.sweep.caption}</text>',
    ]
    for decade in range(low, high + 1):
        y = y_of(10**decade)
        label = f"{10 ** decade:g} s"
        lines.append(f'<path class="grid" d="M{PLOT_LEFT} {y:.1f}h{PLOT_WIDTH}"/>')
        lines.append(f'<text x="{PLOT_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
    for run, anchor in ((runs[0], "start"), (runs[len(runs) // 2], "middle"), (runs[-1], "end")):
        x = x_of(run.size)
        lines.append(f'<path class="grid" d="M{x:.1f} {PLOT_TOP}V{bottom}"/>')
        lines.append(f'<text x="{x:.1f}" y="{bottom + 17}" text-anchor="{anchor}">{run.size:,}</text>')
    # A cost in proportion to the work, as large as the last one.
    rate = runs[-1].seconds / result.work(runs[-1])
    lines.append(polyline("linear", [(x_of(r.size), y_of(result.work(r) * rate)) for r in runs]))
    lines.append(polyline("cost", [(x_of(run.size), y_of(run.seconds)) for run in runs]))
    for run in runs:
        x, y = x_of(run.size), y_of(run.seconds)
        title = f"<title>{run.size:,}: {run.seconds:.2f} s, {run.peak_mb:,.0f} MB</title>"
        lines.append(f'<circle class="point" cx="{x:.1f}" cy="{y:.1f}" r="3.5">{title}</circle>')
    return "\n".join(lines)


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    release = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent.parent / "target")) / "release"
    names = [sweep.name for sweep in SWEEPS]
    parser.add_argument("sweeps", nargs="*", metavar="SWEEP", help=f"of {', '.join(names)}; all without")
    parser.add_argument("--engine", type=pathlib.Path, default=release / "engine")
    parser.add_argument("--generate", type=pathlib.Path, default=release / "generate")
    parser.add_argument("--data", type=pathlib.Path, help="where inputs and tables are kept meanwhile")
    parser.add_argument("--rounds", type=int, default=3, help="runs of every size [3]")
    parser.add_argument("--scale", type=float, default=1, help="share of the records, for trials [1]")
    parser.add_argument("--timeout", type=float, default=600, help="seconds that a run may take [600]")
    parser.add_argument("--draw", action="store_true", help="measure nothing")
    given = parser.parse_args()
    if unknown := set(given.sweeps) - set(names):
        parser.error(f"no sweep is called {', '.join(sorted(unknown))}: there are {', '.join(names)}")
    return given


def main():
    given = arguments()
    stored = load_results()
    if not given.draw:
        if given.data:
            given.data.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="sweeps-", dir=given.data) as folder:
            engine = Engine(given.engine.absolute(), pathlib.Path(folder), given.timeout)
            inputs = Inputs(given.generate.absolute(), given.scale)
            for sweep in SWEEPS:
                if not given.sweeps or sweep.name in given.sweeps:
                    stored[sweep.name] = measure(sweep, inputs, engine, given.rounds)
                    if given.scale == 1:
                        save_results(stored)
    results = results_of(stored)
    print(table(results))
    if given.scale == 1:
        PICTURE.write_text(picture(results), encoding="utf-8")
    sys.exit(any(result.has_knee() for result in results))


if __name__ == "__main__":
    main()
