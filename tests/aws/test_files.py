"""What can be said of the files in deploy/ without running them."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cfnlint.decode
import pytest
from cloud import MACHINE, ROOT, TEMPLATE

TERRAFORM = ROOT / "deploy/terraform"
PLACES = {"Bucket", "JobQueue", "IngestJob", "EngineJob", "Topic", "Catalog"}
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
    action = re.compile(r'"((?:s3|secretsmanager|ssm|kms|glue|batch|events|states|sns|logs):[A-Z]\w+)"')
    for role in ("Ingest", "Engine", "Pipeline", "Schedule"):
        policy = template["Resources"][f"{role}Role"]["Properties"]["Policies"]
        ours = set(action.findall(json.dumps(policy)))
        block = re.search(rf'resource "aws_iam_role_policy" "{role.lower()}" {{.*?\n}}\n', text, re.DOTALL)[0]
        # Statements that several roles have stand in `locals`.
        shared = {"local.list": {"s3:ListBucket"}, "local.encryption": {"kms:Decrypt", "kms:GenerateDataKey"}}
        theirs = set(action.findall(block)).union(*(actions for name, actions in shared.items() if name in block))
        assert ours == theirs, role
