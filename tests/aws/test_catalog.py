"""Tables in the Glue Data Catalog (G1 to G5): the real programs against moto's."""

import json

import pytest
from botocore.exceptions import ClientError
from cloud import Api, Cloud

PARQUET = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"


@pytest.fixture(scope="module", autouse=True)
def databases(catalogued: Cloud):
    for name in ("crm", "staged", "marts", "elsewhere"):
        catalogued.client("glue").create_database(DatabaseInput={"Name": name})
    manager = catalogued.client("secretsmanager")
    manager.create_secret(Name="solder/api", SecretString=json.dumps({"token": Api.TOKEN}))


def put(cloud: Cloud, key: str, *records: dict) -> None:
    lines = "".join(json.dumps(record) + "\n" for record in records)
    cloud.client("s3").put_object(Bucket=cloud.bucket, Key=key, Body=lines)


def table(cloud: Cloud, database: str, name: str) -> dict:
    return cloud.client("glue").get_table(DatabaseName=database, Name=name)["Table"]


def columns(cloud: Cloud, database: str, name: str) -> dict[str, tuple[str, str]]:
    found = table(cloud, database, name)["StorageDescriptor"]["Columns"]
    return {column["Name"]: (column["Type"], column["Comment"]) for column in found}


def versions(cloud: Cloud, database: str, name: str) -> int:
    return len(cloud.client("glue").get_table_versions(DatabaseName=database, TableName=name)["TableVersions"])


def done(cloud: Cloud, *arguments: str, code: int = 0) -> dict:
    """The report of a command."""
    ended = cloud.engine(*arguments, "--report", "json")
    assert ended.returncode == code, ended.stdout + ended.stderr
    return json.loads(ended.stdout) | {"said": ended.stderr}


def outcomes(report: dict) -> dict[str, str]:
    return {each["table"]: each["outcome"] for each in report["catalog"]["tables"]}


def place(cloud: Cloud, key: str) -> str:
    return f"s3://{cloud.bucket}/{key}"


def relationalize(cloud: Cloud, area: str, database: str, *options: str, code: int = 0) -> dict:
    return done(cloud, "relationalize", place(cloud, f"in/{area}"), place(cloud, f"curated/{area}"), "--bookmark",
                "--key", "id", "--catalog", f"glue://{database}", *options, code=code)  # fmt: skip


def test_curated_tables_are_there_follow_the_shape_and_are_written_once(catalogued: Cloud):
    """G2, G4"""
    put(catalogued, "in/one/donors/1.ndjson", {"id": 1, "name": {"given": "Ada"}, "gifts": [{"sum": 2}], "ok": True})
    first = relationalize(catalogued, "one", "staged")
    assert outcomes(first) == {"donors": "created", "donors__gifts": "created"}
    donors = table(catalogued, "staged", "donors")
    assert donors["TableType"] == "EXTERNAL_TABLE"
    assert donors["StorageDescriptor"]["Location"] == place(catalogued, "curated/one/donors/")
    assert donors["StorageDescriptor"]["SerdeInfo"]["SerializationLibrary"] == PARQUET
    assert donors["Parameters"] == {"EXTERNAL": "TRUE", "classification": "parquet", "solder.made_by": "engine"}
    found = columns(catalogued, "staged", "donors")
    assert found["id"] == ("bigint", "$.id")
    assert found["name__given"] == ("string", "$.name.given")
    assert found["ok"] == ("boolean", "$.ok")
    assert columns(catalogued, "staged", "donors__gifts")["sum"] == ("bigint", "$.gifts[*].sum")

    # Nothing new: nothing is written.
    assert set(outcomes(relationalize(catalogued, "one", "staged")).values()) == {"unchanged"}
    assert versions(catalogued, "staged", "donors") == 1

    # A new column, a wider type, a new table.
    put(catalogued, "in/one/donors/2.ndjson", {"id": 2, "score": 0.5, "gifts": [{"sum": 1.5}], "tags": [{"t": "x"}]})
    second = relationalize(catalogued, "one", "staged")
    assert outcomes(second) == {"donors": "updated", "donors__gifts": "updated", "donors__tags": "created"}
    assert second["catalog"]["tables"][0]["columns_added"] == ["score", "tags__len"]
    assert second["catalog"]["tables"][1]["columns_changed"] == ["sum"]
    assert columns(catalogued, "staged", "donors")["score"] == ("double", "$.score")
    assert columns(catalogued, "staged", "donors__gifts")["sum"] == ("double", "$.gifts[*].sum")
    assert versions(catalogued, "staged", "donors") == 2
    assert set(outcomes(relationalize(catalogued, "one", "staged")).values()) == {"unchanged"}


def test_a_table_of_somebody_else_stays_as_it_is_and_the_others_come(catalogued: Cloud):
    """G3"""
    theirs = {"Name": "visits", "Description": "theirs", "StorageDescriptor": {"Location": "s3://theirs/visits/"}}
    catalogued.client("glue").create_table(DatabaseName="staged", TableInput=theirs)
    put(catalogued, "in/foreign/visits/1.ndjson", {"id": 1, "pages": [{"url": "/"}]})
    report = relationalize(catalogued, "foreign", "staged", code=73)
    assert outcomes(report) == {"visits": "refused", "visits__pages": "created"}
    assert "staged.visits" in report["said"] and "the run is committed" in report["said"]
    assert table(catalogued, "staged", "visits")["Description"] == "theirs"
    assert versions(catalogued, "staged", "visits") == 1
    # The run counts: it reads nothing again, and once the name is free the table comes.
    catalogued.client("glue").delete_table(DatabaseName="staged", Name="visits")
    again = relationalize(catalogued, "foreign", "staged")
    assert again["objects_read"] == 0
    assert outcomes(again) == {"visits": "created", "visits__pages": "unchanged"}


def test_a_database_that_is_missing_is_told_and_the_same_command_mends_it(catalogued: Cloud):
    """G1, G5"""
    put(catalogued, "in/late/rooms/1.ndjson", {"id": 1})
    report = relationalize(catalogued, "late", "later", code=78)
    assert report["records_read"] == 1
    assert "aws glue create-database" in report["catalog"]["error"]
    catalogued.client("glue").create_database(DatabaseInput={"Name": "later"})
    assert outcomes(relationalize(catalogued, "late", "later")) == {"rooms": "created"}


def test_delta_tables_of_merges_and_marts(catalogued: Cloud):
    put(catalogued, "in/lake/orders/1.ndjson", {"id": 1, "lines": [{"sku": "a"}], "at": "2026-01-01T00:00:00Z"})
    done(catalogued, "relationalize", place(catalogued, "in/lake"), place(catalogued, "curated/lake"), "--bookmark",
         "--key", "id", "--timestamps")  # fmt: skip
    merge = ("merge", "--staging", place(catalogued, "curated/lake"), "--into", place(catalogued, "lake/own"),
             "--catalog", "glue://elsewhere")  # fmt: skip
    rehearsed = done(catalogued, *merge, "--dry-run")
    assert "catalog" not in rehearsed
    assert outcomes(done(catalogued, *merge)) == {"orders": "created", "orders__lines": "created"}
    orders = table(catalogued, "elsewhere", "orders")
    assert (orders["Parameters"]["table_type"], orders["Parameters"]["spark.sql.sources.provider"]) == ("DELTA", "delta")
    location = place(catalogued, "lake/own/orders/")
    assert orders["StorageDescriptor"]["Location"] == location
    assert orders["StorageDescriptor"]["SerdeInfo"]["Parameters"]["path"] == location
    assert columns(catalogued, "elsewhere", "orders")["at"] == ("timestamp", "$.at")
    assert outcomes(done(catalogued, *merge)) == {"orders": "unchanged", "orders__lines": "unchanged"}

    mart = ("sql", "-c", "select sku, count(*) as n from orders__lines group by sku", "--lake",
            place(catalogued, "lake/own"), "--into", place(catalogued, "lake/own"), "--table", "skus",
            "--catalog", "glue://marts")  # fmt: skip
    assert outcomes(done(catalogued, *mart)) == {"skus": "created"}
    assert columns(catalogued, "marts", "skus")["n"] == ("bigint", "n")
    assert outcomes(done(catalogued, *mart)) == {"skus": "unchanged"}
    # A mart is of no entity: the next merge leaves it to the mart's own database.
    with pytest.raises(ClientError, match="EntityNotFoundException"):
        table(catalogued, "elsewhere", "skus")


def source(cloud: Cloud, api: Api, name: str) -> None:
    (cloud.image / f"sources/{name}.yaml").write_text(f"""\
version: 1
connection:
  base_url: {api.url}
  allow_private_networks: true
  auth: {{ type: bearer, token: "${{secret:aws-sm://solder/api#token}}" }}
streams:
  {name}:
    path: /{name}
    records: $.data[*]
    primary_key: [id]
    paginate: {{ type: page }}
""")


def test_the_pipeline_registers_what_it_merges(catalogued: Cloud, api: Api):
    source(catalogued, api, "parcels")
    api.lists["parcels"] = [{"id": 1, "updated_at": "", "lines": [{"sku": "a"}]}]
    options = {"relationalize": ["--catalog", "glue://crm"]}
    first = catalogued.execute("first", sources=["parcels"])
    assert first["status"] == "SUCCEEDED", first
    assert columns(catalogued, "crm", "parcels__lines")["sku"] == ("string", "$.lines[*].sku")
    assert table(catalogued, "crm", "parcels")["Parameters"]["table_type"] == "DELTA"
    api.lists["parcels"] = [{"id": 2, "updated_at": "", "weight": 1.5}]
    assert catalogued.execute("second", sources=["parcels"])["status"] == "SUCCEEDED"
    assert columns(catalogued, "crm", "parcels")["weight"] == ("double", "$.weight")
    # The names are those of the lake's tables: staged ones of another place are kept out.
    taken = catalogued.execute("third", sources=["parcels"], options=options)
    assert taken["error"] == "Solder.Exit73", taken


def test_the_role_reaches_its_own_database_alone(catalogued: Cloud, api: Api):
    """G5. The rows are in the lake all the same, and an input without a catalog asks for none."""
    source(catalogued, api, "letters")
    api.lists["letters"] = [{"id": 1, "updated_at": ""}]
    execution = catalogued.execute("denied", sources=["letters"], catalog="elsewhere", area="denied")
    assert execution["error"] == "Solder.Exit77", execution
    assert catalogued.sql("denied", "select count(*) as n from letters") == ["1"]
    execution = catalogued.execute("none", sources=["letters"], catalog="", area="denied")
    assert execution["status"] == "SUCCEEDED", execution
    asked = {call["action"] for call in catalogued.calls() if call["action"].startswith("glue:") and call["allowed"]}
    assert asked == {"glue:GetDatabase", "glue:GetTable", "glue:CreateTable", "glue:UpdateTable"}
