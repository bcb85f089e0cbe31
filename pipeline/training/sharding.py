# SPDX-License-Identifier: Apache-2.0
"""Training a model in shards: each process holds a part of every tensor (PyTorch's FSDP2).

A unit is a transformer layer.  Its weights are gathered for its forward and backward pass and given
back after each; those outside of the layers, which are embeddings and heads, are one more unit,
gathered for the whole step.  Gradients and AdamW's averages exist in shards alone.  The caller's
model stays whole on the CPU, and gets the trained weights in the end.
"""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.trainer import OPTIMIZER_NAME, SCHEDULER_NAME

from pipeline import ranks
from pipeline.config import Hardware
from pipeline.errors import UserError
from pipeline.training.batches import Batch
from pipeline.training.precision import HALVES, Loss
from pipeline.training.trainer import LossTrainer


def is_wanted(hardware: Hardware) -> bool:
    """Whether models are sharded: the settings ask for it, and there are several processes."""
    return hardware.shard and ranks.WORLD > 1


def shard_frozen(model: Any, device: torch.device) -> None:
    """Shards the layers of a model without gradients, in place; the rest of it is whole.

    So its parts may be called by themselves.

    Args:
        model: a model of transformers, on the CPU.
        device: to put it on.

    Raises:
        UserError: see :class:`Sharded`.
    """
    name = _shard_layers(model, device)
    # The stack of layers is the root: it gathers the next layer while one computes.
    stack = model.get_submodule(name.rsplit(".", 2)[0])  # of `bert.encoder.layer.0`
    fully_shard(stack, mesh=_mesh(device), reshard_after_forward=True)
    inside = {id(each) for each in stack.parameters()}
    for each in (*model.parameters(), *model.buffers()):
        if id(each) not in inside:
            each.data = each.data.to(device)


class Sharded(nn.Module):
    """The root unit: a sharded copy of a model, with the loss as its forward pass.

    A loss may call any part of the model then, since all of the root's weights are there.

    Args:
        whole: the model, on the CPU; keeps its weights until :meth:`gather`.
        loss: gives the parts of the loss by name.
        device: to train on.
        precision: `fp32`, `bf16` or `fp16`. In half precision the layers are gathered in it:
            autocast would keep a rounded copy of each weight for the backward pass.

    Raises:
        UserError: it is no model of transformers, or PyTorch shards none on this device.
    """

    _is_accelerate_prepared = True  # accelerate adds no wrapper of its own

    def __init__(self, whole: nn.Module, loss: Loss, device: torch.device, precision: str) -> None:
        super().__init__()
        # The copy shares the memory of the weights until each is cut into shards.
        shared: dict[int, Any] = {
            id(each): nn.Parameter(each.detach(), each.requires_grad) for each in whole.parameters()
        }
        self.model = copy.deepcopy(whole, shared)
        self.whole = (whole,)  # in a tuple, so that it is no part of this module
        self.loss = loss
        _shard_layers(self.model, device, HALVES.get(precision))
        fully_shard(self, mesh=_mesh(device))

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The parts of the loss for a batch."""
        return self.loss(self.model, batch)

    @torch.no_grad()
    def gather(self) -> nn.Module:
        """Gives the whole model the weights as they are now; every process must call it."""
        shards = dict(self.model.named_parameters())
        for name, each in self.whole[0].named_parameters():
            each.copy_(_gathered(shards[name]))
        return self.whole[0]

    @torch.no_grad()
    def scatter(self) -> None:
        """Takes the weights of the whole model."""
        wholes = dict(self.whole[0].named_parameters())
        for name, each in self.model.named_parameters():
            each.copy_(_shard_of(wholes[name].detach(), each))


class ShardedTrainer(LossTrainer):
    """Trains a :class:`Sharded` model; its checkpoints are those of a model that is not sharded.

    So any number of processes may go on from them, sharded or not.
    """

    model: Any  # a Sharded

    def _move_model_to_device(self, model: nn.Module, device: torch.device) -> None:
        """Does nothing: shards are where they belong."""

    def whole(self) -> nn.Module:
        """See :meth:`LossTrainer.whole`."""
        whole: nn.Module = self.model.gather()
        return whole

    @contextlib.contextmanager
    def _unsharded(self) -> Iterator[None]:
        """Within it, the Trainer has the whole model, which it saves and loads in its own way."""
        sharded = self.model
        self.model = sharded.whole[0]
        try:
            yield
        finally:
            self.model = sharded

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """Saves the whole model."""
        self.whole()
        with self._unsharded():
            super()._save(output_dir, state_dict)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Loads the whole model, and takes this process's shards of it."""
        with self._unsharded():
            super()._load_from_checkpoint(resume_from_checkpoint, model)
        self.model.scatter()

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        """Saves whole averages."""
        state = self.optimizer.state_dict()
        state["state"] = {
            number: {name: _kept(value) for name, value in averages.items()}
            for number, averages in state["state"].items()
        }
        if self.args.should_save:
            torch.save(state, Path(output_dir) / OPTIMIZER_NAME)
            torch.save(self.lr_scheduler.state_dict(), Path(output_dir) / SCHEDULER_NAME)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        """Takes this process's shards of whole averages, which its device may have no room for."""
        if checkpoint is None:
            return
        options: dict[str, Any] = {"map_location": "cpu", "weights_only": True}
        state = torch.load(Path(checkpoint) / OPTIMIZER_NAME, mmap=True, **options)
        parameters = [
            each for group in self.optimizer.param_groups for each in group["params"]
        ]  # in the order of their numbers in the state
        for number, averages in state["state"].items():
            for name, value in averages.items():
                if value.shape == parameters[number].shape:
                    averages[name] = _shard_of(value, parameters[number])
        self.optimizer.load_state_dict(state)
        self.lr_scheduler.load_state_dict(torch.load(Path(checkpoint) / SCHEDULER_NAME, **options))


def _shard_layers(model: nn.Module, device: torch.device, half: torch.dtype | None = None) -> str:
    """Makes a unit of each transformer layer of a model; returns the name of the first one.

    Args:
        model: on the CPU.
        device: to put the layers on.
        half: what their matrices are gathered in; float32 if it is not given.
    """
    layers: list[tuple[str, nn.Module]] = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, GradientCheckpointingLayer)
    ]
    if not layers or not isinstance(model, PreTrainedModel):
        raise UserError(
            "--hardware.shard: this training shards no models, only those of a build do; leave the "
            "flag out"
        )
    mesh = _mesh(device)
    # What goes in and out stays as it is under autocast, and gradients are added in float32.
    policy = MixedPrecisionPolicy(half, torch.float32, cast_forward_inputs=False)
    for _, layer in layers:
        if half:  # autocast normalizes in float32
            norms: list[nn.Module] = [m for m in layer.modules() if isinstance(m, nn.LayerNorm)]
            fully_shard(norms, mesh=mesh)
        fully_shard(layer, mesh=mesh, mp_policy=policy)
    return layers[0][0]


@functools.cache
def _mesh(device: torch.device) -> DeviceMesh:
    """All processes in a row, the same object for all models.

    Raises:
        UserError: PyTorch shards nothing on such a device.
    """
    if device.type not in ("cpu", "cuda"):
        raise UserError(
            "--hardware.shard: PyTorch shards models on CPUs and on CUDA's GPUs, not on "
            f"{device.type}; pass --hardware.device cpu, or leave the flag out"
        )
    ranks.wait()  # joins the processes
    return init_device_mesh(device.type, (ranks.WORLD,))


def _gathered(tensor: Tensor) -> Tensor:
    """The whole tensor of shards; every process must call it."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def _kept(value: Tensor) -> Tensor | None:
    """The whole tensor on the CPU of the first process; None on the others, which take part."""
    whole = _gathered(value)
    return whole.cpu() if ranks.FIRST else None


def _shard_of(whole: Tensor, like: Tensor) -> Tensor:
    """This process's shard of a whole tensor that every process has, cut as another one is."""
    assert isinstance(like, DTensor)
    shard = distribute_tensor(
        whole.to(like.device), like.device_mesh, like.placements, src_data_rank=None
    )
    return shard.clone()  # which would keep the memory of the whole one
