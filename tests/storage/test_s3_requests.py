"""What S3 is asked: how often, by how many clients, and for how many bytes."""

import contextlib
import json
import multiprocessing
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest
from recordings import assert_same_recording, simulated

from spikelab import RateData, SpikeData, load, load_spikedata_from_nwb
from spikelab.errors import S3Error
from spikelab.storage import s3
from spikelab.storage.s3 import S3Store
from spikelab.storage.store import ForbiddenError


@pytest.fixture
def options(server, monkeypatch):
    """How the server is reached, with no client made yet."""
    s3.client_for.cache_clear()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    return server.storage_options


@contextlib.contextmanager
def counted(options):
    """Collect the requests of the block: operation, and bytes of what came back."""
    client = S3Store.at("s3://bucket/x", options).client
    found = []

    def note(model, parsed, **more):
        found.append((model.name, int(parsed.get("ContentLength", 0))))

    client.meta.events.register("after-call.s3", note)
    try:
        yield found
    finally:
        client.meta.events.unregister("after-call.s3", note)


def files_of(server, bucket):
    """How many objects there are."""
    return len(server.objects(bucket))


def bare(seed=0):
    """A recording of trains alone."""
    return SpikeData(simulated(seed).train, length=10_000.0)


@pytest.mark.parametrize("name", ["a.pkl", "a.h5", "a.nwb"])
def test_a_file_takes_two_requests_to_write_and_one_to_load(name, bucket, options):
    """One looks at what is there, and the other writes; the file comes at once."""
    method = {"a.pkl": "to_pickle", "a.h5": "to_hdf5", "a.nwb": "to_nwb"}[name]
    url = f"s3://{bucket}/{name}"
    for _ in range(2):
        with counted(options) as requests:
            getattr(bare(), method)(url, storage_options=options)
        assert len(requests) == 2
    with counted(options) as requests:
        load(url, storage_options=options)
    assert len(requests) == 1


@pytest.mark.parametrize("method", ["to_phy", "to_kilosort"])
def test_a_folder_takes_few_requests(method, server, bucket, options):
    """One for each file, and some to see what there is before and after."""
    url = f"s3://{bucket}/folder"

    def export(sd):
        getattr(sd, method)(url, fs_Hz=30_000.0, storage_options=options)

    with counted(options) as first:
        export(bare())
    n_files = files_of(server, bucket)
    assert len(first) <= n_files + 1
    with counted(options) as again:
        export(bare(seed=1))
    assert len(again) <= n_files + 3
    with counted(options) as loading:
        found = load(url, storage_options=options)
    assert len(loading) <= n_files + 1
    assert_same_recording(found, bare(seed=1), 500 / 30_000)
    if method == "to_phy":
        assert max(len(first), len(again)) <= 16
        assert len(loading) <= 15


def test_arrays_that_are_equal_are_downloaded_once(server, bucket, options):
    """Until Phy merges, the templates of the spikes are their clusters."""
    url = f"s3://{bucket}/phy"
    simulated().to_phy(url, fs_Hz=30_000.0, storage_options=options)
    with counted(options) as requests:
        found = load(url, storage_options=options)
    assert len(requests) == files_of(server, bucket) <= 15
    assert_same_recording(found, simulated(), 500 / 30_000)


def test_a_folder_in_a_bucket_that_was_curated_is_not_replaced(server, bucket, options):
    """Whatever another program wrote there, until it is asked for."""
    url, client = f"s3://{bucket}/phy", server.client()
    sd = SpikeData(
        simulated().train,
        length=10_000.0,
        neuron_attributes=[{"quality": "good"}] * simulated().N,
    )

    def export(**more):
        sd.to_phy(url, fs_Hz=30_000.0, storage_options=options, **more)

    export()
    curated = b"cluster_id\tgroup\n0\tnoise\n"
    client.put_object(Bucket=bucket, Key="phy/cluster_group.tsv", Body=curated)
    with pytest.raises(FileExistsError, match=r"cluster_group.*overwrite=True"):
        export()
    assert server.objects(bucket)["phy/cluster_group.tsv"] == curated
    export(overwrite=True)
    found = load(url, storage_options=options)
    assert [a["quality"] for a in found.neuron_attributes] == ["good"] * sd.N
    export()


@pytest.mark.parametrize("method", ["to_nwb", "to_hdf5", "to_pickle"])
def test_a_session_in_a_bucket_is_not_replaced(
    method, server, bucket, options, tmp_path
):
    """Its raw data are of another program: no export takes their place unasked."""
    path, url = tmp_path / "a.nwb", f"s3://{bucket}/a.nwb"
    simulated().to_nwb(path)
    with h5py.File(path, "a") as file:
        file["acquisition/raw"] = np.random.default_rng(0).random(2**20)
    server.client().upload_file(str(path), bucket, "a.nwb")
    before = server.objects(bucket)
    refused = pytest.raises(FileExistsError, match=r"raw.*overwrite=True")
    with counted(options) as requests, refused:
        getattr(simulated(), method)(url, storage_options=options)
    assert sum(size for _, size in requests) < 2**21
    assert server.objects(bucket) == before
    getattr(simulated(), method)(url, storage_options=options, overwrite=True)
    assert_same_recording(load(url, storage_options=options), simulated(), 1e-9)


def test_who_may_write_and_not_read_may_export(server, bucket, options, monkeypatch):
    """What is there cannot be looked at then."""
    real = S3Store.beginning

    def forbidden(self, count, verb):
        raise ForbiddenError("cannot read")

    monkeypatch.setattr(S3Store, "beginning", forbidden)
    bare().to_pickle(f"s3://{bucket}/a.pkl", storage_options=options)
    monkeypatch.setattr(S3Store, "beginning", real)
    assert load(f"s3://{bucket}/a.pkl", storage_options=options).N == bare().N


# Clients.


def test_one_client_for_one_set_of_options(bucket, options):
    """To make one takes longer than a small export."""
    for _ in range(3):
        bare().to_pickle(f"s3://{bucket}/a.pkl", storage_options=dict(options))
        load(f"s3://{bucket}/a.pkl", storage_options=options)
    bare().to_phy(f"s3://{bucket}/phy", fs_Hz=1e4, storage_options=options)
    with ThreadPoolExecutor(4) as pool:
        list(
            pool.map(
                lambda i: bare().to_pickle(
                    f"s3://{bucket}/{i}.pkl", storage_options=options
                ),
                range(8),
            )
        )
    assert s3.client_for.cache_info().misses == 1
    client = S3Store.at("s3://bucket/x", options).client
    other = {**options, "region_name": "eu-west-1"}
    assert S3Store.at("s3://bucket/x", other).client is not client
    assert s3.client_for.cache_info().misses == 2


def test_the_environment_makes_another_client(options, monkeypatch):
    """A new profile counts as soon as it is set."""
    first = S3Store.at("s3://bucket/x", options).client
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    assert S3Store.at("s3://bucket/x", options).client is not first
    monkeypatch.delenv("AWS_MAX_ATTEMPTS")
    assert S3Store.at("s3://bucket/x", options).client is first


def test_a_client_that_failed_is_made_anew(bucket, options):
    """Its credentials may have run out, and been renewed in a file."""
    wrong = {**options, "aws_secret_access_key": "expired"}
    for _ in range(2):
        with pytest.raises(S3Error, match="cannot"):
            load(f"s3://{bucket}/a.pkl", storage_options=wrong)
        assert s3.client_for.cache_info().currsize == 0


def test_a_forked_process_makes_its_own(bucket, options):
    """It must not share the connections of its parent."""
    url = f"s3://{bucket}/a.pkl"
    bare().to_pickle(url, storage_options=options)
    client = S3Store.at(url, options).client
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def child():
        is_shared = S3Store.at(url, options).client is client
        sender.send((is_shared, load(url, storage_options=options).N))

    process = context.Process(target=child)
    process.start()
    assert receiver.recv() == (False, bare().N)
    process.join(10)
    assert process.exitcode == 0
    assert load(url, storage_options=options).N == bare().N


def test_many_options_do_not_fill_the_memory(options):
    """The clients that were used last are kept."""
    for i in range(20):
        S3Store.at("s3://bucket/x", {**options, "region_name": f"eu-west-{i}"})
    assert s3.client_for.cache_info().currsize == 16


# Public buckets.


def public(server, bucket):
    """Let everybody read the objects of a bucket, and return options without keys."""
    rule = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": ["s3:GetObject", "s3:ListBucket"],
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [rule]})
    server.client().put_bucket_policy(Bucket=bucket, Policy=policy)
    return {"endpoint_url": server.endpoint_url, "region_name": server.region}


def patiently(call):
    """Repeat a call until the server knows the policy of the bucket."""
    end = time.monotonic() + 20
    while True:
        try:
            return call()
        except S3Error:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def test_public_buckets_are_read_without_keys(server, bucket, options, monkeypatch):
    """``anon`` sends requests without a signature, whatever keys there are."""
    url = f"s3://{bucket}/a.nwb"
    bare().to_nwb(url, storage_options=options)
    bare().to_phy(f"s3://{bucket}/phy", fs_Hz=3e4, storage_options=options)
    anonymous = {**public(server, bucket), "anon": True}
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-another-store")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-another-store")
    found = patiently(lambda: load(url, storage_options=anonymous))
    assert_same_recording(found, bare(), 1e-9)
    folder = patiently(lambda: load(f"s3://{bucket}/phy", storage_options=anonymous))
    assert_same_recording(folder, bare(), 500 / 30_000)
    with pytest.raises(S3Error, match=r"cannot write .*Access ?Denied"):
        bare().to_pickle(f"s3://{bucket}/b.pkl", storage_options=anonymous)
    signed = {**anonymous, "anon": False}
    with pytest.raises(S3Error, match="cannot read"):
        load(url, storage_options=signed)


@pytest.mark.parametrize("value", ["true", 1, None])
def test_anon_is_a_bool(value):
    """As JSON on the command line says it."""
    with pytest.raises(TypeError, match="anon must be a bool"):
        load("s3://bucket/a.pkl", storage_options={"anon": value})


# Parts of large files.


def session(path, megabytes):
    """An NWB file with many raw data around the units."""
    rng = np.random.default_rng(0)
    train = [np.sort(rng.uniform(0, 60_000, 1000)) for _ in range(50)]
    places = [{"electrode": i, "location": [0.0, 20.0 * i]} for i in range(50)]
    sd = SpikeData(train, length=60_000.0, neuron_attributes=places)
    sd.to_nwb(path)
    with h5py.File(path, "a") as file:
        raw = file.create_dataset("acquisition/raw/data", (megabytes * 2**19,), "i2")
        raw[:] = rng.integers(-999, 999, raw.shape, dtype=np.int16)
        file["acquisition/raw/later"] = np.arange(1000)
    return load(path)


def test_units_of_a_large_file_are_read_alone(server, bucket, options, tmp_path):
    """The raw data stay where they are."""
    sd, url = session(tmp_path / "a.nwb", 64), f"s3://{bucket}/a.nwb"
    server.client().upload_file(str(tmp_path / "a.nwb"), bucket, "a.nwb")
    for loader in (load, load_spikedata_from_nwb):
        with counted(options) as requests:
            found = loader(url, storage_options=options)
        assert found == sd
        assert found.metadata["source_file"] == url
        assert sum(size for _, size in requests) < 4 * 2**20
        assert len(requests) <= 8


def large_rates():
    """Rates of 32 MB, all of which a loader needs."""
    values = np.random.default_rng(0).random((20, 200_000))
    return RateData(values, np.arange(200_000.0))


def test_what_is_needed_whole_is_fetched_in_large_pieces(server, bucket, options):
    """Not block by block, and with little of it in memory at a time."""
    rates, url = large_rates(), f"s3://{bucket}/a.h5"
    rates.to_hdf5(url, storage_options=options)
    tracemalloc.start()
    with counted(options) as requests:
        found = load(url, storage_options=options)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == rates
    n_bytes = rates.inst_Frate_data.nbytes
    assert len(requests) <= n_bytes / 2**21
    assert peak < 3 * n_bytes + 2**27


def test_a_file_that_is_replaced_while_it_is_read_is_noticed(
    server, bucket, options, monkeypatch
):
    """Its blocks are never of two files."""
    rates, url = large_rates(), f"s3://{bucket}/a.h5"
    rates.to_hdf5(url, storage_options=options)
    client, real = server.client(), S3Store.read

    def read_after_another_wrote(self, start, stop, tag):
        client.put_object(Bucket=bucket, Key="a.h5", Body=bytes(2**25))
        return real(self, start, stop, tag)

    monkeypatch.setattr(S3Store, "read", read_after_another_wrote)
    with pytest.raises(S3Error, match=f"{bucket}/a.h5: it was replaced while"):
        load(url, storage_options=options)


def test_a_damaged_remote_file_is_a_format_error(server, bucket, options, tmp_path):
    """As a local one is, with its URL."""
    session(tmp_path / "a.nwb", 1)
    data = bytearray((tmp_path / "a.nwb").read_bytes())
    data[200:4000] = bytes(3800)
    server.client().put_object(Bucket=bucket, Key="a.nwb", Body=bytes(data))
    with pytest.raises(ValueError, match=f"s3://{bucket}/a.nwb"):
        load(f"s3://{bucket}/a.nwb", storage_options=options)
