"""AWS Lambda whose functions are real processes: programs that know the runtime API of custom runtimes.

An environment is one process and the small server that it asks for invocations. As Lambda does, an invocation goes to
an environment that is idle, else to a new one; so a process serves several.
"""

import http.server
import json
import os
import queue
import re
import subprocess
import threading
import time
import uuid
from pathlib import Path

import boto3
import policies

PATH = re.compile(r"/2015-03-31/functions/([^/]+)/invocations")
RUNTIME = "/2018-06-01/runtime"


class Environment:
    """One process of a function."""

    def __init__(self, name: str, configuration: dict, package: Path, log: Path, variables: dict[str, str]):
        self.arn = configuration["FunctionArn"]
        self.events: queue.Queue = queue.Queue()
        self.answers: queue.Queue = queue.Queue()
        environment = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                environment.next(self)

            def do_POST(self):
                environment.answer(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        variables = variables | {
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self.server.server_port}",
            "AWS_LAMBDA_FUNCTION_NAME": name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(configuration["MemorySize"]),
            "LAMBDA_TASK_ROOT": str(package),
        }
        self.process = subprocess.Popen([package / "bootstrap"], cwd=package, env=variables, stdout=log.open("wb"),
                                        stderr=subprocess.STDOUT, start_new_session=True)  # fmt: skip

    def next(self, request) -> None:
        """The program asks for an invocation, and waits until there is one."""
        number, deadline, event = self.events.get()
        request.send_response(200)
        for name, value in [("Lambda-Runtime-Aws-Request-Id", number), ("Lambda-Runtime-Deadline-Ms", str(int(deadline * 1000))),
                            ("Lambda-Runtime-Invoked-Function-Arn", self.arn), ("Content-Type", "application/json"),
                            ("Content-Length", str(len(event)))]:  # fmt: skip
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(event)

    def answer(self, request) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        if request.headers.get("Transfer-Encoding") == "chunked":
            while size := int(request.rfile.readline(), 16):
                body += request.rfile.read(size)
                request.rfile.readline()
            request.rfile.readline()
        self.answers.put((request.path.endswith("/error"), body))
        request.send_response(202)
        request.send_header("Content-Length", "0")
        request.end_headers()

    def invoke(self, event: bytes, timeout: int, second: float) -> tuple[bool, bytes]:
        """Whether it failed, and what it says."""
        deadline = time.time() + timeout * second
        self.events.put((str(uuid.uuid4()), deadline, event))
        while time.time() < deadline:
            try:
                return self.answers.get(timeout=0.05)
            except queue.Empty:
                if (code := self.process.poll()) is not None:
                    return True, failure("Runtime.ExitError", f"Runtime exited with error: exit status {code}")
        self.process.kill()
        self.process.wait()
        return True, failure("Sandbox.Timedout", f"Task timed out after {timeout} seconds")


def failure(kind: str, message: str) -> bytes:
    return json.dumps({"errorType": kind, "errorMessage": message}).encode()


class Functions:
    """Invocations go to processes, and all else on."""

    def __init__(self, application, endpoint: str, region: str, package: Path, logs: Path, second: float):
        self.application, self.endpoint, self.region = application, endpoint, region
        self.package, self.logs, self.second = package, logs, second
        self.idle: dict[str, list[Environment]] = {}
        self.number = 0
        self.lock = threading.Lock()

    def __call__(self, environ, start_response):
        path = PATH.fullmatch(environ["PATH_INFO"])
        if path is None:
            return self.application(environ, start_response)
        event = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        name = path[1].rsplit(":", 1)[-1]
        client = boto3.client("lambda", endpoint_url=self.endpoint, region_name=self.region)
        configuration = client.get_function_configuration(FunctionName=name)
        environment = self.take(name, configuration)
        failed, answer = environment.invoke(event, configuration["Timeout"], self.second)
        if environment.process.poll() is None:
            with self.lock:
                self.idle.setdefault(name, []).append(environment)
        headers = [("Content-Type", "application/json"), ("X-Amz-Executed-Version", "$LATEST")]
        start_response("200 OK", [*headers, ("X-Amz-Function-Error", "Unhandled")] if failed else headers)
        return [answer]

    def take(self, name: str, configuration: dict) -> Environment:
        with self.lock:
            if self.idle.get(name):
                return self.idle[name].pop()
            self.number += 1
            log = self.logs / f"function-{name}-{self.number}.log"
        variables = {
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": self.region,
            "AWS_ACCESS_KEY_ID": policies.key_of_role(configuration["Role"]),
            "AWS_SECRET_ACCESS_KEY": "local",
            **configuration.get("Environment", {}).get("Variables", {}),
        }
        return Environment(name, configuration, self.package, log, variables)

    def stop(self) -> None:
        with self.lock:
            for environment in [each for idle in self.idle.values() for each in idle]:
                environment.process.terminate()
