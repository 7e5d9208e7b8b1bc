"""Folders of other programs: what is read from real files, odd ones included."""

import warnings

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sorted_folders import (
    CLUSTERS,
    PARAMS,
    TIMES,
    known,
    sorted_folder,
    templates_on,
    warned,
)

from spikelab import SpikeData, load, load_spikedata_from_kilosort
from spikelab.errors import FormatError
from spikelab.registry import FORMATS


class TestTables:
    """cluster_*.tsv and .csv."""

    @pytest.mark.parametrize(
        "table",
        [
            "cluster_id\tgroup\n0\tGood \n1\t MUA\n2\tNoise\n",
            "cluster_id\tKSLabel\n0\tGOOD\n1\tmua\n2\tnoise \n",
            "cluster_id\tGROUP\n0\tgood\n1\tmua\n2\tnoise\n",
        ],
    )
    def test_labels_are_compared_without_case_and_blanks(self, table, tmp_path):
        """Somebody typed them by hand; as attributes they stay as they are."""
        folder = sorted_folder(tmp_path / "ks", cluster_group__tsv=table)
        options = {"cluster_info_tsv": "cluster_group.tsv"}
        assert load(folder, **options).metadata["cluster_ids"] == [0, 1]
        with_noise = load(folder, **options, include_noise=True)
        assert with_noise.metadata["cluster_ids"] == [0, 1, 2]

    @pytest.mark.parametrize(
        ("content", "row"),
        [
            (b"cluster_id\tnote\n0\tfast\n\tmua\n2\tslow\n", "3"),
            (b"cluster_id\tnote\n0\tfast\nunit1\tmua\n2\tslow\n", "3"),
            (b"cluster_id\tnote\n0\tfast\n1.5\tmua\n2\tslow\n", "3"),
            (b"cluster_id\tnote\n0\tfast\n1e99\tmua\n2\tslow\n", "3"),
            (b"cluster_id\tnote\n0\tfast\n%b\tmua\n2\tslow\n" % (b"1" * 400), "3"),
            ("cluster_id\tnote\n0\tfast\n1\tgroß\n2\tslow\n".encode("latin-1"), "3"),
        ],
        ids=["blank", "text", "fraction", "huge", "many digits", "not UTF-8"],
    )
    def test_an_odd_row_costs_that_row(self, content, row, tmp_path):
        """One warning names file and row; the others are read."""
        folder = sorted_folder(tmp_path / "ks", cluster_note__tsv=content)
        sd, told = warned(lambda: load(folder))
        assert known(sd, "note") == ["fast", None, "slow"]
        assert len(told) == 1
        assert f"cluster_note.tsv: left out row {row}, which" in told[0]

    def test_many_odd_rows_are_one_warning(self, tmp_path):
        """It names the first ten."""
        table = "cluster_id\tnote\n" + "x\ty\n" * 15
        folder = sorted_folder(tmp_path / "ks", cluster_note__tsv=table)
        _, told = warned(lambda: load(folder))
        assert len(told) == 1
        assert "row 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 5 more" in told[0]

    @pytest.mark.parametrize("row", ["", "\t", "\t\t\t", "  \t "])
    def test_rows_of_blanks_count_for_nothing(self, row, tmp_path):
        """Editors leave them."""
        table = f"cluster_id\tnote\n{row}\n0\tfast\n{row}\n"
        folder = sorted_folder(tmp_path / "ks", cluster_note__tsv=table)
        sd, told = warned(lambda: load(folder))
        assert (known(sd, "note"), told) == (["fast", None, None], [])

    @pytest.mark.parametrize(
        "content", [b"", b"speed\nfast\n", b"\xff\xfec\0l\0", b'"' + b"x" * 200_000]
    )
    def test_a_table_that_names_no_clusters(self, content, tmp_path):
        """The warning names it; the spikes are read."""
        folder = sorted_folder(tmp_path / "ks", cluster_speed__tsv=content)
        sd, told = warned(lambda: load(folder))
        assert sd.N == 3
        assert len(told) == 1
        assert "cluster_speed.tsv" in told[0]

    @pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
    def test_a_table_in_UTF_16(self, encoding, tmp_path):
        """As Excel saves "Unicode text"; one warning says so."""
        table = "id\tch\tgroup\r\n0\t3\tgood\r\n".encode(encoding)
        folder = sorted_folder(tmp_path / "ks", cluster_info__tsv=table)
        sd, told = warned(lambda: load(folder))
        assert known(sd, "electrode") == [1, 2, 3]
        assert told == [
            f"left out: {folder / 'cluster_info.tsv'} is UTF-16 or no text at all: "
            "save it as UTF-8"
        ]

    def test_names_of_columns_in_any_case(self, tmp_path):
        """Group, GROUP and group are one column, in one table and in several."""
        folder = sorted_folder(
            tmp_path / "ks",
            cluster_group__tsv="cluster_id\tGroup\n0\tgood\n",
            cluster_info__tsv="ID\tgroup\tGROUP\tCh\tSNR\n1\t\tmua\t0\t\n2\tnoise\t\t0\t2\n",
            cluster_snr__tsv="cluster_id\tsnr\n1\t3\n",
            cluster_quality__csv="Cluster_Id,Quality\n2,bad\n",
        )
        sd, told = warned(lambda: load(folder))
        assert (known(sd, "group"), told) == (["good", "mua", "noise"], [])
        assert known(sd, "electrode") == [1, 0, 0]
        assert known(sd, "snr") == [None, 3, 2]
        assert known(sd, "quality") == [None, None, "bad"]
        keys = {key.lower() for row in sd.neuron_attributes for key in row}
        assert len(keys) == len({key for row in sd.neuron_attributes for key in row})
        kept = load(folder, cluster_info_tsv="cluster_info.tsv")
        assert kept.metadata["cluster_ids"] == [1]

    def test_columns_of_one_table_that_contradict_each_other(self, tmp_path):
        """The first counts, and a warning names the other."""
        table = "cluster_id\tgroup\tGroup\n0\tgood\tmua\n1\tmua\tMUA\n"
        folder = sorted_folder(tmp_path / "ks", cluster_group__tsv=table)
        sd, told = warned(lambda: load(folder))
        assert known(sd, "group") == ["good", "mua", None]
        assert len(told) == 1
        assert "cluster_group.tsv: left out the Group of cluster 0" in told[0]

    def test_names_of_digits_and_underscores_are_no_numbers(self, tmp_path):
        """As Python's int takes them: 0_12 is unit 12 of probe 0."""
        table = "cluster_id\tunit_id\n0\t0_12\n1\t1_12\n2\t1_13\n"
        folder = sorted_folder(tmp_path / "ks", cluster_names__tsv=table)
        assert known(load(folder), "unit_id") == ["0_12", "1_12", "1_13"]

    def test_a_folder_in_the_place_of_a_table(self, tmp_path):
        """It is left out, too."""
        folder = sorted_folder(tmp_path / "ks")
        (folder / "cluster_x.tsv").mkdir()
        sd, told = warned(lambda: load(folder))
        assert (sd.N, len(told)) == (3, 1)

    @pytest.mark.parametrize("suffix", ["csv", "tsv"])
    @pytest.mark.parametrize("mark", ["\t", ",", ";"])
    def test_the_delimiter_is_what_the_table_has(self, suffix, mark, tmp_path):
        """Whatever the suffix says."""
        rows = [("cluster_id", "group"), ("0", "good"), ("1", "mua"), ("2", "noise")]
        table = "\r\n".join(mark.join(row) for row in rows)
        name = f"cluster_group__{suffix}"
        folder = sorted_folder(tmp_path / "ks", **{name: table})
        sd, told = warned(lambda: load(folder))
        assert (known(sd, "group"), told) == (["good", "mua", "noise"], [])

    @pytest.mark.parametrize("column", ["id", "ID", " cluster_id", "Cluster_Id"])
    def test_the_column_of_ids(self, column, tmp_path):
        """In any case, with blanks around."""
        table = f"\ufeff{column}\tch\n0\t3.0\n1\t2.0\n2\t0.0\n"
        folder = sorted_folder(tmp_path / "ks", cluster_info__tsv=table)
        sd = load(folder)
        assert known(sd, "electrode") == [3, 2, 0]
        assert all(type(electrode) is int for electrode in known(sd, "electrode"))
        assert known(sd, "location") == [[0.0, 60.0], [0.0, 40.0], [0.0, 0.0]]

    @pytest.mark.parametrize("cell", ["abc", "2.5", "99", "-1", "True", "inf", "0,1"])
    @pytest.mark.parametrize("column", ["ch", "channel"])
    @pytest.mark.parametrize("table", ["cluster_info__tsv", "cluster_ch__csv"])
    def test_a_cell_that_is_no_channel(self, cell, column, table, tmp_path):
        """The unit is where its template is; one warning names file and row."""
        content = f"cluster_id\tgroup\t{column}\n0\tgood\t{cell}\n1\tmua\t0\n"
        folder = sorted_folder(tmp_path / "ks", **{table: content})
        sd, told = warned(lambda: load(folder))
        assert known(sd, "electrode") == [1, 0, 3]
        assert known(sd, "location") == [[0.0, 20.0], [0.0, 0.0], [0.0, 60.0]]
        assert known(sd, column) == [None, 0, None]
        assert known(sd, "group") == ["good", "mua", None]
        name = table.replace("__", ".")
        assert len(told) == 1
        assert f"{name}: left out ch in row 2, which is no channel" in told[0]

    @pytest.mark.parametrize("cell", ["", "nan", "NaN", "  "])
    def test_a_blank_channel_needs_no_warning(self, cell, tmp_path):
        """The unit is where its template is."""
        table = f"cluster_id\tch\tgroup\n0\t{cell}\tgood\n1\t 0 \tmua\n"
        folder = sorted_folder(tmp_path / "ks", cluster_info__tsv=table)
        sd, told = warned(lambda: load(folder))
        assert (known(sd, "electrode"), told) == ([1, 0, 3], [])

    def test_channels_are_those_of_the_folder(self, tmp_path):
        """channel_map.npy says which."""
        folder = sorted_folder(
            tmp_path / "ks",
            cluster_info__tsv="cluster_id\tch\n0\t3\n1\t12\n2\t13\n",
            channel_map__npy=np.arange(10, 14),
        )
        sd, told = warned(lambda: load(folder))
        assert known(sd, "electrode") == [11, 12, 13]
        assert sum("cluster_info.tsv: left out ch" in text for text in told) == 1

    @pytest.mark.parametrize(
        ("rows", "label", "text"),
        [
            (["0\tgood", "1\tmua", "0\tnoise"], "noise", "rows 2, 4 contradict"),
            (["0\tgood", "1\tmua", "0\tgood"], "good", ""),
            (["0\tgood", "0\t", "1\tmua"], "good", ""),
            (["0\tgood\tfast", "1\tmua\t"], "good", "cells in row 2 beyond"),
            (["0\tgood\t\tfast", "1\tmua"], "good", "cells in row 2 beyond"),
        ],
    )
    @pytest.mark.parametrize("header", ["cluster_id\tgroup", "cluster_id\tgroup\t"])
    def test_rows_that_contradict_each_other(self, header, rows, label, text, tmp_path):
        """The last counts, and a warning names them; so it does for rows too long."""
        table = "\n".join([header, *rows])
        folder = sorted_folder(tmp_path / "ks", cluster_group__tsv=table)
        sd, told = warned(lambda: load(folder))
        assert known(sd, "group") == [label, "mua", None]
        assert len(told) == bool(text)
        assert all("cluster_group.tsv: " in t and text in t for t in told)

    def test_all_that_is_odd_in_a_table_is_one_warning(self, tmp_path):
        """It names the rows of each kind."""
        table = "cluster_id\tch\n0\t99\nx\t1\n1\t0\t5\n1\t2\n"
        folder = sorted_folder(tmp_path / "ks", cluster_info__tsv=table)
        _, told = warned(lambda: load(folder))
        assert len(told) == 1
        for text in ("row 3, which has no", "ch in row 2", "rows 4, 5", "in row 4 be"):
            assert text in told[0]

    def test_tables_that_contradict_each_other(self, tmp_path):
        """An old .csv beside the .tsv, which counts in Phy, too."""
        folder = sorted_folder(
            tmp_path / "ks",
            cluster_group__csv="cluster_id,group\n0,mua\n1,good\n2,noise\n",
            cluster_group__tsv="cluster_id\tgroup\n0\tgood\n1\tGood \n",
        )
        sd, told = warned(lambda: load(folder))
        assert known(sd, "group") == ["good", "Good ", "noise"]
        assert len(told) == 1
        assert "cluster_group.csv: left out the group of cluster 0" in told[0]

    def test_a_lone_quotation_mark(self, tmp_path):
        """It is part of the note, and swallows no rows."""
        table = 'cluster_id\tnote\n0\t"fast\n1\tslow\n'
        folder = sorted_folder(tmp_path / "ks", cluster_note__tsv=table)
        assert known(load(folder), "note") == ['"fast', "slow", None]

    def test_labels_of_which_none_is_wanted(self, tmp_path):
        """An old program numbered them: the warning says what there is."""
        table = "cluster_id\tgroup\n0\t2\n1\t1\n"
        folder = sorted_folder(tmp_path / "ks", cluster_groups__csv=table)
        sd, told = warned(lambda: load(folder, cluster_info_tsv="cluster_groups.csv"))
        assert (sd.N, len(told)) == (0, 1)
        assert "no unit is labelled good or mua" in told[0]
        assert "['', '1', '2']" in told[0]

    def test_two_halves_of_a_split_have_different_ids(self, tmp_path):
        """Phy copied the id to both; neither is the unit that had it."""
        table = "cluster_id\tsi_unit_id\n0\t10\n2\t30\n3\t20\n4\t20\n"
        folder = sorted_folder(
            tmp_path / "ks",
            cluster_si_unit_ids__tsv=table,
            spike_clusters__npy=np.array([0, 3, 2, 0, 4, 2]),
        )
        sd, told = warned(lambda: load(folder))
        assert sd.metadata["cluster_ids"] == [0, 2, 3, 4]
        assert known(sd, "unit_id") == [10, 30, 3, 4]
        assert len(told) == 1
        assert "unit_id 20 stands for several clusters" in told[0]

    def test_a_table_may_number_the_units_itself(self, tmp_path):
        """By names, too."""
        table = "cluster_id\tunit_id\n0\tA1\n1\tA2\n2\tA2\n"
        folder = sorted_folder(tmp_path / "ks", cluster_ids__tsv=table)
        sd, told = warned(lambda: load(folder))
        assert (known(sd, "unit_id"), len(told)) == (["A1", "1", "2"], 1)


class TestParams:
    """params.py."""

    @pytest.mark.parametrize(
        "line",
        [
            "sample_rate = 30*1000",
            "sample_rate = 3e4",
            "sample_rate = 30_000",
            "sample_rate = float(30000.)",
            "sample_rate = int(3e4)",
            'sample_rate = float("30000")',
            "sample_rate: float = 30000",
            "sample_rate = np.float32(30000)",
            "import numpy\nsample_rate = numpy.int64(30000)",
            "fs = sample_rate = +30000",
            "sample_rate = 60001 // 2",
            "sample_rate = (30 + 0) * 10 ** 3 / 1  # Hz",
            "fs = 30000.\nsample_rate = fs",
            "offset = 0; sample_rate = 30000.",
            "sample_rate=30000.0",
        ],
    )
    @pytest.mark.parametrize(
        "other",
        [
            "",
            "dat_path = 'D:\\Users\\lab\\rec.dat'",
            "dat_path = my recording.dat",
            "dat_path = ('a.dat', 'b.dat')",
            "dat_path: list[str] = ['a.dat']",
            "dat_path = r'\\\\server\\lab'",
            "dat_path = 'größe.dat'",
        ],
    )
    def test_the_sampling_rate_is_found(self, line, other, tmp_path):
        """In arithmetic, and among lines that are no Python."""
        text = f"{other}\r\n{line}\r\n".encode("latin-1")
        folder = sorted_folder(tmp_path / "ks", params__py=text)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert load(folder).metadata["fs_Hz"] == 30_000.0

    @pytest.mark.parametrize(
        "line",
        [
            "sample_rate = fs",
            "sample_rate = open('ran', 'w')",
            "sample_rate = 10 ** 10 ** 10",
            "sample_rate = 1 / 0",
            "sample_rate = (-8) ** 0.5",
            "sample_rate = [30000]",
            "sample_rate = float('x')",
            "sample_rate: float",
            "sample_rate = np.exp(3)",
            "sample_rate = np.random.float64(3)",
            "sample_rate = (30, 000)",
            "sample_rate = 30000 if True else 1",
        ],
    )
    def test_what_is_no_rate(self, line, tmp_path, monkeypatch):
        """It is neither run nor believed."""
        monkeypatch.chdir(tmp_path)
        folder = sorted_folder(tmp_path / "ks", params=line + "\n")
        with pytest.raises(FormatError, match="fs_Hz must be given"):
            load(folder)
        assert not (tmp_path / "ran").exists()


class TestArrays:
    """The .npy files: spikes must be right, others cost what they tell."""

    @pytest.mark.parametrize(
        ("name", "array", "lost"),
        [
            ("templates", np.zeros((3, 5)), "electrode"),
            ("templates", np.zeros((3, 5, 4), dtype=complex), "electrode"),
            ("template_ind", np.zeros((3, 2), dtype=int), "electrode"),
            ("whitening_mat_inv", np.eye(3), "electrode"),
            ("whitening_mat_inv", np.full((4, 4), np.nan), "electrode"),
            ("channel_map", np.array([0.5, 1, 2, 3]), "electrode"),
            ("channel_positions", np.zeros(4), "location"),
            ("channel_positions", np.zeros((3, 2)), "location"),
            ("amplitudes", np.ones(5), "amplitudes"),
            ("spike_templates", np.array([0, 1, 2, 0, 1, 9]), "nothing"),
            ("spike_templates", np.array([0, 1]), "nothing"),
        ],
    )
    def test_an_odd_array_costs_what_it_tells(self, name, array, lost, tmp_path):
        """One warning names it; the spikes are read."""
        folder = sorted_folder(tmp_path / "ks", **{f"{name}__npy": array})
        sd, told = warned(lambda: load(folder))
        assert [len(t) for t in sd.train] == [2, 2, 2]
        assert len(told) == 1
        assert f"{name}.npy" in told[0]
        assert known(sd, lost) == [None] * 3
        if lost == "nothing":
            assert known(sd, "electrode") == [1, 2, 3]

    @pytest.mark.parametrize(
        "name", ["templates", "channel_map", "channel_positions", "spike_templates"]
    )
    def test_a_damaged_array_costs_what_it_tells(self, name, tmp_path):
        """A copy that broke off."""
        folder = sorted_folder(tmp_path / "ks")
        file = folder / f"{name}.npy"
        file.write_bytes(file.read_bytes()[:-10])
        sd, told = warned(lambda: load(folder))
        assert [len(t) for t in sd.train] == [2, 2, 2]
        assert len(told) == 1

    @pytest.mark.parametrize("dtype", [np.int16, np.float64])
    def test_templates_of_any_numbers(self, dtype, tmp_path):
        """int16 is as good."""
        templates = templates_on([1, 2, 3]).astype(dtype)
        sd = load(sorted_folder(tmp_path / "ks", templates__npy=templates))
        assert known(sd, "electrode") == [1, 2, 3]
        assert known(sd, "waveform_mean")[0].dtype == np.float32

    @pytest.mark.parametrize("sparse", [False, True])
    def test_electrodes_are_those_that_phy_shows(self, sparse, tmp_path):
        """Templates are whitened: the largest channel is another one in them."""
        plain = np.zeros((3, 5, 4), np.float32)
        plain[:, 2] = [[-9, 0, -3, 0], [0, 0, -2, -7], [0, -5, -1, 0]]
        back = np.diag([1.0, 1.0, 0.1, 1.0])
        whitened = (plain @ np.linalg.inv(back)).astype(np.float32)
        more = {}
        if sparse:
            order = [2, 3, 0, 1]
            whitened = whitened[:, :, order]
            more["template_ind__npy"] = np.tile(order, (3, 1))
        folder = sorted_folder(
            tmp_path / "ks",
            templates__npy=whitened,
            whitening_mat_inv__npy=back,
            **more,
        )
        sd = load(folder)
        assert known(sd, "electrode") == [0, 3, 1]
        assert known(sd, "location")[1] == [0.0, 60.0]
        for unit, waveform in enumerate(known(sd, "waveform_mean")):
            np.testing.assert_allclose(waveform, plain[unit], atol=1e-6)
            assert known(sd, "waveform_channels")[unit].tolist() == [0, 1, 2, 3]

    def test_columns_that_are_not_used(self, tmp_path):
        """Exporters fill them up with -1, NaN, or the number of channels."""
        for fill in (-1.0, np.nan, 4.0):
            where = np.tile([0, 1, 2, fill], (3, 1))
            folder = tmp_path / str(fill)
            sd, told = warned(
                lambda where=where, folder=folder: load(
                    sorted_folder(folder, templates_ind__npy=where)
                )
            )
            assert (known(sd, "electrode"), told) == ([1, 2, None], [])

    def test_a_template_that_says_nothing(self, tmp_path):
        """NaN or zeros put no unit on the first channel."""
        templates = templates_on([0, 1, 3])
        templates[0], templates[1] = np.nan, 0
        sd = load(sorted_folder(tmp_path / "ks", templates__npy=templates))
        assert known(sd, "electrode") == [None, None, 3]
        assert known(sd, "location") == [None, None, [0.0, 60.0]]
        assert [w is None for w in known(sd, "waveform_mean")] == [True, True, False]

    @pytest.mark.parametrize(
        "times",
        [
            np.array([-10, 60, 90, 120, 150, 180]).astype(np.uint64),
            np.array([2**63] * 6, dtype=np.uint64),
            np.array([30.0, 60.0, 90.0, 120.0, 150.0, 1e30]),
        ],
    )
    def test_samples_beyond_int64(self, times, tmp_path):
        """Times below 0 were cast to uint64: no recording of millions of years."""
        folder = sorted_folder(tmp_path / "ks", spike_times__npy=times)
        with pytest.raises(FormatError, match=r"int64 numbers, .* a negative one"):
            load(folder)


class TestSmallThings:
    """What loaders take, and warn of."""

    @pytest.mark.parametrize("rate", [{"fs_Hz": 30}, {"fs_Hz": 999.0}, {"fs_Hz": 0.5}])
    def test_a_rate_in_kHz(self, rate, tmp_path):
        """Loaders and writers ask."""
        folder = sorted_folder(tmp_path / "ks")
        with pytest.warns(UserWarning, match="kHz") as caught:
            load_spikedata_from_kilosort(folder, **rate)
        assert caught[0].filename == __file__
        sd = SpikeData([[1.0, 2.0]])
        for method in ("to_kilosort", "to_phy"):
            with pytest.warns(UserWarning, match="kHz") as caught:
                getattr(sd, method)(tmp_path / method, **rate)
            assert [w.filename for w in caught] == [__file__]

    @pytest.mark.parametrize("rate", [30.0, 999, 1.5])
    def test_a_rate_in_kHz_in_params(self, rate, tmp_path):
        """Somebody wrote 30 where Phy wants 30000."""
        folder = sorted_folder(tmp_path / "ks", params=f"sample_rate = {rate}\n")
        sd, told = warned(lambda: load(folder))
        assert sd.metadata["fs_Hz"] == rate
        assert told == [f"sample_rate is {rate} Hz; is that a rate in kHz?"]
        _, told = warned(lambda: load(folder, fs_Hz=30_000.0))
        assert told == []

    def test_a_rate_of_1_in_params(self, tmp_path):
        """Times are in seconds: nobody means kHz."""
        folder = sorted_folder(tmp_path / "ks", params="sample_rate = 1.0\n")
        sd, told = warned(lambda: load(folder))
        assert (sd.metadata["fs_Hz"], told) == (1.0, [])

    def test_what_an_export_returns_can_be_loaded(self, tmp_path):
        """params.py, windows.tsv, an array, or both arrays."""
        sd = SpikeData([[1.0, 4.0], [2.0, 5.0]], length=6.0)
        stack = sd.frames(3.0)
        for obj, method in (
            (sd, "to_phy"),
            (sd, "to_kilosort"),
            (stack, "to_kilosort"),
        ):
            folder = tmp_path / f"{method} {type(obj).__name__}"
            written = getattr(obj, method)(folder, fs_Hz=1000)
            several = written if isinstance(written, tuple) else (written,)
            for path in (written, *several, str(folder)):
                found = load(path)
                assert type(found) is type(obj)
                if obj is sd:
                    assert found.metadata["source_folder"] == str(folder)
        paths = sd.to_kilosort(
            tmp_path / "t", fs_Hz=1000, spike_times_file="t.npy", time_unit="ms"
        )
        assert load(paths).N == load_spikedata_from_kilosort(paths[0]).N == 2

    def test_a_folder_that_holds_nothing(self, tmp_path):
        """A folder, a Zarr store: the error says what it is."""
        with pytest.raises(FormatError, match="is no KiloSort or Phy folder"):
            load(tmp_path)
        (tmp_path / ".zgroup").write_text("{}")
        for loader in (load, load_spikedata_from_kilosort):
            with pytest.raises(FormatError, match="Zarr store"):
                loader(tmp_path)

    def test_a_file_that_is_not_there(self, tmp_path):
        """Its folder is not loaded instead."""
        sorted_folder(tmp_path / "ks")
        with pytest.raises(FileNotFoundError):
            load(tmp_path / "ks" / "spike_tmies.npy")


@pytest.mark.parametrize("name", ["nwb", "hdf5", "csv", "parquet", "phy", "kilosort"])
def test_what_the_loader_noted_of_the_source_is_no_loss(name, tmp_path):
    """Every user would be warned of it; what the user added is one."""
    folder = sorted_folder(tmp_path / "ks", spike_clusters__npy=CLUSTERS + 4)
    sd = load(folder)
    options = {"fs_Hz": 30_000.0} if name in ("phy", "kilosort") else {}
    writer = FORMATS[name].export.writer(**options)
    fs_Hz = sd.metadata.pop("fs_Hz")
    assert not [line for line in writer.losses(sd) if "metadata" in line]
    sd.metadata.update(fs_Hz=fs_Hz, day="Monday")
    assert [line for line in writer.losses(sd) if "metadata" in line]


def test_a_unit_whose_spikes_are_not_in_order(tmp_path):
    """Amplitudes go with their spikes."""
    folder = sorted_folder(
        tmp_path / "ks",
        spike_times__npy=TIMES[::-1],
        amplitudes__npy=np.arange(6.0),
    )
    sd = load(folder)
    assert [t.tolist() for t in sd.train] == [[3.0, 6.0], [2.0, 5.0], [1.0, 4.0]]
    assert [a.tolist() for a in known(sd, "amplitudes")] == [[3, 0], [4, 1], [5, 2]]


@given(content=st.binary(max_size=200))
@example(content=b"\x1c0\t1\n")
def test_no_table_keeps_the_spikes_from_being_read(content, tmp_path):
    """Whatever bytes are in it."""
    folder = tmp_path / "ks"
    if not folder.exists():
        sorted_folder(folder)
    (folder / "cluster_x.tsv").write_bytes(b"cluster_id\tx\n" + content)
    sd, told = warned(lambda: load(folder))
    assert sd.N == 3
    assert len(told) <= 1


def test_the_names_of_this_folder():
    """The tests' folder is what they say."""
    assert len(TIMES) == len(CLUSTERS)
    assert "sample_rate = 30000." in PARAMS


def test_numbers_that_are_missing_or_infinite(tmp_path):
    """As other programs write them into tables."""
    folder = sorted_folder(
        tmp_path / "folder",
        cluster_snr__tsv="cluster_id\tsnr\n0\tnan\n1\t11.0\n2\tinf\n",
        cluster_info__tsv="cluster_id\tch\n0\tnan\n1\t3\n2\t0\n",
    )
    sd = load(folder)
    assert known(sd, "snr") == [None, 11.0, np.inf]
    assert known(sd, "electrode") == [1, 3, 0]
