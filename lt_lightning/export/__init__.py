"""``lt export``: a trained model as one file that needs neither this package nor the images it was trained on."""
