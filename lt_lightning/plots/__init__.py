"""Charts of a run: each is made from the files in its folder, as a table and as a picture."""
