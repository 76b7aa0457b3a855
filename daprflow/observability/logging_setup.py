"""The log lines of one of our own processes, before its app has started and where it has none."""

import logging
from collections.abc import Mapping

from daprflow.observability.logging_options import LogFormat, level_number, logs_from
from daprflow.observability.logging_pipeline import Installed, Pipeline, PipelineHandler
from daprflow.observability.logging_sink import Sink
from daprflow.observability.logging_watcher import origin_of
from daprflow.observability.redaction import Redaction
from daprflow.settings import TOKEN_VARIABLES


def log_process(environ: Mapping[str, str], level: str, *, as_json: bool = False) -> bool:
    """Have everything that this process logs written in the form that is asked for.

    An app that starts in it goes on in the same way, with its id and its deliveries.

    Args:
        environ: of the process.
        level: the lowest that is written.
        as_json: write JSON, whatever the environment says.

    Returns:
        Whether a form is asked for.

    Raises:
        SettingsError: the environment's form cannot be understood.
    """
    asked = logs_from(environ)
    if asked is None and not as_json:
        return False
    form = LogFormat.JSON if asked is None or as_json else asked.format
    redaction = Redaction(environ.get(name, "") for name in TOKEN_VARIABLES)
    pipeline = Pipeline(form, origin_of(environ.get("APP_ID", "")), Sink(), redaction)
    Installed(pipeline, level_number(level))
    return True


def name_process(app_id: str) -> None:
    """Have the lines of this process from now on say whose they are; empty where of several."""
    for each in logging.getLogger().handlers:
        if isinstance(each, PipelineHandler):
            each.pipeline.origin = origin_of(app_id)
