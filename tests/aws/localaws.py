#!/usr/bin/env python3
"""An AWS on this machine whose Batch jobs and Lambda functions are real processes.

    localaws.py --port 5555 --image DIR --logs DIR

moto answers for S3, Secrets Manager, Glue, IAM, SNS, CloudFormation, Batch, Lambda and Step Functions. It has an interpreter
for state machines, but some of its parts are left empty, and its Batch marks jobs as done without running them.
Both are mended here, from outside, by replacing what moto has under names that are checked at the start: so
moto is pinned, and another version of it says at once what it lacks.

DIR stands for the container's image: its programs are found there by name, and jobs start in it. It stands for the
zip of functions as well: `bootstrap` is started there (functions.py).
"""

import argparse
import atexit
import datetime
import fnmatch
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

REGION = "us-east-1"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--image", type=Path, required=True, help="the folder that stands for the image")
    parser.add_argument("--logs", type=Path, required=True, help="where the output of every attempt is kept")
    parser.add_argument("--second", type=float, default=1.0, help="how long a second of time-outs and retries lasts")
    parser.add_argument("--grace", type=float, default=30.0, help="from SIGTERM to SIGKILL, in seconds that last as such")
    return parser.parse_args()


ARGUMENTS = arguments()
ENDPOINT = f"http://127.0.0.1:{ARGUMENTS.port}"

# moto's interpreter calls the other services at this port, with whatever credentials there are.
os.environ.update(MOTO_PORT=str(ARGUMENTS.port), AWS_DEFAULT_REGION=REGION)
os.environ.update(AWS_ACCESS_KEY_ID="operator", AWS_SECRET_ACCESS_KEY="operator")

import boto3  # noqa: E402
import jsonata  # noqa: E402
import moto.stepfunctions.models as sfn_models  # noqa: E402
import moto.stepfunctions.responses as sfn_responses  # noqa: E402
from moto.batch.models import Job  # noqa: E402
from moto.batch_simple import models as batch  # noqa: E402
from moto.core.config import default_user_config  # noqa: E402
from moto.moto_server.werkzeug_app import (  # noqa: E402
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from moto.s3.responses import S3Response  # noqa: E402
from moto.stepfunctions.parser.api import HistoryEventType, TaskFailedEventDetails  # noqa: E402
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName  # noqa: E402
from moto.stepfunctions.parser.asl.component.common.error_name.error_name import ErrorName  # noqa: E402
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (  # noqa: E402
    FailureEvent,
    FailureEventException,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName  # noqa: E402
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import (  # noqa: E402
    StatesErrorNameType,
)
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl  # noqa: E402
from moto.stepfunctions.parser.asl.component.common.string import string_expression  # noqa: E402
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.distributed_iteration_component import (  # noqa: E402
    DistributedIterationComponent,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (  # noqa: E402
    state_task_service_callback as callback,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service import (  # noqa: E402
    StateTaskService,
)
from moto.stepfunctions.parser.asl.eval import states, variable_store  # noqa: E402
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails  # noqa: E402
from moto.stepfunctions.parser.asl.jsonata import jsonata as asl_jsonata  # noqa: E402
from moto.stepfunctions.parser.asl.jsonata import validations  # noqa: E402
from moto.stepfunctions.parser.models import stepfunctions_parser_backends  # noqa: E402
from werkzeug.serving import run_simple  # noqa: E402

import functions  # noqa: E402
import policies  # noqa: E402


def replace(owner: object, name: str, new: object) -> None:
    """Puts `new` where moto has `name`. That moto has it is part of what a test of this launcher is."""
    if not hasattr(owner, name):
        sys.exit(f"moto has no `{name}` in {owner!r}: this launcher is written for the version in requirements.txt")
    setattr(owner, name, new)


# --- Step Functions ---------------------------------------------------------------------------------------------


def mend_step_functions() -> None:
    default_user_config["stepfunctions"] = {"execute_state_machine": True}
    # The machines of templates go where no interpreter is.
    replace(sfn_models, "stepfunctions_backends", stepfunctions_parser_backends)
    mend_service_calls()
    mend_jsonata()
    mend_times()
    mend_distributed_maps()
    # A `States.…` error that comes out of a Map, or is said by a Fail state, is refused by moto, not by AWS.
    replace(CustomErrorName, "__init__", lambda self, error_name: ErrorName.__init__(self, error_name=error_name))


def mend_service_calls() -> None:
    """State machines write `JobName`, boto3 `jobName`: moto has the translation, but its callers are empty."""

    def shapes(task: StateTaskService, service: str | None, action: str | None):
        client = boto3.client(task._get_boto_service_name(service), region_name=REGION)
        operation = client.meta.method_to_api_mapping[task._get_boto_service_action(action)]
        return client.meta.service_model.operation_model(operation)

    def parameters(self, parameters, boto_service_name=None, service_action_name=None):
        shape = shapes(self, boto_service_name, service_action_name).input_shape
        if shape is not None:
            self._to_boto_request(parameters, shape)

    def response(self, response, boto_service_name=None, service_action_name=None):
        shape = shapes(self, boto_service_name, service_action_name).output_shape
        if shape is not None:
            self._from_boto_response(response, shape)

    def value(value):
        if hasattr(value, "read"):  # the body of an object; moto misses the kind of stream that checks a checksum
            return value.read().decode()
        return value.isoformat() if isinstance(value, datetime.datetime) else value

    def wait(self, env, sync_resolver, timeout_seconds, callback_endpoint, heartbeat_endpoint):
        # moto also listens for a task token, and a second attempt finds that of the first one closed: a time-out.
        end = time.monotonic() + timeout_seconds if timeout_seconds else None
        while env.is_running():
            if result := sync_resolver():
                return result
            if end and time.monotonic() > end:
                return callback.CallbackOutcomeTimedOut(callback_id="")
            time.sleep(0.1)

    replace(StateTaskService, "_normalise_parameters", parameters)
    replace(StateTaskService, "_normalise_response", response)
    replace(StateTaskService, "_from_boto_response_value", staticmethod(value))
    replace(callback.StateTaskServiceCallback, "_eval_sync", wait)


def mend_jsonata() -> None:
    """moto asks a Java virtual machine that it does not bring along; jsonata-python is the same language."""

    def evaluate(expression: str):
        try:
            return jsonata.Jsonata(expression).evaluate(None)
        except Exception as error:
            raise asl_jsonata.JSONataException("UNKNOWN", str(error)) from error

    def declarations(bindings: dict) -> str:
        # moto's own puts text between quotes as it is, and fails on text with quotes in it: that of errors.
        return "".join(f"{name}:={asl_jsonata.to_json_str(value)};" for name, value in bindings.items())

    for module in (asl_jsonata, string_expression, validations):
        replace(module, "eval_jsonata_expression", evaluate)
    for module in (states, variable_store):
        replace(module, "encode_jsonata_variable_declarations", declarations)


def mend_times() -> None:
    """The time at which an execution began can stand in its output, and moto cannot write it as JSON."""

    def text(value):
        if isinstance(value, datetime.datetime):
            return value.isoformat().replace("+00:00", "Z")
        return str(value)

    mended = types.SimpleNamespace(**vars(json))
    mended.dumps = lambda value, **options: json.dumps(value, default=text, **options)
    replace(sfn_responses, "json", mended)
    # Between two attempts of a state.
    replace(retrier_decl, "time", types.SimpleNamespace(sleep=lambda seconds: time.sleep(seconds * ARGUMENTS.second)))


def mend_distributed_maps() -> None:
    """moto counts the items that failed, and goes on whatever is tolerated."""
    map_run = DistributedIterationComponent._map_run

    def tolerating(self, env, eval_input):
        map_run(self, env, eval_input)
        items = eval_input.map_run_record.item_counter
        num_failed = items.failed.get() + items.timed_out.get()
        if num_failed <= max(eval_input.tolerated_failure_count, items.total.get() * eval_input.tolerated_failure_percentage / 100):
            return
        name = StatesErrorName(typ=StatesErrorNameType.StatesExceedToleratedFailureThreshold)
        details = TaskFailedEventDetails(error=name.error_name, cause="The specified tolerated failure threshold was exceeded")
        event = FailureEvent(env=env, error_name=name, event_type=HistoryEventType.TaskFailed,
                             event_details=EventDetails(taskFailedEventDetails=details))  # fmt: skip
        raise FailureEventException(failure_event=event)

    replace(DistributedIterationComponent, "_map_run", tolerating)


# --- S3 ---------------------------------------------------------------------------------------------------------


def mend_s3() -> None:
    """moto looks whether an object is there and stores it in two steps: `If-None-Match` must be one."""
    lock = threading.RLock()

    def locked(method):
        def call(*args, **kwargs):
            with lock:
                return method(*args, **kwargs)

        return call

    for name in ("put_object", "_key_response_post", "copy_object", "delete_object"):
        replace(S3Response, name, locked(getattr(S3Response, name, None)))


# --- Batch ------------------------------------------------------------------------------------------------------


def mend_batch() -> None:
    default_user_config["batch"] = {"use_docker": False}

    def submit(self, job_name, job_def_id, job_queue, array_properties, depends_on=None, container_overrides=None,
               eks_properties_override=None, timeout=None, parameters=None, tags=None):  # fmt: skip
        definition = self.get_job_definition(job_def_id)
        queue = self.get_job_queue(job_queue)
        if definition is None:
            raise batch.ClientException(f"Job definition {job_def_id} does not exist")
        if queue is None:
            raise batch.ClientException(f"Job queue {job_queue} does not exist")
        job = Job(job_name, definition, queue, self, log_backend=self.logs_backend, depends_on=depends_on,
                  container_overrides=container_overrides, eks_properties_override=eks_properties_override,
                  all_jobs=self._jobs, timeout=timeout, array_properties=array_properties,
                  parameters=parameters, tags=tags)  # fmt: skip
        job.status = "RUNNABLE"
        self.backend._jobs[job.job_id] = job
        threading.Thread(target=run, args=(job,), daemon=True).start()
        return job_name, job.job_id, job.arn

    describe = Job.describe

    def describe_with_exit_code(self):
        description = describe(self)
        if self.exit_code is not None:
            description["container"]["exitCode"] = self.exit_code
        return description

    replace(batch.BatchSimpleBackend, "submit_job", submit)
    replace(Job, "describe", describe_with_exit_code)


def run(job: Job) -> None:
    """A job to its end; one with array properties is as many children, and fails if one of them does."""
    size = (job.array_properties or {}).get("size")
    job.status = "RUNNING"
    job.job_started_at = datetime.datetime.now()
    if size:
        with ThreadPoolExecutor(max_workers=4) as children:
            ends = list(children.map(lambda index: attempts(job, index), range(size)))
        code = max(code or 0 for code, _ in ends)
        reason = "Array Child Job failed" if code else ends[0][1]
    else:
        # Only then is there a container to tell of.
        job.exit_code, reason = attempts(job)
        code = job.exit_code
    # The description must be whole before the status says that it is.
    job.job_stopped_reason = reason
    job._mark_stopped(success=code == 0)


def attempts(job: Job, index: int | None = None) -> tuple[int | None, str]:
    """All attempts of a job or of an array's child, as the retry strategy wants them; how the last one ended."""
    strategy = job.job_definition.retry_strategy or {}
    limit = job._get_attempt_duration()
    for number in range(1, int(strategy.get("attempts", 1)) + 1):
        if index is None:
            job._start_attempt()
        code, reason, stopped = attempt(job, number, limit * ARGUMENTS.second if limit else None, index)
        if index is None:
            container = {} if code is None else {"exitCode": code}
            job.latest_attempt["container"].update(container, reason=reason)
        # Batch does not try again what it stopped itself.
        if code == 0 or stopped or wanted(strategy, code, reason) == "EXIT":
            break
        if index is None:
            job._stop_attempt()
    return code, reason


def attempt(job: Job, number: int, limit: float | None, index: int | None) -> tuple[int | None, str, bool]:
    """One process: its exit code, why it ended, and whether it was stopped."""
    properties = job.job_definition.container_properties
    overrides = job.container_overrides
    command = job._add_parameters_to_command(overrides.get("command") or properties.get("command") or [])
    program = ARGUMENTS.image / "bin" / command[0]
    if not program.exists():
        return None, f"CannotStartContainerError: no {command[0]} in the image", False
    child = "" if index is None else f"{index}-"
    log = ARGUMENTS.logs / f"{job.job_name}-{job.job_id}-{child}{number}.log"
    with log.open("wb") as output:
        process = subprocess.Popen([program, *command[1:]], cwd=ARGUMENTS.image, env=environment(job, number, index),
                                   stdout=output, stderr=subprocess.STDOUT, start_new_session=True)  # fmt: skip
        end = time.monotonic() + limit if limit else None
        killed = None
        stopped = None
        while process.poll() is None:
            now = time.monotonic()
            if stopped is None and (job.stop or (end and now > end)):
                stopped = job.job_stopped_reason if job.stop else "Job attempt duration exceeded timeout"
                process.send_signal(signal.SIGTERM)
                killed = now + ARGUMENTS.grace
            if killed and now > killed:
                process.kill()
            time.sleep(0.02)
    code = process.returncode if process.returncode >= 0 else 128 - process.returncode
    return code, stopped or "Essential container in task exited", stopped is not None


def environment(job: Job, number: int, index: int | None) -> dict[str, str]:
    properties = job.job_definition.container_properties
    variables = {
        "TMPDIR": "/tmp",
        "AWS_BATCH_JOB_ID": job.job_id,
        "AWS_BATCH_JOB_ATTEMPT": str(number),
        "AWS_BATCH_JQ_NAME": job.job_queue.name,
        **({} if index is None else {"AWS_BATCH_JOB_ARRAY_INDEX": str(index)}),
        # What the programs need to find this AWS, and an identity by which policies are looked up.
        "AWS_ENDPOINT_URL": ENDPOINT,
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": policies.key_of_role(properties.get("jobRoleArn")),
        "AWS_SECRET_ACCESS_KEY": "local",
    }
    for variable in [*properties.get("environment", []), *job.container_overrides.get("environment", [])]:
        variables[variable["name"]] = variable["value"]
    return variables


def wanted(strategy: dict, code: int | None, reason: str) -> str:
    """What `evaluateOnExit` says; Batch tries again where no rule fits."""
    values = {"onExitCode": str(code), "onReason": reason, "onStatusReason": reason}
    for rule in strategy.get("evaluateOnExit", []):
        conditions = {name: pattern for name, pattern in rule.items() if name in values}
        if all(fnmatch.fnmatch(values[name], pattern) for name, pattern in conditions.items()):
            return rule["action"].upper()
    return "RETRY"


# --- The server -------------------------------------------------------------------------------------------------


def main() -> None:
    ARGUMENTS.logs.mkdir(parents=True, exist_ok=True)
    mend_step_functions()
    mend_s3()
    mend_batch()
    socket.setdefaulttimeout(300)
    default_user_config["lambda"] = {"use_docker": False}
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    application = policies.Guard(DomainDispatcherApplication(create_backend_app), ARGUMENTS.logs / "calls.ndjson")
    application = functions.Functions(application, ENDPOINT, REGION, ARGUMENTS.image, ARGUMENTS.logs, ARGUMENTS.second)
    atexit.register(application.stop)
    run_simple("127.0.0.1", ARGUMENTS.port, application, threaded=True, request_handler=MotoRequestHandler)


if __name__ == "__main__":
    main()
