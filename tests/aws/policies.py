"""What job roles may do, held against what jobs really ask for.

moto takes any credentials. Here a job's access key is `role.NAME`, and its calls of S3, Secrets Manager, Parameter
Store and Glue pass only if the policies of that role allow them: a role that is too narrow fails a test. All
calls of jobs are written down, so that a test can also say what a role allows and no job needs.

Only what the templates use of IAM's language is understood; anything else is an error.
"""

import fnmatch
import io
import json
import re
import threading
from pathlib import Path
from urllib.parse import parse_qs, unquote
from xml.etree import ElementTree

from moto.iam.models import iam_backends

ACCOUNT = "123456789012"
PREFIX = "role."


def key_of_role(arn: str | None) -> str:
    return PREFIX + (arn or "none").rsplit("/", 1)[-1]


def statements_of(role: str) -> list[dict]:
    backend = iam_backends[ACCOUNT]["aws"]
    found = [candidate for candidate in backend.roles.values() if candidate.name == role]
    if not found:
        return []
    documents = [json.loads(text) if isinstance(text, str) else text for text in found[0].policies.values()]
    # Where a template says AWS::NoValue, moto leaves a null.
    return [statement for document in documents for statement in as_list(document["Statement"]) if statement]


def as_list(value) -> list:
    return value if isinstance(value, list) else [value]


def fits(pattern: str, value: str) -> bool:
    return fnmatch.fnmatchcase(value, pattern.replace("[", "[[]"))


def holds(condition: dict, context: dict[str, str]) -> bool:
    for operator, keys in condition.items():
        if operator not in ("StringLike", "StringEquals"):
            raise ValueError(f"conditions with {operator} are not understood here")
        for key, patterns in keys.items():
            if key not in context or not any(fits(pattern, context[key]) for pattern in as_list(patterns)):
                return False
    return True


def allows(statements: list[dict], action: str, resource: str, context: dict[str, str]) -> bool:
    verdicts = {
        statement["Effect"]
        for statement in statements
        if any(fits(pattern.lower(), action.lower()) for pattern in as_list(statement["Action"]))
        and any(fits(pattern, resource) for pattern in as_list(statement["Resource"]))
        and holds(statement.get("Condition", {}), context)
    }
    return verdicts == {"Allow"}


def s3_needs(environ: dict, query: dict, body: bytes) -> list[tuple[str, str, dict]]:
    """The actions that a request needs, each with its resource and what conditions look at."""
    bucket, _, key = unquote(environ["PATH_INFO"]).lstrip("/").partition("/")
    method = environ["REQUEST_METHOD"]
    arn = f"arn:aws:s3:::{bucket}"
    if not key:
        if method == "POST" and "delete" in query:
            keys = [element.text for element in ElementTree.fromstring(body).iter() if element.tag.endswith("}Key") or element.tag == "Key"]
            return [("s3:DeleteObject", f"{arn}/{name}", {}) for name in keys]
        if method == "GET" and "uploads" in query:
            return [("s3:ListBucketMultipartUploads", arn, {})]
        return [("s3:ListBucket", arn, {"s3:prefix": query.get("prefix", [""])[0]})]
    resource = f"{arn}/{key}"
    if method == "DELETE":
        return [("s3:AbortMultipartUpload" if "uploadId" in query else "s3:DeleteObject", resource, {})]
    if method in ("GET", "HEAD"):
        return [("s3:GetObject", resource, {})]
    needs = [("s3:PutObject", resource, {})]
    if source := environ.get("HTTP_X_AMZ_COPY_SOURCE"):
        needs.append(("s3:GetObject", f"arn:aws:s3:::{unquote(source).lstrip('/')}", {}))
    return needs


def needs(environ: dict, service: str, body: bytes) -> list[tuple[str, str, dict]]:
    if service == "s3":
        return s3_needs(environ, parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True), body)
    action = environ.get("HTTP_X_AMZ_TARGET", "").rsplit(".", 1)[-1]
    asked = json.loads(body or b"{}")
    if service == "glue":
        return [(f"glue:{action}", resource, {}) for resource in glue_resources(asked)]
    name = asked.get("SecretId") or asked.get("Name") or ""
    if service == "secretsmanager":
        # Six characters of chance end the ARN of a secret.
        resource = name if name.startswith("arn:") else f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:{name}-AbCdEf"
    else:
        resource = f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/{name.lstrip('/')}"
    return [(f"{service}:{action}", resource, {})]


def glue_resources(asked: dict) -> list[str]:
    """A call needs its action for the table, and for all that is above it."""
    table = asked.get("TableInput", asked).get("Name", "") if "DatabaseName" in asked else None
    database = asked.get("DatabaseName") or asked["Name"]
    names = ["catalog", f"database/{database}"] + ([f"table/{database}/{table}"] if table else [])
    return [f"arn:aws:glue:us-east-1:{ACCOUNT}:{name}" for name in names]


class Guard:
    """Lets calls of jobs through to moto if their role allows them, and writes all of them down."""

    def __init__(self, application, calls: Path):
        self.application = application
        self.calls = calls.open("a", buffering=1)
        self.lock = threading.Lock()

    def __call__(self, environ, start_response):
        credential = re.search(r"Credential=([^/]+)/\d+/[^/]+/([^/]+)/", environ.get("HTTP_AUTHORIZATION", ""))
        if credential is None or not credential[1].startswith(PREFIX):
            return self.application(environ, start_response)
        role, service = credential[1].removeprefix(PREFIX), credential[2]
        # Who asks STS whose credentials these are needs no right.
        if service == "sts":
            return self.application(environ, start_response)
        body = b""
        if service != "s3" or "delete" in environ.get("QUERY_STRING", ""):
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            environ["wsgi.input"] = io.BytesIO(body)
        statements = statements_of(role)
        for action, resource, context in needs(environ, service, body):
            allowed = allows(statements, action, resource, context)
            with self.lock:
                call = {"role": role, "action": action, "resource": resource, "context": context, "allowed": allowed}
                print(json.dumps(call), file=self.calls)
            if not allowed:
                return deny(service, role, action, resource, start_response)
        if service != "s3" or environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return self.application(environ, start_response)
        return self.read(environ, start_response, role, statements)

    def read(self, environ, start_response, role: str, statements: list[dict]):
        """S3 says that an object is not there only to those who may list the bucket, and else 403. A permission
        that asks for a prefix does not count: such a request has none."""
        answered = []
        body = self.application(environ, lambda *answer: answered.append(answer))
        bucket = f"arn:aws:s3:::{unquote(environ['PATH_INFO']).lstrip('/').partition('/')[0]}"
        if answered[0][0].startswith("404") and not allows(statements, "s3:ListBucket", bucket, {}):
            return deny("s3", role, "s3:ListBucket", bucket, start_response)
        start_response(*answered[0])
        return body


def deny(service: str, role: str, action: str, resource: str, start_response):
    """In the words of AWS."""
    user = f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/job"
    reason = f"because no identity-based policy allows the {action} action"
    message = f"User: {user} is not authorized to perform: {action} on resource: {resource} {reason}"
    if service == "s3":
        body = f"<Error><Code>AccessDenied</Code><Message>{message}</Message></Error>"
        start_response("403 Forbidden", [("Content-Type", "application/xml")])
    else:
        body = json.dumps({"__type": "AccessDeniedException", "message": message})
        start_response("400 Bad Request", [("Content-Type", "application/x-amz-json-1.1")])
    return [body.encode()]
