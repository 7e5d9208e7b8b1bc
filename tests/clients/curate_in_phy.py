"""Open a folder in the real Phy, without a screen, and do what a scientist does there.

Called with the folder and, as JSON, a list of actions: ``["merge", [0, 1]]``,
``["split", [3], 50]`` (the first 50 spikes), ``["label", [5], "sua"]``, ``["save"]``.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ["QT_QPA_PLATFORM"] = "offscreen"

from phy.apps.template.gui import TemplateController, TemplateModel
from phy.gui.qt import create_app
from phylib.io.model import get_template_params


def main(folder, actions):
    """Do the actions in a window of Phy."""
    app = create_app()

    def settle():
        for _ in range(10):
            app.processEvents()
            time.sleep(0.02)

    model = TemplateModel(**get_template_params(folder / "params.py"))
    with tempfile.TemporaryDirectory() as config:
        controller = TemplateController(
            model=model, dir_path=folder, config_dir=Path(config)
        )
        gui = controller.create_gui(do_prompt_save=False)
        gui.show()
        settle()
        supervisor = controller.supervisor
        for name, *arguments in actions:
            if name == "merge":
                supervisor.merge(arguments[0])
            elif name == "split":
                spikes = supervisor.clustering.spikes_in_clusters(arguments[0])
                supervisor.split(spikes[: arguments[1]])
            elif name == "label":
                supervisor.cluster_meta.set("group", *arguments)
            elif name == "save":
                supervisor.save()
            settle()
        gui.close()
        settle()


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
