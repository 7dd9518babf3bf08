"""Arrays that remember how they were made, and all that is built on them: layers, losses, optimizers, training.

Names, arguments and defaults are PyTorch's; `axis` and `keepdims` are numpy's.
"""

from microlearn.deep.activations import leaky_relu, log_softmax, relu, sigmoid, silu, softmax
from microlearn.deep.elementwise import exp, log, maximum, minimum, sqrt, tanh, where
from microlearn.deep.fused import gelu, layer_norm, linear, rms_norm
from microlearn.deep.initialization import (
    generator,
    kaiming_normal_,
    kaiming_uniform_,
    manual_seed,
    normal_,
    uniform_,
    xavier_normal_,
    xavier_uniform_,
    zeros_,
)
from microlearn.deep.layers import (
    GELU,
    Embedding,
    LeakyReLU,
    Linear,
    Module,
    Parameter,
    ReLU,
    Sequential,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
)
from microlearn.deep.losses import binary_cross_entropy_with_logits, cross_entropy, mse_loss
from microlearn.deep.normalization import BatchNorm1d, LayerNorm, RMSNorm
from microlearn.deep.optim import SGD, Adam, AdamW, RMSprop, clip_grad_norm_
from microlearn.deep.reductions import matmul
from microlearn.deep.regularization import Dropout, EarlyStopping, l1_penalty, l2_penalty
from microlearn.deep.schedules import CosineAnnealingLR, StepLR, WarmupCosine
from microlearn.deep.shaping import concatenate, gather, stack
from microlearn.deep.tensor import Tensor, detect_anomaly, no_grad
from microlearn.deep.training import accuracy, evaluate, fit, train_validation_split
from microlearn.networks.training import Diverged

__all__ = [
    "GELU",
    "SGD",
    "Adam",
    "AdamW",
    "BatchNorm1d",
    "CosineAnnealingLR",
    "Diverged",
    "Dropout",
    "EarlyStopping",
    "Embedding",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "Module",
    "Parameter",
    "RMSNorm",
    "RMSprop",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "StepLR",
    "Tanh",
    "Tensor",
    "WarmupCosine",
    "accuracy",
    "binary_cross_entropy_with_logits",
    "clip_grad_norm_",
    "concatenate",
    "cross_entropy",
    "detect_anomaly",
    "evaluate",
    "exp",
    "fit",
    "gather",
    "gelu",
    "generator",
    "kaiming_normal_",
    "kaiming_uniform_",
    "l1_penalty",
    "l2_penalty",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log",
    "log_softmax",
    "manual_seed",
    "matmul",
    "maximum",
    "minimum",
    "mse_loss",
    "no_grad",
    "normal_",
    "relu",
    "rms_norm",
    "sigmoid",
    "silu",
    "softmax",
    "sqrt",
    "stack",
    "tanh",
    "train_validation_split",
    "uniform_",
    "where",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]
