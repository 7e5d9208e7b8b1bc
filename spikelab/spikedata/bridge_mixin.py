"""Other packages' objects as sources and targets of a recording."""

from typing import TYPE_CHECKING

from spikelab.spikedata.lazy_method import LazyMethod, LazyStaticMethod

if TYPE_CHECKING:
    from spikelab.bridges import neo, pandas, pynapple, spikeinterface
    from spikelab.formats.nwb import append


class BridgeMixin:
    """Methods of a recording that take and give objects of other packages."""

    if TYPE_CHECKING:
        from_spikeinterface = staticmethod(spikeinterface.from_spikeinterface)
        to_spikeinterface = spikeinterface.to_spikeinterface
        from_neo = staticmethod(neo.from_neo)
        from_neo_spiketrains = staticmethod(neo.from_neo_spiketrains)
        to_neo = neo.to_neo
        from_pynapple = staticmethod(pynapple.from_pynapple)
        to_pynapple = pynapple.to_pynapple
        to_dataframe = pandas.to_dataframe
        units_dataframe = pandas.units_dataframe
        add_to_nwbfile = append.add_to_nwbfile
    else:
        from_spikeinterface = LazyStaticMethod(
            "spikelab.bridges.spikeinterface", "from_spikeinterface"
        )
        to_spikeinterface = LazyMethod(
            "spikelab.bridges.spikeinterface", "to_spikeinterface"
        )
        from_neo = LazyStaticMethod("spikelab.bridges.neo", "from_neo")
        from_neo_spiketrains = LazyStaticMethod(
            "spikelab.bridges.neo", "from_neo_spiketrains"
        )
        to_neo = LazyMethod("spikelab.bridges.neo", "to_neo")
        from_pynapple = LazyStaticMethod("spikelab.bridges.pynapple", "from_pynapple")
        to_pynapple = LazyMethod("spikelab.bridges.pynapple", "to_pynapple")
        to_dataframe = LazyMethod("spikelab.bridges.pandas", "to_dataframe")
        units_dataframe = LazyMethod("spikelab.bridges.pandas", "units_dataframe")
        add_to_nwbfile = LazyMethod("spikelab.formats.nwb.append", "add_to_nwbfile")
