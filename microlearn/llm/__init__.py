"""Language models: text as numbers, counting, embeddings, attention, a GPT, its training, and how it writes."""

from microlearn.llm.attention import CausalSelfAttention, causal_attention, scaled_dot_product_attention
from microlearn.llm.transformer import GPT, MLP, Block, GPTConfig, parameter_count

__all__ = [
    "GPT",
    "MLP",
    "Block",
    "CausalSelfAttention",
    "GPTConfig",
    "causal_attention",
    "parameter_count",
    "scaled_dot_product_attention",
]
