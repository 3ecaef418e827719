"""``lt data check``: what there is, and what is wrong with it, before anything is trained."""

from lt_lightning.check.command import check_data

__all__ = ["check_data"]
