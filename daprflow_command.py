"""The program ``daprflow``: lets Ctrl-C end it silently while Python still imports it.

It stands outside the package, whose import is what takes that time. A process that is ended so has
been ended by the signal, which a shell shows as 130, as for Ctrl-C later.
"""

import signal


def main() -> None:
    """Run the command line; does not return."""
    interrupts = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else it is ignored
    if interrupts:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from daprflow.cli.main import main as carry_out  # noqa: PLC0415 - as the module says

    if interrupts:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    carry_out()
