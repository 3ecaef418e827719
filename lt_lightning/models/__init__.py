"""Networks that return one row of logits per expert, ``(E, B, C)``: backbones, classifiers, and what they cost."""
