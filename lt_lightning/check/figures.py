"""How long the tail of a set is, and other figures of it."""

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from lt_lightning.check.inspection import Facts
from lt_lightning.check.survey import Survey
from lt_lightning.data.base import Split
from lt_lightning.tail import GROUPS, gini, group, imbalance_factor


@dataclass(frozen=True)
class Figures:
    """Figures of a set.

    Attributes:
        images: Of each split; without ``val`` validation images are the test images.
        class_counts: Images of each class, by split.
        imbalance_factor: Largest number of training images of a class over the smallest that is not 0.
        gini: Gini coefficient of the numbers of training images.
        groups: Many-, medium- and few-shot classes.
        one_shot: Classes of one training image.
        empty: Classes of none.
        width: Smallest, median and largest width of images, in pixels.
        height: Smallest, median and largest height of images, in pixels.
        formats: Images of each format.
    """

    images: dict[Split, int]
    class_counts: dict[str, dict[Split, int]]
    imbalance_factor: float
    gini: float
    groups: dict[str, int]
    one_shot: int
    empty: int
    width: list[float]
    height: list[float]
    formats: dict[str, int]

    @classmethod
    def of(cls, survey: Survey, facts: Sequence[Facts], many: int, few: int) -> Self:
        """Figures of a survey, and of what its images are; the groups by their thresholds."""
        class_counts = survey.class_counts
        counts = [count["train"] for count in class_counts.values()]
        groups = Counter(group(count, many, few) for count in counts)
        read = [fact for fact in facts if not fact.error]
        return cls(
            images=dict(Counter(entry.split for entry in survey.entries)),
            class_counts=class_counts,
            imbalance_factor=imbalance_factor(counts),
            gini=gini(counts),
            groups={name: groups[name] for name in GROUPS},
            one_shot=counts.count(1),
            empty=counts.count(0),
            width=_spread([fact.width for fact in read]),
            height=_spread([fact.height for fact in read]),
            formats=dict(Counter(fact.format for fact in read).most_common()),
        )

    @property
    def training_counts(self) -> dict[str, int]:
        """Training images of each class."""
        return {name: count["train"] for name, count in self.class_counts.items()}


def _spread(sizes: Sequence[int]) -> list[float]:
    return [min(sizes), statistics.median(sizes), max(sizes)] if sizes else []
