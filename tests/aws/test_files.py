"""What can be said of the files in deploy/ without running them."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import cfnlint.decode
import pytest
from cloud import MACHINE, ROOT, TEMPLATE

TERRAFORM = ROOT / "deploy/terraform"
PLACES = {"Bucket", "JobQueue", "IngestJob", "EngineJob", "IngestFunction", "Topic", "Catalog"}
needs_terraform = pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not installed")


def lint(tool: str, file: Path) -> None:
    done = subprocess.run([Path(sys.executable).with_name(tool), file], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def terraform(*arguments: str, **options) -> str:
    done = subprocess.run(["terraform", *arguments], capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_template_is_sound():
    lint("cfn-lint", TEMPLATE)


def test_every_state_is_there_and_can_be_reached():
    lint("statelint", MACHINE)


def test_the_state_machine_is_filled_in_by_the_template_alone():
    template, _ = cfnlint.decode.decode_str(TEMPLATE.read_text())
    given = set(template["Resources"]["Pipeline"]["Properties"]["DefinitionSubstitutions"])
    assert given == set(re.findall(r"\$\{(\w+)\}", MACHINE.read_text())) == PLACES


def zipped(program: bytes, folder: Path) -> subprocess.CompletedProcess:
    (folder / "sources/more").mkdir(parents=True, exist_ok=True)
    (folder / "sources/shop.yaml").write_text("version: 1")
    (folder / "sources/more/desk.yaml").write_text("version: 1")
    (folder / "ingest").write_bytes(program)
    command = [sys.executable, ROOT / "deploy/zip_function.py", "ingest", "sources", "function.zip"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def elf(machine: int, *versions: str) -> bytes:
    return b"\x7fELF" + bytes(14) + machine.to_bytes(2, "little") + b"\0".join(f"GLIBC_{one}".encode() for one in versions)


def test_the_zip_of_the_function_can_be_started(tmp_path: Path):
    """L1. Lambda starts `bootstrap`, if its mode says that it may."""
    done = zipped(elf(0xB7, "2.17", "2.34"), tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("function.zip: arm64, 2 files in sources/")
    with zipfile.ZipFile(tmp_path / "function.zip") as archive:
        modes = {entry.filename: oct(entry.external_attr >> 16) for entry in archive.infolist()}
    assert modes == {"bootstrap": "0o100755", "sources/more/desk.yaml": "0o100644", "sources/shop.yaml": "0o100644"}
    first = (tmp_path / "function.zip").read_bytes()
    zipped(elf(0xB7, "2.17", "2.34"), tmp_path)
    assert (tmp_path / "function.zip").read_bytes() == first


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (elf(0x3E, "2.4", "2.38"), "needs glibc 2.38, and the function has 2.34"),
        (elf(0x3E, "2.4", "ABI_DT_RELR"), "needs glibc 2.36, and the function has 2.34"),
        (b"#!/bin/sh", "none for Linux"),
    ],
)
def test_a_program_that_the_function_could_not_start_is_refused(tmp_path: Path, program: bytes, words: str):
    done = zipped(program, tmp_path)
    assert done.returncode == 1 and words in done.stderr, done
    assert not (tmp_path / "function.zip").exists()


def test_a_distributed_map_may_start_what_it_starts():
    """A Distributed Map needs more than its jobs do, and on this very state machine."""
    template, _ = cfnlint.decode.decode_str(TEMPLATE.read_text())
    (policy,) = template["Resources"]["PipelineRole"]["Properties"]["Policies"]
    statements = [each for each in policy["PolicyDocument"]["Statement"] if "Action" in each]
    resources = {action: statement["Resource"] for statement in statements
                 for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])}  # fmt: skip
    name = template["Resources"]["Pipeline"]["Properties"]["StateMachineName"]["Fn::Sub"]
    assert resources["states:StartExecution"]["Fn::Sub"].endswith(f":stateMachine:{name}")
    for action in ("states:DescribeExecution", "states:StopExecution"):
        assert resources[action]["Fn::Sub"].endswith(f":execution:{name}/*")


def test_a_distributed_map_knows_no_variable_from_outside():
    """Its executions are others: AWS refuses such a state machine, the local one does not."""
    states = json.loads(MACHINE.read_text())["States"].values()
    distributed = [state["ItemProcessor"] for state in states
                   if state.get("ItemProcessor", {}).get("ProcessorConfig", {}).get("Mode") == "DISTRIBUTED"]  # fmt: skip
    assert len(distributed) == 1
    for processor in distributed:
        expressions = re.findall(r"\{%.*?%\}", json.dumps(processor))
        variables = {name for text in expressions for name in re.findall(r"\$(\w+)\b(?!\()", text)}
        assert variables == {"states"}, variables


@needs_terraform
def test_terraform_files_are_formatted():
    assert terraform("fmt", "-check", "-recursive", str(TERRAFORM)) == ""


@needs_terraform
def test_terraform_fills_in_the_same_state_machine(tmp_path: Path):
    """Terraform's templates know `%{`, too. Its own language needs no provider."""
    values = ", ".join(f'{place} = "{place.lower()}"' for place in sorted(PLACES))
    (tmp_path / "main.tf").write_text(f'output "machine" {{\n  value = templatefile("{MACHINE}", {{ {values} }})\n}}\n')
    terraform("init", "-backend=false", cwd=tmp_path)
    terraform("apply", "-auto-approve", cwd=tmp_path)
    filled = json.loads(terraform("output", "-raw", "machine", cwd=tmp_path))
    expected = re.sub(r"\$\{(\w+)\}", lambda place: place[1].lower(), MACHINE.read_text())
    assert filled == json.loads(expected)


def test_both_forms_give_jobs_the_same_permissions():
    """Terraform cannot say what it would make without its provider: the actions are compared as text."""
    template, _ = cfnlint.decode.decode_str(TEMPLATE.read_text())
    text = (TERRAFORM / "roles.tf").read_text()
    roles: dict[str, set[str]] = {}
    action = re.compile(r'"((?:s3|secretsmanager|ssm|kms|glue|batch|lambda|events|states|sns|logs):[A-Z]\w+)"')
    for role in ("Ingest", "Function", "Engine", "Pipeline", "Schedule"):
        policy = template["Resources"][f"{role}Role"]["Properties"]["Policies"]
        ours = set(action.findall(json.dumps(policy)))
        block = "".join(re.findall(rf'resource "aws_iam_role_policy" "{role.lower()}(?:_\w+)?" {{.*?\n}}\n', text, re.DOTALL))
        # Statements that several roles have stand in `locals`; the function may do what the job may.
        shared = {"local.list": {"s3:ListBucket"}, "local.encryption": {"kms:Decrypt", "kms:GenerateDataKey"},
                  "aws_iam_role_policy.ingest.policy": roles.get("Ingest", set())}  # fmt: skip
        theirs = set(action.findall(block)).union(*(actions for name, actions in shared.items() if name in block))
        roles[role] = theirs
        assert ours == theirs, role
