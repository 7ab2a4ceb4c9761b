"""Training: a manifest of what trains, a process of its own that trains, and the model that comes back.

`assemble` names the nights and people of a training set, `train` turns it into a stored model. The core (`config`,
`preprocess`, `network`, `loop`, `model`, `worker`) needs torch, numpy and pyarrow only, so that it runs on any GPU
machine without the rest; hence this package imports the rest on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kedge.training.launch import launch_local
    from kedge.training.model import TabularModel
    from kedge.training.order import Order
    from kedge.training.train import train
    from kedge.training.training_set import assemble

__all__ = ["Order", "TabularModel", "assemble", "launch_local", "train"]

_HOMES = {
    "Order": "order",
    "TabularModel": "model",
    "assemble": "training_set",
    "launch_local": "launch",
    "train": "train",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'kedge.training' has no attribute {name!r}")
    return getattr(import_module(f"kedge.training.{_HOMES[name]}"), name)
