"""O6: states that wait for a task token, answered by the real programs."""

import json
import os
import subprocess
import time
import uuid
from pathlib import Path

import pytest
from cloud import Cloud

ORDERS = '{"id": 1, "items": [{"sku": "a"}]}\n{"id": 2, "items": []}\n'


class Waiting:
    """A state machine whose one state gives its token away and waits."""

    def __init__(self, cloud: Cloud):
        self.cloud = cloud
        self.queue = cloud.client("sqs").create_queue(QueueName="tokens")["QueueUrl"]
        self.machines = cloud.client("stepfunctions")
        state = {
            "Type": "Task",
            "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
            # The local AWS takes heartbeats only where they are waited for.
            "HeartbeatSeconds": 60,
            "Parameters": {"QueueUrl": self.queue, "MessageBody": {"token.$": "$$.Task.Token"}},
            "End": True,
        }
        definition = {"StartAt": "Work", "States": {"Work": state}}
        self.machine = self.machines.create_state_machine(
            name="waiting", definition=json.dumps(definition), roleArn="arn:aws:iam::123456789012:role/waiting"
        )["stateMachineArn"]

    def start(self) -> tuple[str, str]:
        """An execution, and the token that it waits for."""
        # The local AWS would give executions without a name one and the same.
        name = uuid.uuid4().hex
        execution = self.machines.start_execution(stateMachineArn=self.machine, name=name)["executionArn"]
        sqs = self.cloud.client("sqs")
        end = time.monotonic() + 30
        while time.monotonic() < end:
            for message in sqs.receive_message(QueueUrl=self.queue).get("Messages", []):
                sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
                return execution, json.loads(message["Body"])["token"]
            time.sleep(0.1)
        raise TimeoutError("no token comes")

    def program(self, token: str, folder: Path, *command: str, **options) -> subprocess.Popen:
        environment = os.environ | {
            "SOLDER_TASK_TOKEN": token, "SOLDER_HEARTBEAT_SECONDS": "0.2", "AWS_ENDPOINT_URL": self.cloud.endpoint,
            "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "operator", "AWS_SECRET_ACCESS_KEY": "operator",
        }  # fmt: skip
        program, *arguments = command
        return subprocess.Popen([self.cloud.image / "bin" / program, *arguments], cwd=folder, env=environment,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)  # fmt: skip

    def end(self, execution: str) -> dict:
        end = time.monotonic() + 30
        while time.monotonic() < end:
            described = self.machines.describe_execution(executionArn=execution)
            if described["status"] != "RUNNING":
                return described
            time.sleep(0.1)
        raise TimeoutError("nobody has answered")


@pytest.fixture(scope="module")
def waiting(cloud: Cloud):
    return Waiting(cloud)


@pytest.fixture
def folder(tmp_path: Path):
    (tmp_path / "raw/orders").mkdir(parents=True)
    (tmp_path / "raw/orders/1.ndjson").write_text(ORDERS)
    return tmp_path


def test_the_report_is_the_output_of_the_state(waiting: Waiting, folder: Path):
    execution, token = waiting.start()
    engine = waiting.program(token, folder, "engine", "relationalize", "raw", "curated", "--report", "json")
    report, log = engine.communicate()
    assert engine.returncode == 0, log
    described = waiting.end(execution)
    assert described["status"] == "SUCCEEDED", described
    assert json.loads(described["output"]) == json.loads(report)


@pytest.mark.parametrize(
    ("command", "error"),
    [
        (["engine", "relationalize", "nowhere", "curated"], "Solder.NoInput"),
        (["engine", "relationalise", "raw", "curated"], "Solder.Usage"),
        (["ingest", "run", "nowhere.yaml", "--to", "raw"], "Solder.NoInput"),
    ],
)
def test_a_failure_has_its_name(waiting: Waiting, folder: Path, command: list[str], error: str):
    execution, token = waiting.start()
    program = waiting.program(token, folder, *command)
    _, log = program.communicate()
    assert program.returncode != 0, log
    described = waiting.end(execution)
    assert (described["status"], described["error"]) == ("FAILED", error), described


def test_a_run_stops_when_its_execution_is_stopped(waiting: Waiting, folder: Path):
    execution, token = waiting.start()
    engine = waiting.program(token, folder, "engine", "relationalize", "-", "curated", stdin=subprocess.PIPE)
    # It reads, and heartbeats come.
    for line in engine.stderr:
        if "entity_started" in line:
            break
    time.sleep(1)
    assert engine.poll() is None
    waiting.machines.stop_execution(executionArn=execution)
    engine.wait(timeout=20)
    log = engine.stderr.read()
    assert engine.returncode == 143, log
    assert not list((folder / "curated/_solder/manifests").glob("*.json"))
