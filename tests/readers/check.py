"""Opens curated places with three readers and proves that they see the same whole tables.

    python tests/readers/check.py CURATED...

For every place, against its last manifest:

  files    a table's folder holds the files that the manifest names and no others
  schema   all files of a table have one schema: the columns of the layout, in its order (R19)
  readers  pyarrow, DuckDB and DataFusion count the same rows, and the same values in every column
  joins    every child row has one parent row and a root row (R8)
  lengths  `<array>__len` says how many child rows there are (R9)

Prints one line per place; what is wrong goes to stderr, and the exit code is 1.
"""

import collections
import json
import pathlib
import sys

import datafusion
import duckdb
import pyarrow.dataset
import pyarrow.parquet


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def equal(left, right, pairs):
    """The condition that joins `left` and `right` on pairs of columns."""
    return " and ".join(f"{left}.{quoted(a)} = {right}.{quoted(b)}" for a, b in pairs)


class Table:
    """A table of the layout, with its columns by what they hold."""

    def __init__(self, described, tables):
        self.name = described["name"]
        self.path = described["path"]
        self.columns = [column["name"] for column in described["columns"]]
        parent = described.get("parent")
        self.parent = None if parent is None else tables[parent]
        self.roles = collections.defaultdict(list)
        for column in described["columns"]:
            role = column["role"]
            kind, number = next(iter(role.items())) if isinstance(role, dict) else (role, None)
            self.roles[kind].append((number, column["name"], column["path"]))

    def one(self, role):
        """The only column of a role."""
        ((_, name, _),) = self.roles[role]
        return name

    def levels(self):
        """Positions and map keys, outermost first."""
        return [name for _, name, _ in sorted(self.roles["index"] + self.roles["key"])]

    def length_of(self, child):
        """The column that says how many rows of `child` belong to a row here, if there is one."""
        array = child.path.removesuffix("[*]").removesuffix(".*")
        lengths = self.roles["array_length"] + self.roles["map_length"]
        return next((name for _, name, path in lengths if path == array), None)

    def root(self):
        return self if self.parent is None else self.parent.root()


class Place:
    """A curated place and what is wrong with it."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.problems = []
        manifests = sorted((self.folder / "_solder/manifests").glob("*.json"))
        self.manifest = json.loads(manifests[-1].read_text())
        self.duckdb = duckdb.connect()
        self.datafusion = datafusion.SessionContext()
        self.num_rows = 0
        self.num_tables = 0

    def wrong(self, table, problem):
        self.problems.append(f"{self.folder}: {table}: {problem}")

    def check(self):
        for entity in self.manifest["entities"].values():
            layout = json.loads((self.folder / entity["shape"]).read_text())["layout"]
            tables = []
            for described in layout["tables"]:
                tables.append(Table(described, tables))
            self.num_tables += len(tables)
            for table in tables:
                self.check_table(table, entity["tables"].get(table.name, []))
            for table in tables:
                if table.parent is not None:
                    check = self.check_glue if table.roles["glue_id"] else self.check_joins
                    check(table)
            if not tables[0].roles["glue_join"]:
                self.check_root_keys(tables, entity["key"])
        quarantined = sum(file["num_rows"] for file in self.manifest["quarantine"])
        if quarantined:
            self.check_counts("_quarantine", self.folder / "_quarantine", quarantined)

    def check_table(self, table, files):
        folder = self.folder / table.name
        named = {file["key"] for file in files}
        found = {f"{table.name}/{path.name}" for path in folder.iterdir()}
        if named != found:
            self.wrong(table.name, f"files {sorted(named ^ found)} are in the manifest or in the folder alone")
        if not files:
            self.wrong(table.name, "no file says what the table would hold")
            return
        schemas = {key: pyarrow.parquet.read_schema(self.folder / key) for key in sorted(found)}
        first = next(iter(schemas.values()))
        if first.names != table.columns:
            self.wrong(table.name, f"columns {first.names}, but the layout has {table.columns}")
        for key, schema in schemas.items():
            if not schema.remove_metadata().equals(first.remove_metadata()):
                self.wrong(table.name, f"`{key}` has another schema than the first file")
        for file in files:
            num_rows = pyarrow.parquet.read_metadata(self.folder / file["key"]).num_rows
            if num_rows != file["num_rows"]:
                self.wrong(table.name, f"`{file['key']}` has {num_rows} rows, the manifest says {file['num_rows']}")
        self.check_counts(table.name, folder, sum(file["num_rows"] for file in files))
        self.duckdb.sql(
            f"create table {quoted(table.name)} as from read_parquet('{self.glob(folder)}')"
        )

    def glob(self, folder):
        return f"{folder}/*.parquet".replace("'", "''")

    def check_counts(self, name, folder, num_rows):
        """Rows, and values in every column, as the three readers count them."""
        data = pyarrow.dataset.dataset(folder, format="parquet").to_table()
        expected = [num_rows] + [len(column) - column.null_count for column in data.columns]
        self.num_rows += num_rows
        if data.num_rows != num_rows:
            self.wrong(name, f"pyarrow reads {data.num_rows} rows, the manifest says {num_rows}")
            return
        counts = ", ".join(["count(*)"] + [f"count({quoted(column)})" for column in data.column_names])
        self.datafusion.register_parquet("checked", str(folder))
        # By position: DuckDB takes names that differ in case alone (R7) for one.
        aliases = [f"c{at}" for at in range(data.num_columns)]
        by_position = ", ".join(["count(*)"] + [f"count({alias})" for alias in aliases])
        readers = {
            "DuckDB": self.duckdb.sql(
                f"select {by_position} from read_parquet('{self.glob(folder)}') t({', '.join(aliases)})"
            ).fetchall()[0],
            "DataFusion": [
                column[0].as_py()
                for column in self.datafusion.sql(f"select {counts} from checked").to_arrow_table().columns
            ],
        }
        self.datafusion.deregister_table("checked")
        for reader, found in readers.items():
            for column, ours, theirs in zip(["rows"] + data.column_names, expected, found, strict=True):
                if ours != theirs:
                    self.wrong(name, f"{reader} counts {theirs} in `{column}`, pyarrow {ours}")

    def count(self, statement):
        return self.duckdb.sql(f"select count(*) from {statement}").fetchall()[0][0]

    def check_joins(self, child):
        """Rows of one record have one `_seq`; positions and keys lead from there to the parent."""
        parent = child.parent
        levels = parent.levels()
        pairs = [(child.one("sequence"), parent.one("sequence")), *zip(child.levels(), levels)]
        if len(child.levels()) != len(levels) + 1:
            self.wrong(child.name, f"has {len(child.levels())} levels, its parent {len(levels)}")
            return
        joined = equal("c", "p", pairs)
        child_name, parent_name = quoted(child.name), quoted(parent.name)
        orphans = self.count(f"{child_name} c anti join {parent_name} p on {joined}")
        if orphans:
            self.wrong(child.name, f"{orphans} rows have no parent row in `{parent.name}`")
        own = ", ".join(quoted(name) for name in [child.one("sequence"), *child.levels()])
        twins = self.count(f"(select 1 from {child_name} group by {own} having count(*) > 1)")
        if twins:
            self.wrong(child.name, f"{twins} positions hold several rows")
        length = parent.length_of(child)
        if length is None:
            self.wrong(child.name, f"`{parent.name}` has no column for its length")
            return
        keys = ", ".join(quoted(own) for own, _ in pairs)
        unequal = self.count(
            f"{parent_name} p left join (select {keys}, count(*) as num_rows from {child_name} group by all) c"
            f" on {joined} where coalesce(p.{quoted(length)}, 0) <> coalesce(c.num_rows, 0)"
        )
        if unequal:
            self.wrong(parent.name, f"`{length}` is not the number of rows in `{child.name}`, {unequal} times")

    def check_root_keys(self, tables, declared):
        """Every child row finds its root row by the record's key alone."""
        root = tables[0]
        own = [root.one("row_id")] if root.roles["row_id"] else None
        for child in tables[1:]:
            keys = sorted(child.roles["root_key"])
            if own is None:
                # The key columns of the root, by the JSON paths that the child's columns name.
                by_path = {path: name for _, name, path in root.roles["value"]}
                pairs = [(name, by_path[path]) for _, name, path in keys]
                if len(pairs) != len(declared):
                    self.wrong(child.name, f"has {len(pairs)} columns for the key {declared}")
            else:
                pairs = [(child.one("root_row_id"), own[0])]
            orphans = self.count(
                f"{quoted(child.name)} c anti join {quoted(root.name)} r on {equal('c', 'r', pairs)}"
            )
            if orphans:
                self.wrong(child.name, f"{orphans} rows have no root row by {pairs}")

    def check_glue(self, child):
        """The parent's array column holds the key that its rows in the child have."""
        parent = child.parent
        array = child.path.removesuffix("[*]")
        join = next((name for _, name, path in parent.roles["glue_join"] if path == array), None)
        if join is None:
            self.wrong(child.name, f"`{parent.name}` has no column that joins it")
            return
        joined = equal("c", "p", [(child.one("glue_id"), join)])
        orphans = self.count(f"{quoted(child.name)} c anti join {quoted(parent.name)} p on {joined}")
        if orphans:
            self.wrong(child.name, f"{orphans} rows have no parent row in `{parent.name}`")
        twins = self.count(
            f"(select 1 from {quoted(parent.name)} where {quoted(join)} is not null"
            f" group by {quoted(join)} having count(*) > 1)"
        )
        if twins:
            self.wrong(parent.name, f"{twins} values of `{join}` stand in several rows")


def main(folders):
    if not folders:
        print(__doc__, file=sys.stderr)
        return 64
    problems = []
    for folder in folders:
        place = Place(folder)
        place.check()
        problems += place.problems
        sequence = place.manifest["sequence"]
        print(
            f"{folder} at {sequence}: {place.num_tables} tables, {place.num_rows} rows,"
            f" {len(place.problems)} problems"
        )
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
