"""iNaturalist 2018, and the thirteen classes of it that MCE's authors study."""

import json
from pathlib import Path
from typing import Any, ClassVar

from lt_lightning.data.base import Split
from lt_lightning.data.listed import BALANCING, MCE, ListedDataModule, PublishedList, Source
from lt_lightning.errors import LtError

BUCKET = "https://ml-inat-competition-datasets.s3.amazonaws.com/2018"
IMAGES = Source(
    "training and validation images, train_val2018.tar.gz",
    f"{BUCKET}/train_val2018.tar.gz",
    "120 GB",
    "root/train_val2018/Plantae/7291/9f8ecb39e5f767e39e9b28e34488f179.jpg, ...",
    "md5:b1c6952ce38f31868cc50ea72d066cc3",
)


class INaturalist2018(ListedDataModule):
    """iNaturalist 2018: 8,142 species; 437,513 training and 24,426 test images, a natural long tail.

    Training counts fall from 1,000 to 2: 842 many-, 4,076 medium- and 3,224 few-shot classes. Test images are the
    official validation images, 3 a class; there are no others, so the best epoch is selected on test [Van Horn et al.,
    2018], https://arxiv.org/abs/1707.06642. Terms: https://github.com/visipedia/inat_comp/tree/master/2018,
    non-commercial research and education. The lists are those of [Kang et al., 2020], https://arxiv.org/abs/1910.09217,
    which ``lt data prepare`` makes of the official annotations, byte for byte.

    Layout: ``root/train_val2018/Plantae/7291/NAME.jpg``, as the archive has it.

    Args:
        **kwargs: Arguments of :class:`~lt_lightning.data.listed.ListedDataModule`.
    """

    mean, std = (0.466, 0.471, 0.380), (0.195, 0.194, 0.192)
    selected_on_test = True
    terms = "iNaturalist's terms of service; non-commercial research and education"
    sources: ClassVar[tuple[Source, ...]] = (
        IMAGES,
        Source(
            "annotations of training, of which the list is made",
            f"{BUCKET}/train2018.json.tar.gz",
            "26 MB",
            "root/train2018.json.tar.gz",
            "md5:bfa29d89d629cbf04d826a720c0a68b0",
        ),
        Source(
            "annotations of validation",
            f"{BUCKET}/val2018.json.tar.gz",
            "26 MB",
            "root/val2018.json.tar.gz",
            "md5:f2ed8bfe3e9901cdefceb4e53cd3775d",
        ),
    )
    published: ClassVar[dict[Split, PublishedList]] = {
        "train": PublishedList(
            f"{BALANCING}/iNaturalist18/iNaturalist18_train.txt",
            0,  # made of the annotations
            437_513,
            ("git:4accdb7584d2f0a5106c40a33ed6afa392189bcc",),
        ),
        "val": PublishedList(
            f"{BALANCING}/iNaturalist18/iNaturalist18_val.txt",
            1_677_390,
            24_426,
            ("sha256:efaeff65f80641b60864470e6f255aa69453406ef5717eec8c6681748f3a61f3",),
        ),
    }
    groups = 842, 4076, 3224

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)


class INaturalist13(INaturalist2018):
    """iNaturalist-13: 13 groups of animals, plants and fungi of iNaturalist 2018; 7,525 training and 715 test images.

    Counts, from Actinopterygii to Reptilia: 79 783 517 502 948 5 281 948 948 654 868 44 948; 10 many-, 2 medium- and 1
    few-shot classes, and 55 test images of each, which are validation images as well. From [Wang et al., 2024],
    https://doi.org/10.1016/j.eswa.2024.124613; terms and layout as :class:`INaturalist2018`.

    Args:
        **kwargs: Arguments of :class:`~lt_lightning.data.listed.ListedDataModule`.
    """

    sources: ClassVar[tuple[Source, ...]] = (IMAGES,)
    published: ClassVar[dict[Split, PublishedList]] = {
        "train": PublishedList(
            f"{MCE}/iNaturalist13/iNaturalist18_train.txt",
            499_560,
            7_525,
            ("sha256:17b7b8ed706319e5c662e254a8fc35381abed17ea81160cfbb93e43411bd78d5",),
        ),
        "val": PublishedList(
            f"{MCE}/iNaturalist13/iNaturalist18_val.txt",
            47_904,
            715,
            ("sha256:373131ffb78c30fd9096e15c813a298ea8f4decc85ce0ce35bc46ef33fce6e84",),
        ),
    }
    groups = 10, 2, 1

    def class_name(self, path: str) -> str:
        """Name of an image's class: the upper of the folders it is in."""
        return path.split("/")[1]


def list_of(annotations: Path) -> str:
    """The list that official annotations say: a line ``path class`` an image, in their order.

    Raises:
        LtError: The file holds no such annotations.
    """
    try:
        content = json.loads(annotations.read_text())
        label = {note["image_id"]: int(note["category_id"]) for note in content["annotations"]}
        return "".join(f"{image['file_name']} {label[image['id']]}\n" for image in content["images"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        what = f"these annotations cannot be read ({type(error).__name__}: {error})"
        raise LtError(what, str(annotations), f"fetch them anew from {BUCKET}") from error
