"""Callbacks: what measures and what teaches."""

from lt_lightning.callbacks.agreement import TeacherAgreement
from lt_lightning.callbacks.calibration import Calibration
from lt_lightning.callbacks.dashboard import Dashboard
from lt_lightning.callbacks.distillation import CompiledTeachers, DistillationTargets
from lt_lightning.callbacks.diversity import Diversity
from lt_lightning.callbacks.ema import EMA
from lt_lightning.callbacks.evaluation import Evaluation
from lt_lightning.callbacks.finite import Finite
from lt_lightning.callbacks.keep_config import KeepConfig
from lt_lightning.callbacks.last_checkpoint import LastCheckpoint
from lt_lightning.callbacks.lean_loop import LeanLoop
from lt_lightning.callbacks.pending_validation import PendingValidation
from lt_lightning.callbacks.per_image import PerImage
from lt_lightning.callbacks.plots import Plots
from lt_lightning.callbacks.predictions import Predictions
from lt_lightning.callbacks.pretrained import Pretrained
from lt_lightning.callbacks.progress import Progress
from lt_lightning.callbacks.report import Report
from lt_lightning.callbacks.run_lock import RunLock
from lt_lightning.callbacks.schedules import DeferredReweighting, ParabolicTransition, Ramp
from lt_lightning.callbacks.shifts import TestPriors
from lt_lightning.callbacks.training import TrainingLog
from lt_lightning.callbacks.training_time import TrainingTime
from lt_lightning.callbacks.watchdog import Watchdog

__all__ = [
    "EMA",
    "Calibration",
    "CompiledTeachers",
    "Dashboard",
    "DeferredReweighting",
    "DistillationTargets",
    "Diversity",
    "Evaluation",
    "Finite",
    "KeepConfig",
    "LastCheckpoint",
    "LeanLoop",
    "ParabolicTransition",
    "PendingValidation",
    "PerImage",
    "Plots",
    "Predictions",
    "Pretrained",
    "Progress",
    "Ramp",
    "Report",
    "RunLock",
    "TeacherAgreement",
    "TestPriors",
    "TrainingLog",
    "TrainingTime",
    "Watchdog",
]
