"""Methods: what a training step is."""

from lt_lightning.modules.base import LongTailModule
from lt_lightning.modules.students import StudentEnsemble
from lt_lightning.modules.teacher import Teacher

__all__ = ["LongTailModule", "StudentEnsemble", "Teacher"]
