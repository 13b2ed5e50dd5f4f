"""The program, which stands still once its import has noted how far it is, until it is sent on."""

import os
import signal

import main
from cli.importing.checkpoint import Checkpoint, CheckpointFile

save = CheckpointFile.save


def save_and_stop(self: CheckpointFile, checkpoint: Checkpoint) -> None:
    save(self, checkpoint)
    os.kill(os.getpid(), signal.SIGSTOP)


if __name__ == "__main__":
    CheckpointFile.save = save_and_stop  # type: ignore[method-assign]
    main.main()
