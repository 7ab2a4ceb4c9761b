"""Training: a manifest of what trains, a process of its own that trains, and the model that comes back.

`training_set.assemble` names the nights and people of a training set, `train.train` turns it into a stored model,
`model.TabularModel` scores. The core (`config`, `preprocess`, `network`, `loop`, `fit`, `model`, `worker`) needs torch,
numpy and pyarrow only, so that it runs on any GPU machine without the rest; hence this package imports nothing.
"""
