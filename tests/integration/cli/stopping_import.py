"""The program, which stands still once its import has noted how far it is, until it is sent on.

It notes that after its first rows, however fast it is.
"""

import os
import signal

import main
from cli.importing import pipeline
from cli.importing.checkpoint import Checkpoint, CheckpointFile

save = CheckpointFile.save


def save_and_stop(self: CheckpointFile, checkpoint: Checkpoint) -> None:
    CheckpointFile.save = save  # type: ignore[method-assign]
    save(self, checkpoint)
    os.kill(os.getpid(), signal.SIGSTOP)


if __name__ == "__main__":
    pipeline.CHECKPOINT_EVERY_S = 0.0
    CheckpointFile.save = save_and_stop  # type: ignore[method-assign]
    main.main()
