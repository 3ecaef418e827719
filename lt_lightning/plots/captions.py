"""How each chart is to be read."""

OF_TRAINING = {
    "class_distribution": """Classes from the largest to the smallest. The dashed lines part many-, medium- and
few-shot classes. The steeper the fall, the longer the tail.""",
    "curves": """The training loss holds all terms that are trained on. Where NLL rises while accuracy stays, the model
grows too sure. Where the few-shot line stays behind, training favours frequent classes.""",
    "diversity": """The members' mean NLL minus that of the ensemble is their diversity, exactly. Diversity is worth
something where it lowers the ensemble's NLL; disagreement alone is not.""",
    "agreement": """Validation images on which the argmax of the teacher and of its students is the same. 100 % would
be copies of the teacher.""",
    "training": """The schedule of the learning rate, and how many images a second were trained on.""",
}
"""Charts of the training set and of training, in order."""
OF_SPLIT = {
    "shot_bars": """Each block is one predictor; compare a colour between blocks to see which one serves which classes
best. Balanced is the mean over classes, which is what a balanced test set would show.""",
    "acc_vs_frequency": """Each dot is a class; of more than 300 classes those that are alike share a dot, which is
larger for more of them. A black line that is flat is a model that is as good at rare classes as at frequent ones.""",
    "members": """Above zero a member is better than its ensemble. Members of different skill lie above zero in
different places.""",
    "per_class": """Few classes have a bar each. Of many the profile is shown: a point (x, y) says that x % of the
group's classes reach an accuracy of y % or more; the dashed line is that of all classes.""",
    "reliability": """Bars on the diagonal are right as often as they say. Below it the model is too sure, above it not
sure enough. ECE is the mean distance, weighed by the images of the lower row.""",
    "confusion": """Rows are true classes and sum to 100 %. What lies left of the diagonal was taken for a class of more
training images, the usual mistake of a long tail.""",
    "confused_pairs": """Pairs that are confused both ways may look alike; those that are confused one way may follow
from frequency.""",
    "top_losses": """Wrong labels and unusual images gather here. The first line is the true class, the second the
predicted one, the third its probability and the loss in nats.""",
}
"""Charts of one split, in order."""
