"""The stack of deploy/sam/template.yaml, deployed to the local AWS, and a REST API to read from."""

import http.server
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import boto3
import cfnlint.decode

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "deploy/sam/template.yaml"
MACHINE = ROOT / "deploy/statemachines/pipeline.asl.json"
ZIP_WITHOUT_FILES = b"PK\x05\x06" + bytes(18)
SCALE = 0.05
"""How long a second of Batch, and of a function, lasts: the shortest time-out that Batch takes is a minute."""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Api:
    """Paged JSON lists. `answer` can be replaced by a status that all requests get."""

    TOKEN = "a-token-of-the-api"

    def __init__(self):
        self.lists: dict[str, list[dict]] = {}
        self.status: dict[str, list[int]] = {}
        self.hanging: set[str] = set()
        self.slow: dict[str, float] = {}
        self.requests: list[str] = []
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                api.answer(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, request) -> None:
        url = urlsplit(request.path)
        name = url.path.strip("/")
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        self.requests.append(request.path)
        if name in self.hanging:
            time.sleep(120)
        if int(query.get("page", 1)) > 1:
            time.sleep(self.slow.get(name, 0))
        status = self.status.get(name, [])
        if request.headers.get("Authorization") != f"Bearer {self.TOKEN}":
            return self.send(request, 401, {"error": "no such token"})
        if status:
            return self.send(request, status.pop(0), {"error": "not now"})
        records = [record for record in self.lists[name] if record["updated_at"] >= query.get("since", "")]
        page, size = int(query.get("page", 1)), 3
        self.send(request, 200, {"data": records[(page - 1) * size : page * size]})

    @staticmethod
    def send(request, status: int, body: dict) -> None:
        data = json.dumps(body).encode()
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)


class Cloud:
    """The local AWS with the stack in it."""

    def __init__(self, folder: Path, programs: Path, **parameters: str):
        self.folder = folder
        self.logs = folder / "logs"
        self.image = folder / "image"
        (self.image / "bin").mkdir(parents=True)
        (self.image / "sources").mkdir()
        for program in ("ingest", "engine"):
            (self.image / "bin" / program).symlink_to(programs / program)
        (self.image / "bootstrap").symlink_to(programs / "ingest")
        self.endpoint = f"http://127.0.0.1:{free_port()}"
        self.server = self.start()
        self.outputs = self.deploy(parameters)
        self.bucket = self.outputs["BucketName"]
        self.inbox = self.listen()

    def start(self) -> subprocess.Popen:
        self.logs.mkdir()
        command = [sys.executable, Path(__file__).with_name("localaws.py"), "--port", self.endpoint.rsplit(":", 1)[1],
                   "--image", self.image, "--logs", self.logs, "--second", str(SCALE), "--grace", "20"]  # fmt: skip
        server = subprocess.Popen(command, stdout=(self.folder / "server.log").open("wb"), stderr=subprocess.STDOUT)
        for _ in range(300):
            try:
                urllib.request.urlopen(self.endpoint, timeout=5)
                return server
            except urllib.error.HTTPError:
                return server
            except OSError:
                if server.poll() is not None:
                    break
                time.sleep(0.1)
        raise RuntimeError((self.folder / "server.log").read_text())

    def client(self, service: str):
        return boto3.client(service, endpoint_url=self.endpoint, region_name="us-east-1",
                            aws_access_key_id="operator", aws_secret_access_key="operator")  # fmt: skip

    def deploy(self, given: dict[str, str]) -> dict[str, str]:
        template, _ = cfnlint.decode.decode_str(TEMPLATE.read_text())
        template = json.loads(json.dumps(template))
        resources = template["Resources"]
        # What `aws cloudformation package` and the service do with the definition: moto takes it as text only.
        machine = resources["Pipeline"]["Properties"]
        del machine["DefinitionS3Location"]
        # moto wants percentages with a fraction.
        definition = MACHINE.read_text().replace('"ToleratedFailurePercentage": 0,', '"ToleratedFailurePercentage": 0.0,')
        machine["DefinitionString"] = {"Fn::Sub": [definition, machine.pop("DefinitionSubstitutions")]}
        # moto has no schedules in templates, wants a role that AWS brings itself, and misspells `Timeout`.
        del resources["PipelineSchedule"]
        resources["Compute"]["Properties"]["ServiceRole"] = {"Fn::GetAtt": ["ExecutionRole", "Arn"]}
        for job in ("IngestJob", "EngineJob"):
            resources[job]["Properties"]["timeout"] = resources[job]["Properties"].pop("Timeout")
        ec2 = self.client("ec2")
        subnet = ec2.describe_subnets()["Subnets"][0]
        group = ec2.describe_security_groups()["SecurityGroups"][0]
        parameters = {
            "Image": "solder",
            "Subnets": subnet["SubnetId"],
            "SecurityGroups": group["GroupId"],
            "Timeout": "600",
            "FunctionBucket": "artefacts",
        } | given
        # What is in it does not matter: the folder that stands for the image stands for the zip, too.
        s3 = self.client("s3")
        s3.create_bucket(Bucket="artefacts")
        s3.put_object(Bucket="artefacts", Key="ingest.zip", Body=ZIP_WITHOUT_FILES)
        formation = self.client("cloudformation")
        formation.create_stack(
            StackName="solder", TemplateBody=json.dumps(template),
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            Capabilities=["CAPABILITY_IAM"],
        )  # fmt: skip
        stack = formation.describe_stacks(StackName="solder")["Stacks"][0]
        assert stack["StackStatus"] == "CREATE_COMPLETE", stack
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def listen(self) -> str:
        """A queue that gets what the topic is told."""
        sqs = self.client("sqs")
        queue = sqs.create_queue(QueueName="inbox")["QueueUrl"]
        self.client("sns").subscribe(TopicArn=self.outputs["TopicArn"], Protocol="sqs",
                                     Endpoint="arn:aws:sqs:us-east-1:123456789012:inbox")  # fmt: skip
        return queue

    def told(self) -> list[dict]:
        """What the topic was told since the last time."""
        sqs = self.client("sqs")
        messages = []
        while batch := sqs.receive_message(QueueUrl=self.inbox, MaxNumberOfMessages=10).get("Messages"):
            for message in batch:
                messages.append(json.loads(json.loads(message["Body"])["Message"]))
                sqs.delete_message(QueueUrl=self.inbox, ReceiptHandle=message["ReceiptHandle"])
        return messages

    def execute(self, name: str, **parameters) -> dict:
        """Runs the pipeline to its end."""
        machines = self.client("stepfunctions")
        arn = machines.start_execution(stateMachineArn=self.outputs["PipelineArn"], name=name,
                                       input=json.dumps(parameters))["executionArn"]  # fmt: skip
        end = time.monotonic() + 180
        while time.monotonic() < end:
            execution = machines.describe_execution(executionArn=arn)
            if execution["status"] != "RUNNING":
                execution["output"] = json.loads(execution.get("output", "null"))
                return execution
            time.sleep(0.1)
        raise TimeoutError(f"{name} still runs")

    def attempts(self, job: str) -> list[list[int | None]]:
        """The exit codes of all attempts, for every job of that name."""
        jobs = self.client("batch")
        arns = [queue["jobQueueArn"] for queue in jobs.describe_job_queues()["jobQueues"]]
        ids = [
            summary["jobId"]
            for status in ("SUCCEEDED", "FAILED")
            for summary in jobs.list_jobs(jobQueue=arns[0], jobStatus=status)["jobSummaryList"]
            if summary["jobName"] == job
        ]
        if not ids:
            return []
        return [
            [attempt["container"].get("exitCode") for attempt in described["attempts"]]
            for described in jobs.describe_jobs(jobs=ids)["jobs"]
        ]

    def invocations(self, run: str) -> list[dict]:
        """The reports of all invocations of the function for a run, in their order."""
        lines = [line for log in self.logs.glob("function-*.log") for line in log.read_text().splitlines()]
        events = [json.loads(line) for line in lines]
        reports = [event for event in events if event["event"] == "summary" and event["run_id"] == run]
        return sorted(reports, key=lambda event: event["time"])

    def engine(self, *arguments: str) -> subprocess.CompletedProcess:
        """The program `engine` with an operator's rights."""
        environment = os.environ | {
            "AWS_ENDPOINT_URL": self.endpoint, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "operator", "AWS_SECRET_ACCESS_KEY": "operator",
        }  # fmt: skip
        command = [self.image / "bin/engine", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    def sql(self, area: str, statement: str) -> list[str]:
        """Rows of the lake as lines of CSV, without the head."""
        done = self.engine("sql", "--lake", f"s3://{self.bucket}/lake/{area}", "--format", "csv", "-c", statement)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()[1:]

    def calls(self) -> list[dict]:
        return [json.loads(line) for line in (self.logs / "calls.ndjson").read_text().splitlines()]

    def stop(self) -> None:
        self.server.terminate()
        self.server.wait()


def programs() -> Path:
    """Where the built programs are: SOLDER_PROGRAMS, else what cargo built."""
    given = os.environ.get("SOLDER_PROGRAMS")
    candidates = [Path(given)] if given else [ROOT / "target/release", ROOT / "target/debug"]
    for candidate in candidates:
        if all(shutil.which(candidate / program) for program in ("ingest", "engine")):
            return candidate.resolve()
    raise RuntimeError("no programs: build them with `cargo build --release --bins`, or set SOLDER_PROGRAMS")
