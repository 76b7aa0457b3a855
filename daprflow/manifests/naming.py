"""What a deployment is called where it needs one name: a chart, a project of Compose."""

import os
import re
from pathlib import Path

from daprflow.manifests.model import Model

_OTHERWISE = "apps"


def deployment_name(model: Model) -> str:
    """Return the id of the only app; of several, the name of the folder that they are all in.

    It has small letters, digits and ``-`` alone, and begins with a letter.
    """
    if len(model.apps) == 1:
        name = model.apps[0].app_id
    else:
        name = Path(os.path.commonpath([app.facts.root for app in model.apps])).name
    kept = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return kept if kept[:1].isalpha() else _OTHERWISE
