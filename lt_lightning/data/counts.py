"""How many training images each class keeps, and which ones.

The profiles and the selection are those of LDAM-DRW [Cao et al., 2019], https://arxiv.org/abs/1906.07413, which most
papers on CIFAR-LT share: truncated counts, classes in label order, seed 0.
"""

import numpy as np
from numpy.typing import NDArray


def exponential_counts(largest: int, num_classes: int, imbalance_factor: float) -> list[int]:
    """Counts that fall exponentially from ``largest`` to ``largest / imbalance_factor``, truncated.

    Args:
        largest: Images of the first class.
        num_classes: Number of classes C.
        imbalance_factor: Largest count over smallest, at least 1.

    Returns:
        C counts, in class order.

    Raises:
        ValueError: ``imbalance_factor`` is below 1, not finite, or leaves a class without an image.
    """
    last = max(num_classes - 1, 1)
    _check_factor(imbalance_factor, largest)
    # at least 1: in floating point 49 * (1 / 49) is just below it
    return [max(int(largest * (1 / imbalance_factor) ** (c / last)), 1) for c in range(num_classes)]


def step_counts(largest: int, num_classes: int, imbalance_factor: float) -> list[int]:
    """Counts that are ``largest`` for the first half of the classes and ``largest / imbalance_factor`` for the rest.

    Args, returns and raises as :func:`exponential_counts`.
    """
    _check_factor(imbalance_factor, largest)
    head = num_classes // 2
    return [largest] * head + [max(int(largest * (1 / imbalance_factor)), 1)] * (num_classes - head)


def _check_factor(imbalance_factor: float, largest: int) -> None:
    if not 1 <= imbalance_factor <= largest:  # also refuses NaN
        raise ValueError(
            f"imbalance_factor must lie in [1, {largest}] so that each class keeps an image, not {imbalance_factor}"
        )


def select_long_tail(labels: NDArray[np.integer], class_counts: list[int], seed: int = 0) -> NDArray[np.int64]:
    """Choose the images of a long-tailed subset as LDAM-DRW does.

    Class after class, the class's images in file order are shuffled and the first ``class_counts[c]`` are kept; one
    generator serves all classes.

    Args:
        labels: Class of each image, ``(N,)``.
        class_counts: Images to keep of each class, C of them.
        seed: 0 gives the subsets that the papers use.

    Returns:
        Indices into ``labels``, class after class, each class in the order chosen.

    Raises:
        ValueError: A class has fewer images than it should keep.
    """
    generator = np.random.RandomState(seed)
    chosen = []
    for c, count in enumerate(class_counts):
        of_class = np.flatnonzero(labels == c)
        if len(of_class) < count:
            raise ValueError(f"class {c} should keep {count} images but has {len(of_class)}")
        generator.shuffle(of_class)
        chosen.append(of_class[:count])
    return np.concatenate(chosen).astype(np.int64)
