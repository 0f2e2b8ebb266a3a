"""What the roles of the stack lack and allow, as `doctor` finds it out when it runs as a job would."""

import json
import subprocess

import pytest
from cloud import ROOT, Cloud


@pytest.fixture(scope="module")
def doctor(cloud: Cloud):
    """Runs a program's `doctor` with the role of a job; gives the exit code, and findings by place and check."""
    definitions = cloud.client("batch").describe_job_definitions(status="ACTIVE")["jobDefinitions"]
    roles = {definition["jobDefinitionName"]: definition["containerProperties"]["jobRoleArn"] for definition in definitions}

    def run(program: str, *arguments: str) -> tuple[int, dict[tuple[str, str], dict]]:
        [role] = [arn for arn in roles.values() if program in arn.lower()]
        environment = {
            "AWS_ENDPOINT_URL": cloud.endpoint, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": f"role.{role.rsplit('/', 1)[-1]}", "AWS_SECRET_ACCESS_KEY": "local",
        }  # fmt: skip
        command = [cloud.image / "bin" / program, "doctor", *arguments, "--report", "json"]
        done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120)
        findings = json.loads(done.stdout)["findings"]
        return done.returncode, {(finding["about"], finding["check"]): finding for finding in findings}

    return run


def place(cloud: Cloud, name: str) -> str:
    return f"s3://{cloud.bucket}/{name}"


def test_the_engine_may_do_what_it_does(cloud: Cloud, doctor):
    cloud.client("s3").put_object(Bucket=cloud.bucket, Key="raw/doctor/1.json", Body=b"{}")
    curated, lake, raw = (place(cloud, name) for name in ("curated", "lake", "raw"))
    code, found = doctor("engine", curated, lake, "--reads", raw)
    assert code == 0, found
    assert {found[lake, check]["outcome"] for check in ("list", "write", "read", "put-if-absent", "parts", "delete")} == {"ok"}
    assert found[raw, "read"]["outcome"] == "ok"
    assert found["AWS", "identity"]["outcome"] == "ok"
    left = cloud.client("s3").list_objects_v2(Bucket=cloud.bucket).get("Contents", [])
    assert not [each["Key"] for each in left if "_solder-doctor-" in each["Key"]]


def test_the_engine_may_not_write_what_was_landed(cloud: Cloud, doctor):
    raw = place(cloud, "raw")
    code, found = doctor("engine", raw)
    assert code == 77
    advice = found[raw, "write"]["advice"]
    assert advice.startswith(f"let the role's policy allow `s3:PutObject` on `arn:aws:s3:::{cloud.bucket}/raw/_solder-doctor-"), advice


def test_the_ingest_lands_and_removes_nothing(cloud: Cloud, doctor):
    cloud.client("secretsmanager").create_secret(Name="solder/doctor", SecretString="a-secret")
    raw = place(cloud, "raw/doctor")
    code, found = doctor("ingest", "--to", raw, "--secrets", "aws-sm://solder/doctor")
    assert code == 0, found
    assert found["secrets", "secret"]["outcome"] == "ok"
    left = found[raw, "delete"]
    assert left["outcome"] == "warn" and "s3:DeleteObject" in left["came"], left
    assert "removes nothing" in left["advice"]
    [key] = [each["Key"] for each in cloud.client("s3").list_objects_v2(Bucket=cloud.bucket, Prefix="raw/doctor/_")["Contents"]]
    assert f"`s3://{cloud.bucket}/{key}` stays" in left["came"]


def test_the_ingest_may_not_read_other_secrets(cloud: Cloud, doctor):
    cloud.client("secretsmanager").create_secret(Name="other/doctor", SecretString="a-secret")
    code, found = doctor("ingest", "--secrets", "aws-sm://other/doctor")
    assert code == 77
    advice = found["secrets", "secret"]["advice"]
    assert advice.startswith("let the role's policy allow `secretsmanager:GetSecretValue` on `arn:aws:secretsmanager:"), advice
