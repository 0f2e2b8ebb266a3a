"""What the image of deploy/Dockerfile holds, and that both programs run in it as it is run on Fargate: as its user,
with a root file system that cannot be written to, and /tmp.

Where there is no Docker, the root file system is put together from the files of this machine.
"""

import datetime
import http.server
import ipaddress
import json
import os
import platform
import re
import shlex
import shutil
import ssl
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cloud import ROOT, programs
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

DOCKERFILE = ROOT / "deploy/Dockerfile"
USER = 65532
LIBRARIES = {"ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1", "libc.so.6", "libm.so.6", "libgcc_s.so.1"}
"""What programs may be loaded with; more would be a dependency that nobody meant."""
GLIBC = (2, 36)
"""That of Debian 12, where the image is built."""
MOST_MB = 80
"""All of it: the one file of both programs, and what it is loaded with."""
MOST_MB_APART = 205
"""The same with both programs as they are built for tests."""
CERTIFICATES = Path("etc/ssl/certs/ca-certificates.crt")
ONE_FILE = "solder"
"""The file that is both programs."""


@dataclass
class Stage:
    """A stage of a Dockerfile: what it is made from, and its instructions with their words."""

    base: str
    name: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def last(self, instruction: str) -> str:
        return [text for name, text in self.instructions if name == instruction][-1]

    def copies(self) -> list[tuple[str, list[str], str]]:
        """Where from, what, and where to."""
        copies = []
        for text in (text for name, text in self.instructions if name == "COPY"):
            words = shlex.split(text)
            origin = [word.removeprefix("--from=") for word in words if word.startswith("--from=")]
            *what, to = [word for word in words if not word.startswith("--")]
            copies.append((origin[0] if origin else "", what, to))
        return copies


def stages() -> list[Stage]:
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    found: list[Stage] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        name, rest = line.split(maxsplit=1)
        if name == "FROM":
            base, *named = rest.split()
            found.append(Stage(base, named[-1] if named else ""))
        else:
            found[-1].instructions.append((name.upper(), rest))
    return found


def readelf(program: Path, *options: str) -> str:
    return subprocess.run(["readelf", "--wide", *options, program], capture_output=True, text=True, check=True).stdout


def libraries(program: Path) -> dict[str, Path]:
    """The shared libraries that a program is loaded with, by name, and where they are here."""
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    found = {}
    for line in listed.splitlines():
        name, _, rest = line.strip().partition(" => ")
        path = (rest or name).split(" (")[0].strip()
        if path.startswith("/"):
            found[Path(name.split(" (")[0]).name] = Path(path)
    return found


def both() -> list[Path]:
    """The files of both programs: one, where it was built as for the image."""
    one = programs() / ONE_FILE
    return [one] if one.exists() else [programs() / name for name in ("engine", "ingest")]


def is_for_the_image() -> bool:
    """A program is built for the image on a machine whose libc is no newer."""
    version = platform.libc_ver()[1]
    return tuple(map(int, version.split("."))) <= GLIBC


def test_the_image_is_small_and_its_user_has_no_rights():
    build, image = stages()
    assert build.name == "build" and "bookworm" in build.base
    assert image.base == "scratch"
    assert image.last("USER") == f"{USER}:{USER}"
    assert image.last("VOLUME") == "/tmp"
    assert json.loads(image.last("CMD"))[0] == "engine"
    assert not [name for name, _ in image.instructions if name in ("RUN", "ADD", "ENTRYPOINT")]
    command = build.last("RUN")
    assert "--locked" in command and "--profile dist" in command and f"--bin {ONE_FILE}" in command
    for program in ("ingest", "engine"):
        assert f"ln -s {ONE_FILE} /out/usr/local/bin/{program}" in command


@pytest.mark.parametrize("name", ["engine", "ingest"])
def test_a_program_needs_little(name: str):
    program = programs() / name
    needed = set(re.findall(r"\(NEEDED\)\s+Shared library: \[(.+)\]", readelf(program, "--dynamic")))
    assert needed <= LIBRARIES, f"it is loaded with {needed - LIBRARIES} too"
    if not is_for_the_image():
        pytest.skip(f"built here with glibc {platform.libc_ver()[1]}, for the image with that of its build stage")
    versions = re.findall(r"\bGLIBC_(\d+)\.(\d+)", readelf(program, "--version-info"))
    newest = max(tuple(map(int, version)) for version in versions)
    assert newest <= GLIBC, f"it needs glibc {newest[0]}.{newest[1]}"


class Image:
    """The image's root file system, put together here, and its /tmp."""

    def __init__(self, folder: Path, sources: Path):
        self.root, self.tmp = folder / "root", folder / "tmp"
        self.size: dict[str, int] = {}
        self.user = stages()[-1].last("USER").split(":")
        self.workdir = "/"
        for name in ("proc", "dev", "tmp", "etc", "fixtures"):
            (self.root / name).mkdir(parents=True)
        self.tmp.mkdir()
        self.tmp.chmod(0o1777)
        command = stages()[0].last("RUN")
        for text, file in re.findall(r"echo '([^']*)' > /out/(\S+)", command):
            (self.root / file).write_text(text + "\n")
        self.put(Path("/") / CERTIFICATES, CERTIFICATES, "certificates")
        self.environment = dict(word.split("=", 1) for word in stages()[-1].last("ENV").split())
        bin = Path("usr/local/bin")
        for program in both():
            self.put(program, bin / program.name, program.name)
        if both() == [programs() / ONE_FILE]:
            for name in ("engine", "ingest"):
                (self.root / bin / name).symlink_to(ONE_FILE)
        for instruction, text in stages()[-1].instructions:
            if instruction == "WORKDIR":
                self.workdir = text
                (self.root / text.lstrip("/")).mkdir(parents=True, exist_ok=True)
        for origin, what, to in stages()[-1].copies():
            if origin == "sources":
                assert what == ["."]
                shutil.copytree(sources, self.root / to.lstrip("/"), dirs_exist_ok=True)
            else:
                assert (origin, what, to) == ("build", ["/out/"], "/")
        for program in both():
            for path in libraries(program).values():
                self.put(path, Path(str(path).lstrip("/")), "libraries")

    def put(self, path: Path, to: Path, what: str) -> None:
        to = self.root / to
        if not to.exists():
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path.resolve(), to)
            self.size[what] = self.size.get(what, 0) + to.stat().st_size

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess:
        """Runs a command as the image's user; only /tmp can be written to."""
        root, user, group = shlex.quote(str(self.root)), *self.user
        variables = shlex.join(f"{name}={value}" for name, value in (self.environment | environment).items())
        script = f"""set -e
            mount --make-rprivate / && mount --bind {root} {root}
            mount --rbind /proc {root}/proc && mount --rbind /dev {root}/dev
            mount --bind {shlex.quote(str(ROOT / "fixtures"))} {root}/fixtures && mount -o remount,bind,ro {root}/fixtures
            mount --bind {shlex.quote(str(self.tmp))} {root}/tmp && mount -o remount,bind,ro {root}
            exec env -i {variables} {shutil.which("unshare")} --root={root} --wd={self.workdir} --setuid={user} --setgid={group} {shlex.join(command)}"""
        return subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, timeout=300)


def must(done: subprocess.CompletedProcess) -> str:
    assert done.returncode == 0, f"{done.args[-1]}\n=> {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def why_not() -> str | None:
    """Why no root file system can be entered here."""
    if os.name != "posix" or platform.system() != "Linux":
        return "this is no Linux"
    if os.geteuid() != 0:
        return "only root may enter another root file system"
    if not is_for_the_image():
        return f"the libc of this machine ({platform.libc_ver()[1]}) is newer than the image's"
    tried = subprocess.run(["unshare", "--mount", "mount", "--make-rprivate", "/"], capture_output=True, text=True)
    return f"mounts are not allowed here: {tried.stderr.strip()}" if tried.returncode else None


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    if reason := why_not():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("image")
    sources = folder / "context"
    sources.mkdir()
    shutil.copy(ROOT / "fixtures/sources/registrations.yaml", sources)
    return Image(folder, sources)


def test_the_size_is_kept_in_sight(image, capsys):
    sections = [readelf(program, "--section-headers") for program in both()]
    parts = ", ".join(f"{what} {size / 1e6:.1f}" for what, size in image.size.items())
    megabytes = sum(image.size.values()) / 1e6
    with capsys.disabled():
        print(f"\nimage: {megabytes:.1f} MB ({parts})")
    if any(".debug_info" in section for section in sections):
        pytest.skip("programs with debugging information are in no image")
    assert megabytes <= (MOST_MB if len(both()) == 1 else MOST_MB_APART)


def test_both_programs_say_what_they_are(image):
    for program in ("engine", "ingest"):
        assert must(image.run(program, "--version")).startswith(program)
        assert "Usage" in must(image.run(program, "--help"))
    assert "Usage" in must(image.run(*json.loads(stages()[-1].last("CMD"))))


def test_data_go_the_whole_way(image):
    """From recorded answers and files to a lake and a question, as the steps of the pipeline."""
    must(image.run("ingest", "test", "sources/registrations.yaml", "/fixtures/sources/registrations", "--to", "/tmp/raw"))
    must(image.run("engine", "relationalize", "/tmp/raw", "/tmp/landed"))
    must(image.run("engine", "relationalize", "/fixtures/raw", "/tmp/curated", "--key", "donors=id"))
    must(image.run("engine", "merge", "--staging", "/tmp/curated", "--into", "/tmp/lake", "--table", "donors"))
    must(image.run("engine", "check", "/tmp/lake"))
    rows = must(image.run("engine", "sql", "--lake", "/tmp/lake", "--format", "json", "-c", "select count(*) as n from donors"))
    assert json.loads(rows)["n"] > 0
    places = [image.tmp / name for name in ("raw", "landed", "curated", "lake")]
    written = [path for place in places for path in place.rglob("*") if path.is_file()]
    assert written and {path.stat().st_uid for path in written} == {USER}


def test_a_job_runs_its_steps_there(image):
    """`engine run` starts both programs by itself."""
    job = {
        "sources": {"events": {"source": "sources/registrations.yaml", "recorded": "/fixtures/sources/registrations", "to": "/tmp/job/raw"}},
        "relationalize": {"landed": {"input": "/tmp/job/raw", "output": "/tmp/job/curated"}},
        "merge": {"staging": "/tmp/job/curated", "into": "/tmp/job/lake"},
    }
    (image.tmp / "job.yaml").write_text(json.dumps(job))
    summary = must(image.run("engine", "run", "/tmp/job.yaml"))
    assert re.search(r"^merge +done", summary, re.MULTILINE), summary


def test_nothing_but_tmp_can_be_written_to(image):
    done = image.run("engine", "relationalize", "/fixtures/raw", "curated")
    assert done.returncode in (73, 74, 77), done
    assert "Read-only file system" in done.stderr, done.stderr
    assert sorted(path.name for path in (image.root / image.workdir.lstrip("/")).iterdir()) == ["sources"]


def test_the_doctor_finds_nothing_wrong_there(image):
    report = json.loads(must(image.run("engine", "doctor", "/tmp/doctor/lake", "--reads", "/fixtures/raw", "--report", "json")))
    verdicts = {finding["check"]: finding["outcome"] for finding in report["findings"]}
    assert verdicts["put-if-absent"] == verdicts["temp folder"] == "ok", report
    refused = image.run("engine", "doctor", "lake", "--report", "json")
    assert refused.returncode == 73, refused.stdout
    assert "Read-only file system" in refused.stdout
    assert not (image.tmp / "doctor").exists(), "what was tried is gone"


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for this machine that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Solder's tests")])
    now = datetime.datetime.now(datetime.timezone.utc)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, format, plain = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "certificate.pem").write_bytes(signed.public_bytes(pem))
    (folder / "key.pem").write_bytes(key.private_bytes(pem, format, plain))
    return folder / "certificate.pem", folder / "key.pem"


def test_the_certificates_of_the_image_are_those_that_count(image, tmp_path: Path):
    """An API is trusted when its certificate is in the image's file, and only then."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = b'[{"id": 1}]'
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    chain, key = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    connection = {"base_url": f"https://127.0.0.1:{server.server_port}/", "allow_private_networks": True, "auth": {"type": "none"}}
    source = {"version": 1, "connection": connection, "streams": {"things": {"path": "/things", "records": "$"}}}
    (image.tmp / "tls.yaml").write_text(json.dumps(source))
    refused = image.run("ingest", "check", "/tmp/tls.yaml")
    assert refused.returncode in (69, 75), refused
    assert "certificate" in refused.stderr, refused.stderr
    trusted = image.root / CERTIFICATES
    before = trusted.read_bytes()
    try:
        trusted.write_bytes(before + chain.read_bytes())
        assert "things" in must(image.run("ingest", "check", "/tmp/tls.yaml"))
    finally:
        trusted.write_bytes(before)
        server.shutdown()


def docker(*arguments: str, **options) -> str:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True, **options).stdout


def has_docker() -> bool:
    if not shutil.which("docker"):
        return False
    return subprocess.run(["docker", "info"], capture_output=True, timeout=30).returncode == 0


@pytest.mark.skipif(not has_docker(), reason="there is no Docker daemon")
def test_docker_builds_the_image(tmp_path: Path, capsys):
    shutil.copy(ROOT / "fixtures/sources/registrations.yaml", tmp_path)
    docker("build", "--file", str(DOCKERFILE), "--build-context", f"sources={tmp_path}", "--tag", "solder-test", str(ROOT))
    inspected = json.loads(docker("image", "inspect", "solder-test"))[0]
    config = inspected["Config"]
    assert config["User"] == f"{USER}:{USER}"
    assert config["Cmd"][0] == "engine" and not config.get("Entrypoint")
    assert config["WorkingDir"] == "/solder"
    megabytes = inspected["Size"] / 1e6
    with capsys.disabled():
        print(f"\nimage: {megabytes:.1f} MB as Docker built it")
    assert megabytes <= MOST_MB
    run = ("run", "--rm", "--read-only", "--tmpfs", "/tmp:mode=1777", "solder-test")
    assert "Usage" in docker(*run)
    assert docker(*run, "ingest", "--version").startswith("ingest")
