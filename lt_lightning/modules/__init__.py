"""Methods: what a training step is."""

from lt_lightning.modules.base import LongTailModule
from lt_lightning.modules.contrastive import ContrastiveExperts
from lt_lightning.modules.second_stage import (
    ClassifierRetraining,
    SecondStage,
    ShiftedRetraining,
    TauNormalisation,
    WeightScaling,
)
from lt_lightning.modules.self_distillation import SelfDistillation
from lt_lightning.modules.students import StudentEnsemble
from lt_lightning.modules.teacher import Teacher

__all__ = [
    "ClassifierRetraining",
    "ContrastiveExperts",
    "LongTailModule",
    "SecondStage",
    "SelfDistillation",
    "ShiftedRetraining",
    "StudentEnsemble",
    "TauNormalisation",
    "Teacher",
    "WeightScaling",
]
