"""Methods: what a training step is."""

from lt_lightning.modules.base import LongTailModule
from lt_lightning.modules.contrastive import ContrastiveExperts
from lt_lightning.modules.students import StudentEnsemble
from lt_lightning.modules.teacher import Teacher

__all__ = ["ContrastiveExperts", "LongTailModule", "StudentEnsemble", "Teacher"]
