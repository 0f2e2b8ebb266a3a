"""deploy/statemachines/pipeline.asl.json in the stack of deploy/sam/template.yaml, run with the real programs."""

import json

import pytest
from cloud import Api, Cloud


@pytest.fixture(scope="session", autouse=True)
def secrets(cloud: Cloud):
    manager = cloud.client("secretsmanager")
    manager.create_secret(Name="solder/api", SecretString=json.dumps({"token": Api.TOKEN}))
    manager.create_secret(Name="solder/wrong", SecretString=json.dumps({"token": "another-token"}))
    manager.create_secret(Name="elsewhere/api", SecretString=json.dumps({"token": Api.TOKEN}))


@pytest.fixture(autouse=True)
def quiet(cloud: Cloud):
    """What the topic was told before is no concern of a test."""
    cloud.told()


def source(cloud: Cloud, api: Api, name: str, *streams: str, secret: str = "solder/api", retry: str = "{}") -> None:
    """A source in the image, each of whose streams has its records in the API's list of that name."""
    text = f"""\
version: 1
connection:
  base_url: {api.url}
  allow_private_networks: true
  auth: {{ type: bearer, token: "${{secret:aws-sm://{secret}#token}}" }}
  retry: {retry}
streams:
"""
    for stream in streams:
        text += f"""\
  {stream}:
    path: /{stream}
    params: {{ since: "{{cursor.start}}" }}
    records: $.data[*]
    primary_key: [id]
    paginate: {{ type: page }}
    incremental: {{ cursor: updated_at, initial: 2026-01-01T00:00:00Z, order: asc }}
"""
    (cloud.image / f"sources/{name}.yaml").write_text(text)


def order(number: int, **fields) -> dict:
    day = min(number, 28)
    return {"id": number, "updated_at": f"2026-02-{day:02}T00:00:00Z", "lines": [{"sku": f"s{number}"}]} | fields


def outcomes(execution: dict, step: str) -> dict[str, tuple[str, int | None]]:
    return {each["name"]: (each["status"], each.get("exit_code")) for each in execution["output"][step]}


def failures(execution: dict) -> list[dict]:
    assert execution["status"] == "FAILED", execution
    return json.loads(execution["cause"])


def test_two_sources_reach_the_lake_and_a_second_run_brings_only_what_is_new(cloud: Cloud, api: Api):
    source(cloud, api, "shop", "orders")
    source(cloud, api, "desk", "tickets", "agents")
    api.lists["orders"] = [order(number) for number in range(1, 8)]
    api.lists["tickets"] = [order(number) for number in range(1, 3)]
    api.lists["agents"] = [order(number) for number in range(1, 4)]

    first = cloud.execute("first", sources=["shop", "desk"], area="two")
    assert first["status"] == "SUCCEEDED", first
    assert first["output"]["status"] == "COMPLETE"
    assert outcomes(first, "sources") == {"shop": ("DONE", 0), "desk": ("DONE", 0)}
    assert outcomes(first, "tables") == {name: ("DONE", 0) for name in ("orders", "tickets", "agents")}
    assert cloud.sql("two", "select count(*) as n from orders join orders__lines on id = _root_id") == ["7"]
    assert cloud.sql("two", "select count(*) as n from tickets") == ["2"]
    assert cloud.told() == []

    api.lists["orders"][6:] = [order(7, note="changed"), order(9)]
    api.requests.clear()
    second = cloud.execute("second", sources=["shop", "desk"], area="two", optimize=True)
    assert second["output"]["status"] == "COMPLETE", second
    assert second["output"]["optimize"][0]["status"] == "DONE"
    assert any("since=2026-02-07" in request for request in api.requests), api.requests
    assert cloud.sql("two", "select count(*) as n from orders") == ["8"]
    assert cloud.sql("two", "select note from orders where id = 7") == ["changed"]


def test_a_single_source_and_tables_by_name(cloud: Cloud, api: Api):
    source(cloud, api, "one", "parcels", "letters")
    api.lists["parcels"] = [order(1)]
    api.lists["letters"] = [order(1)]
    execution = cloud.execute("named", sources=["one"], tables=["parcels"], area="named")
    assert outcomes(execution, "tables") == {"parcels": ("DONE", 0)}
    # What was not merged waits, and comes when it is asked for.
    execution = cloud.execute("rest", sources=["one"], area="named")
    assert outcomes(execution, "tables") == {"parcels": ("DONE", 0), "letters": ("DONE", 0)}
    assert cloud.sql("named", "select count(*) as n from letters") == ["1"]


def test_shards_on_many_machines_make_the_same_tables(cloud: Cloud, api: Api):
    """R21. Each source lands a part of its own, and so three shards are an array of three, one is none."""
    names = ["north", "south", "west"]
    for name in names:
        source(cloud, api, name, name)
        api.lists[name] = [order(number) for number in range(1, 6)]
    first = cloud.execute("many", sources=names, area="many", shards=8)
    assert first["output"]["status"] == "COMPLETE", first
    assert outcomes(first, "tables") == {name: ("DONE", 0) for name in names}
    arrays = [path.name for path in cloud.logs.glob("shard-*-*-1.log")]
    assert len(arrays) == 3, arrays
    assert cloud.sql("many", "select count(*) as n from south join south__lines on id = _root_id") == ["5"]

    api.lists["west"].append(order(7))
    again = cloud.execute("one-more", sources=names, area="many", shards=8)
    assert outcomes(again, "tables") == {name: ("DONE", 0) for name in names}
    assert cloud.attempts("shard")[-1] == [0] or [0] in cloud.attempts("shard")
    assert cloud.sql("many", "select count(*) as n from west") == ["6"]

    nothing = cloud.execute("nothing-new", sources=names, area="many", shards=8)
    assert outcomes(nothing, "tables") == {name: ("DONE", 0) for name in names}
    assert cloud.sql("many", "select count(*) as n from west") == ["6"]


def test_a_distributed_map_of_shards_makes_the_same_tables(cloud: Cloud, api: Api):
    """R21. Each shard has an execution and a job of its own, also a single one."""
    names = ["spring", "summer", "autumn"]
    for name in names:
        source(cloud, api, name, name)
        api.lists[name] = [order(number) for number in range(1, 6)]
    before = len(cloud.attempts("shard"))
    first = cloud.execute("mapped", sources=names, area="mapped", shards=8, fan_out="distributed_map")
    assert first["output"]["status"] == "COMPLETE", first
    assert outcomes(first, "tables") == {name: ("DONE", 0) for name in names}
    assert len(cloud.attempts("shard")) == before + 3
    assert cloud.sql("mapped", "select count(*) as n from summer join summer__lines on id = _root_id") == ["5"]

    api.lists["autumn"].append(order(7))
    again = cloud.execute("mapped-one-more", sources=names, area="mapped", shards=8, fan_out="distributed_map")
    assert again["output"]["status"] == "COMPLETE", again
    assert len(cloud.attempts("shard")) == before + 4
    assert cloud.sql("mapped", "select count(*) as n from autumn") == ["6"]


def test_a_mapped_shard_that_fails_fails_the_execution_and_nothing_is_committed(cloud: Cloud, api: Api):
    names = ["left", "right"]
    for name in names:
        source(cloud, api, name, name)
        api.lists[name] = [order(1)]
    engine = cloud.image / "bin/engine"
    program = engine.readlink()
    engine.unlink()
    engine.write_text(f"#!/bin/sh\ncase $* in shard*'--number 1') exit 70 ;; esac\nexec {program} \"$@\"\n")
    engine.chmod(0o755)
    try:
        failed = cloud.execute("unmapped", sources=names, area="unmapped", shards=8, fan_out="distributed_map")
    finally:
        engine.unlink()
        engine.symlink_to(program)
    (failure,) = failures(failed)
    assert (failure["step"], failure["name"]) == ("relationalize", "shard"), failure
    assert "ExceedToleratedFailureThreshold" in failure["reason"], failure
    assert cloud.told()[0]["status"] == "FAILED"

    # What one shard has read is thrown away with the run, and the next reads all.
    mended = cloud.execute("mapped-anew", sources=names, area="unmapped", shards=8, fan_out="distributed_map")
    assert mended["output"]["status"] == "COMPLETE", mended
    assert cloud.sql("unmapped", "select count(*) as n from \"right\"") == ["1"]


def test_a_function_ingests_in_as_many_invocations_as_it_takes(cloud: Cloud, api: Api):
    """L2, L3. With no time at all, each invocation reads one page of each stream."""
    source(cloud, api, "bit-by-bit", "leaves", "twigs")
    api.lists["leaves"] = [order(number) for number in range(1, 11)]
    api.lists["twigs"] = [order(number) for number in range(1, 3)]
    options = {"ingest": ["--stop-after", "0s"]}
    execution = cloud.execute("bits", sources=["bit-by-bit"], area="bits", ingest_by="lambda", options=options)
    assert execution["status"] == "SUCCEEDED", execution
    assert outcomes(execution, "sources") == {"bit-by-bit": ("DONE", 0)}
    more = [report["more"] for report in cloud.invocations("bits")]
    assert len(more) >= 4 and more == [True] * (len(more) - 1) + [False], more
    assert cloud.attempts("ingest-bit-by-bit") == [], "no job of Batch"
    assert cloud.sql("bits", "select count(*) as n, count(distinct id) as d from leaves join leaves__lines on id = _root_id") == ["10,10"]

    api.lists["leaves"].append(order(11))
    cloud.execute("bits-again", sources=["bit-by-bit"], area="bits", ingest_by="lambda")
    assert [report["more"] for report in cloud.invocations("bits-again")] == [False]
    assert cloud.sql("bits", "select count(*) as n from leaves") == ["11"]


def test_a_function_is_tried_again_where_that_helps(cloud: Cloud, api: Api):
    """L3."""
    source(cloud, api, "busy-function", "queues", retry="{ max_attempts: 2, backoff: 10ms }")
    api.lists["queues"] = [order(1)]
    api.status["queues"] = [503] * 4
    execution = cloud.execute("busy-function", sources=["busy-function"], area="busy-function", ingest_by="lambda")
    assert execution["status"] == "SUCCEEDED", execution
    assert [report.get("exit_code") for report in cloud.invocations("busy-function")] == [75, 75, 0]
    assert cloud.sql("busy-function", "select count(*) as n from queues") == ["1"]


def test_a_function_sets_wrong_data_aside_and_fails_for_all_else(cloud: Cloud, api: Api):
    """L3. As a job does: 65 is set aside, 77 fails the whole."""
    source(cloud, api, "fine-function", "rivers")
    source(cloud, api, "odd-function", "ponds")
    file = cloud.image / "sources/odd-function.yaml"
    file.write_text(file.read_text().replace("$.data[*]", "$.nowhere[*]"))
    api.lists["rivers"] = [order(1)]
    api.lists["ponds"] = [order(1)]
    execution = cloud.execute("odd-f", sources=["fine-function", "odd-function"], area="odd-f", ingest_by="lambda")
    assert outcomes(execution, "sources") == {"fine-function": ("DONE", 0), "odd-function": ("QUARANTINED", 65)}
    assert cloud.sql("odd-f", "select count(*) as n from rivers") == ["1"]
    assert "$.nowhere[*]" in cloud.told()[0]["set_aside"][0]["reason"]

    source(cloud, api, "wrong-function", "doors", secret="solder/wrong")
    execution = cloud.execute("wrong-f", sources=["wrong-function"], area="wrong-f", ingest_by="lambda")
    assert execution["error"] == "Solder.Exit77", execution
    assert len(cloud.invocations("wrong-f")) == 1
    assert Api.TOKEN not in json.dumps(execution, default=str) and "another-token" not in json.dumps(execution, default=str)


def test_an_invocation_without_progress_fails_and_is_not_repeated(cloud: Cloud, api: Api):
    """L2. A stream without a cursor is one piece, and this one does not fit."""
    source(cloud, api, "whole", "mountains")
    file = cloud.image / "sources/whole.yaml"
    lines = [line for line in file.read_text().splitlines() if "incremental" not in line and "since" not in line]
    file.write_text("\n".join(lines) + "\n")
    api.lists["mountains"] = [order(number) for number in range(1, 6)]
    api.slow["mountains"] = 30
    function = cloud.client("lambda")
    function.update_function_configuration(FunctionName="solder-ingest", Timeout=60)
    execution = cloud.execute("whole", sources=["whole"], area="whole", ingest_by="lambda")
    function.update_function_configuration(FunctionName="solder-ingest", Timeout=900)
    assert execution["error"] == "Solder.Exit78", execution
    assert "AWS Batch" in failures(execution)[0]["reason"]
    assert len(cloud.invocations("whole")) == 1


def test_truncate_and_reload_drops_what_the_source_no_longer_has(cloud: Cloud, api: Api):
    source(cloud, api, "stock", "items")
    api.lists["items"] = [order(number) for number in range(1, 6)]
    cloud.execute("load", sources=["stock"], area="reload")
    api.lists["items"] = [order(number) for number in range(3, 9)]
    # By key, what is gone stays; truncated and reloaded, it goes.
    cloud.execute("upsert", sources=["stock"], area="reload", full=True)
    assert cloud.sql("reload", "select min(id) as a, max(id) as b from items") == ["1,8"]
    execution = cloud.execute("overwrite", sources=["stock"], area="reload", full=True, mode="overwrite")
    assert (execution["status"], execution["output"]["mode"]) == ("SUCCEEDED", "overwrite"), execution
    assert cloud.sql("reload", "select min(id) as a, max(id) as b, count(*) as n from items") == ["3,8,6"]


def test_what_can_succeed_later_is_tried_again_by_batch(cloud: Cloud, api: Api):
    source(cloud, api, "busy", "events", retry="{ max_attempts: 2, backoff: 10ms }")
    api.lists["events"] = [order(1)]
    api.status["events"] = [503] * 4
    execution = cloud.execute("busy", sources=["busy"], area="busy")
    assert execution["status"] == "SUCCEEDED", execution
    assert cloud.attempts("ingest-busy") == [[75, 75, 0]]
    assert cloud.sql("busy", "select count(*) as n from events") == ["1"]


def test_what_never_succeeds_ends_after_the_last_attempt(cloud: Cloud, api: Api):
    source(cloud, api, "down", "outages", retry="{ max_attempts: 1 }")
    api.status["outages"] = [503] * 10
    execution = cloud.execute("down", sources=["down"], area="down")
    assert execution["error"] == "Solder.Exit75"
    assert cloud.attempts("ingest-down") == [[75, 75, 75, 75]]
    assert cloud.told()[0]["failures"][0]["name"] == "down"


def test_a_table_with_wrong_data_is_set_aside_and_the_others_come(cloud: Cloud, api: Api):
    source(cloud, api, "mixed", "good", "bad")
    checks = "checks:\n  bad:\n    - { not_null: email, before_merge: true }\n"
    (cloud.image / "sources/mixed.checks.yaml").write_text(checks)
    api.lists["good"] = [order(number, email="a@example.org") for number in range(1, 4)]
    api.lists["bad"] = [order(1, email="a@example.org"), order(2, email=None)]
    options = {"merge": ["--job", "sources/mixed.checks.yaml"]}
    execution = cloud.execute("mixed", sources=["mixed"], area="mixed", options=options)
    assert execution["status"] == "SUCCEEDED", execution
    assert execution["output"]["status"] == "PARTIAL"
    assert execution["output"]["quarantined"] == ["bad"]
    assert outcomes(execution, "tables") == {"good": ("DONE", 0), "bad": ("QUARANTINED", 65)}
    assert cloud.attempts("merge-bad") == [[65]]
    assert cloud.sql("mixed", "select count(*) as n from good") == ["3"]
    (message,) = cloud.told()
    assert (message["status"], [each["name"] for each in message["set_aside"]]) == ("PARTIAL", ["bad"])

    # Once the source has mended it, the table catches up.
    api.lists["bad"].append(order(2, email="b@example.org", updated_at="2026-02-03T00:00:00Z"))
    (cloud.image / "sources/mixed.checks.yaml").write_text("checks: {}\n")
    execution = cloud.execute("mended", sources=["mixed"], area="mixed", options=options)
    assert execution["output"]["status"] == "COMPLETE", execution
    assert cloud.sql("mixed", "select email from bad where id = 2") == ["b@example.org"]


def test_a_source_with_wrong_data_is_set_aside_and_the_others_come(cloud: Cloud, api: Api):
    source(cloud, api, "fine", "visits")
    source(cloud, api, "odd", "oddities")
    text = (cloud.image / "sources/odd.yaml").read_text().replace("$.data[*]", "$.nowhere[*]")
    (cloud.image / "sources/odd.yaml").write_text(text)
    api.lists["visits"] = [order(1)]
    api.lists["oddities"] = [order(1)]
    execution = cloud.execute("odd", sources=["fine", "odd"], area="odd")
    assert execution["output"]["quarantined"] == ["odd"], execution
    assert cloud.sql("odd", "select count(*) as n from visits") == ["1"]


def test_bad_records_beyond_the_threshold_fail_the_execution(cloud: Cloud, api: Api):
    source(cloud, api, "keyless", "rows")
    api.lists["rows"] = [order(1), order(2, id=None)]
    options = {"relationalize": ["--error-threshold", "0"]}
    execution = cloud.execute("keyless", sources=["keyless"], area="keyless", options=options)
    assert execution["error"] == "Solder.Exit65", execution
    assert failures(execution)[0]["step"] == "relationalize"


@pytest.mark.parametrize("secret", ["solder/wrong", "elsewhere/api"], ids=["refused by the API", "denied by IAM"])
def test_refused_credentials_fail_the_whole(cloud: Cloud, api: Api, secret: str):
    name = secret.replace("/", "-")
    source(cloud, api, name, "secrets", secret=secret)
    source(cloud, api, "beside", "beside")
    api.lists["beside"] = [order(1)]
    execution = cloud.execute(name, sources=["beside", name], area=name)
    assert execution["error"] == "Solder.Exit77", execution
    assert cloud.attempts(f"ingest-{name}") == [[77]]
    (message,) = cloud.told()
    assert (message["status"], message["failures"][0]["exit_code"]) == ("FAILED", 77)
    # What was under way has ended: the next execution goes on from there.
    assert [[0]] == cloud.attempts("ingest-beside")[-1:]


def test_a_secret_that_does_not_exist_is_a_fault_of_the_source(cloud: Cloud, api: Api):
    source(cloud, api, "forgotten", "things", secret="solder/forgotten")
    assert cloud.execute("forgotten", sources=["forgotten"])["error"] == "Solder.Exit78"


def test_a_job_that_takes_too_long_is_stopped_and_the_execution_says_so(cloud: Cloud, api: Api):
    source(cloud, api, "slow", "glaciers")
    api.hanging.add("glaciers")
    execution = cloud.execute("slow", sources=["slow"], area="slow")
    assert execution["error"] == "Solder.TimedOut", execution
    (failure,) = failures(execution)
    assert failure["reason"] == "Job attempt duration exceeded timeout"
    # SIGTERM was enough, and Batch does not try again what it stopped.
    assert cloud.attempts("ingest-slow") == [[143]]


@pytest.mark.parametrize("given", [{"sources": ["a"], "mode": "replace"}, {"sources": "a"}, {"sources": [], "tables": "t"}, {"sources": [], "catalog": 1},
                                   {"sources": ["a"], "ingest_by": "glue"}, {"sources": ["a"], "fan_out": "map"}])  # fmt: skip
def test_an_input_that_is_not_understood_starts_no_job(cloud: Cloud, given: dict):
    execution = cloud.execute(f"wrong-{abs(hash(str(given)))}", **given)
    assert execution["error"] == "Solder.Exit64", execution


def test_an_execution_without_sources_merges_what_is_staged(cloud: Cloud, api: Api):
    """As after `engine bookmark rewind`: nothing is asked of the API."""
    source(cloud, api, "again", "pages")
    api.lists["pages"] = [order(1)]
    cloud.execute("once", sources=["again"], area="again")
    api.requests.clear()
    execution = cloud.execute("twice", area="again")
    assert outcomes(execution, "tables") == {"pages": ("DONE", 0)}
    assert api.requests == []


def test_roles_allow_what_jobs_ask_for(cloud: Cloud):
    """Last in the file: it looks at the calls of all tests."""
    denied = {(call["role"], call["action"], call["resource"].split("/")[0]) for call in cloud.calls() if not call["allowed"]}
    assert {(action, resource) for _, action, resource in denied} <= {
        ("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:us-east-1:123456789012:secret:elsewhere")
    }
    asked = {(call["action"], call["resource"].split("/")[1]) for call in cloud.calls() if call["action"] == "s3:PutObject"}
    assert asked == {("s3:PutObject", place) for place in ("raw", "curated", "lake", "runs")}
