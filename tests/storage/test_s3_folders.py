"""Exported folders in S3: what replaces what, and what a reader notices."""

import functools
import json

import pytest
from contract import snapshot
from recordings import assert_same_recording, simulated, with_raw

from spikelab import SpikeData, load
from spikelab.errors import (
    FormatError,
    IncompleteExportError,
)
from spikelab.storage.s3 import S3Store

pytestmark = pytest.mark.usefixtures("surroundings")

FOLDERS = {
    "kilosort": ("to_kilosort", {"fs_Hz": 30_000.0}),
    "phy": ("to_phy", {"fs_Hz": 30_000.0}),
}


@pytest.mark.parametrize("name", FOLDERS)
@pytest.mark.parametrize("slash", ["", "/"])
def test_a_folder_arrives_byte_for_byte(name, slash, server, bucket, tmp_path):
    """All files of the local folder, its manifest among them."""
    method, options = FOLDERS[name]
    getattr(simulated(), method)(tmp_path / "folder", **options)
    url = f"s3://{bucket}/deep/folder{slash}"
    store = server.storage_options
    written = getattr(simulated(), method)(url, **options, storage_options=store)
    for path in written if isinstance(written, tuple) else (written,):
        assert path.startswith(f"s3://{bucket}/deep/folder/")
    local = snapshot(tmp_path / "folder")
    found = {
        key.removeprefix("deep/folder/"): value
        for key, value in server.objects(bucket).items()
    }
    assert found == local
    assert_same_recording(load(url, storage_options=store), simulated(), 500 / 30_000)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_second_export_into_a_folder_replaces_the_first(name, server, bucket):
    """What the first left and the second does not have, goes; notes stay."""
    method, options = FOLDERS[name]
    store = server.storage_options
    url = f"s3://{bucket}/folder"
    getattr(simulated(), method)(url, **options, storage_options=store)
    client = server.client()
    client.put_object(Bucket=bucket, Key="folder/notes.txt", Body=b"mine")
    client.put_object(
        Bucket=bucket, Key="folder-of-another/spike_times.npy", Body=b"mine"
    )
    bare = SpikeData(simulated(seed=2).train, length=10_000.0)
    getattr(bare, method)(url, **options, storage_options=store)
    listed = json.loads(server.objects(bucket)["folder/spikelab.json"])["files"]
    kept = {key.removeprefix("folder/").split("/")[0] for key in server.objects(bucket)}
    assert kept == {*listed, "spikelab.json", "notes.txt", "folder-of-another"}
    assert_same_recording(load(url, storage_options=store), bare, 500 / 30_000)


def test_a_folder_of_another_program_is_not_touched(server, bucket):
    """Its files would contradict ours, so an empty place must be named."""
    server.client().put_object(
        Bucket=bucket, Key="f/spike_templates.npy", Body=b"theirs"
    )
    with pytest.raises(FileExistsError, match=f"another program.*s3://{bucket}/f"):
        simulated().to_kilosort(
            f"s3://{bucket}/f", fs_Hz=30_000.0, storage_options=server.storage_options
        )
    assert server.objects(bucket) == {"f/spike_templates.npy": b"theirs"}


def test_what_is_not_of_the_export_is_never_lost(server, bucket):
    """Neither arrays in a folder below, nor a recording of the same name."""
    store, client = server.storage_options, server.client()
    sd = with_raw()
    sd.to_phy(f"s3://{bucket}/f", fs_Hz=10_000.0, storage_options=store)
    client.put_object(Bucket=bucket, Key="f/mine/x.npy", Body=b"mine")
    sd.to_phy(f"s3://{bucket}/f", fs_Hz=10_000.0, storage_options=store)
    assert server.objects(bucket)["f/mine/x.npy"] == b"mine"
    client.put_object(Bucket=bucket, Key="f/recording.dat", Body=b"only copy")
    with pytest.raises(FileExistsError, match=r"recording\.dat"):
        sd.to_phy(
            f"s3://{bucket}/f", fs_Hz=10_000.0, raw_data=True, storage_options=store
        )
    assert server.objects(bucket)["f/recording.dat"] == b"only copy"


def test_slices_arrive_in_their_folders(server, bucket):
    """A folder of folders, and a shorter one after it."""
    store, url = server.storage_options, f"s3://{bucket}/f"
    for length in (2000.0, 5000.0):
        stack = simulated().frames(length)
        stack.to_kilosort(url, fs_Hz=30_000.0, storage_options=store)
        found = load(url, storage_options=store)
        assert found.times == stack.times
        for one, other in zip(found, stack, strict=True):
            assert_same_recording(one, other, 1e-9)


def test_a_folder_without_manifest_is_incomplete(server, bucket):
    """The manifest goes up last: what lacks it was not uploaded whole."""
    store, url = server.storage_options, f"s3://{bucket}/folder"
    simulated().to_kilosort(url, fs_Hz=30_000.0, storage_options=store)
    server.client().delete_object(Bucket=bucket, Key="folder/spikelab.json")
    with pytest.raises(IncompleteExportError, match=f"{url} is incomplete"):
        load(url, storage_options=store)


def test_a_folder_that_lacks_a_listed_file_is_incomplete(server, bucket):
    """As on the disk."""
    store, url = server.storage_options, f"s3://{bucket}/folder"
    simulated().to_kilosort(url, fs_Hz=30_000.0, storage_options=store)
    server.client().delete_object(Bucket=bucket, Key="folder/spike_times.npy")
    with pytest.raises(
        IncompleteExportError, match=f"{url} is incomplete: spike_times"
    ):
        load(url, storage_options=store)


def test_keys_that_lead_out_of_the_folder_are_refused(server, bucket, tmp_path):
    """A listed name may not be a path, and a key may not climb."""
    store, url = server.storage_options, f"s3://{bucket}/folder"
    simulated().to_kilosort(url, fs_Hz=30_000.0, storage_options=store)
    client = server.client()
    for names in (["../../evil.npy"], ["/evil.npy"], [".."]):
        manifest = json.dumps({"complete": True, "files": names}).encode()
        client.put_object(Bucket=bucket, Key="folder/spikelab.json", Body=manifest)
        with pytest.raises(FormatError, match="not a spikelab manifest"):
            load(url, storage_options=store)


@pytest.mark.parametrize("key", ["x", "x/", "a b/\N{GREEK SMALL LETTER MU}%20+"])
def test_the_key_of_a_folder_is_taken_as_it_is_written(key, server, bucket):
    """Spaces and signs included."""
    options, url = server.storage_options, f"s3://{bucket}/{key}"
    simulated().to_kilosort(url, fs_Hz=30_000.0, storage_options=options)
    beginning = key if key.endswith("/") else f"{key}/"
    assert all(name.startswith(beginning) for name in server.objects(bucket))
    assert_same_recording(load(url, storage_options=options), simulated())


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_folder_may_be_a_whole_bucket(slash, server, bucket):
    """Its files have no folder in their keys."""
    options, url = server.storage_options, f"s3://{bucket}{slash}"
    for seed in (1, 2):
        simulated(seed).to_kilosort(url, fs_Hz=30_000.0, storage_options=options)
    assert "spike_times.npy" in server.objects(bucket)
    assert_same_recording(load(url, storage_options=options), simulated(2))


def test_two_exports_that_met_in_a_folder_are_noticed(server, bucket):
    """Files of both lie there; what Phy or a user changed since does no harm."""
    options, client = server.storage_options, server.client()
    for name, seed in (("ks", 1), ("other", 2)):
        simulated(seed).to_kilosort(
            f"s3://{bucket}/{name}", fs_Hz=30_000.0, storage_options=options
        )
    url = f"s3://{bucket}/ks"
    array = client.get_object(Bucket=bucket, Key="ks/spike_times.npy")["Body"].read()
    client.put_object(Bucket=bucket, Key="ks/spike_times.npy", Body=array)
    assert_same_recording(load(url, storage_options=options), simulated(1))
    source = {"Bucket": bucket, "Key": "other/spike_times.npy"}
    client.copy_object(Bucket=bucket, Key="ks/spike_times.npy", CopySource=source)
    with pytest.raises(
        IncompleteExportError, match=f"{url} holds files of two exports"
    ):
        load(url, storage_options=options)


def test_slices_of_equal_arrays_come_back(server, bucket):
    """They are downloaded once, and copied into the other folders."""
    options, url = server.storage_options, f"s3://{bucket}/st"
    stack = SpikeData([[1.0, 2.0, 11.0, 12.0]], length=20.0).frames(10.0)
    stack.to_kilosort(url, fs_Hz=1000.0, storage_options=options)
    found = load(url, storage_options=options)
    assert [sd.train[0].tolist() for sd in found] == [[1.0, 2.0], [1.0, 2.0]]


def test_markers_of_folders_are_no_files(server, bucket):
    """Some programs leave an empty object with a slash at its end."""
    options, url = server.storage_options, f"s3://{bucket}/st"
    simulated().frames(5000).to_kilosort(url, fs_Hz=30_000.0, storage_options=options)
    server.client().put_object(Bucket=bucket, Key="st/slice_0000/", Body=b"")
    assert len(load(url, storage_options=options)) == 2


def test_a_folder_that_is_exported_again_while_it_is_read_is_incomplete(server, bucket):
    """Half of its files would be those of the other export."""
    options, url = server.storage_options, f"s3://{bucket}/ks"
    export = functools.partial(
        simulated().to_kilosort, url, fs_Hz=30_000.0, storage_options=options
    )
    export()
    download, calls = S3Store.download, []

    def download_and_export(self, *arguments, **options):
        mark = download(self, *arguments, **options)
        calls.append(arguments)
        if len(calls) == 1:  # of the manifest
            export(time_unit="ms")
        return mark

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(S3Store, "download", download_and_export)
        with pytest.raises(IncompleteExportError, match="exported again while it was"):
            load(url, storage_options=options)
