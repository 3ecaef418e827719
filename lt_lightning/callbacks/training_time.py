"""How long a run has trained."""

from typing import Any

from lightning.pytorch.callbacks import Timer


class TrainingTime(Timer):
    """Counts the seconds of training, with its validations; a run that goes on adds to those of its checkpoint.

    So the steps that an interrupted run takes again count once. It is Lightning's timer under a name of its own, as
    ``--trainer.max_time`` adds another.
    """

    def __init__(self) -> None:
        super().__init__()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        super().load_state_dict(state_dict)
        self._offset = float(self._offset)  # type: ignore[assignment]  # Lightning's annotation, not its value, is int
