"""``lt doctor``: whether this machine and this environment are fit to train."""
